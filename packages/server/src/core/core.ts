import { Found, type PacketStream, REQ } from "@drover/protocol";
import {
  become,
  expireStrangers,
  leaveAccount,
  mayComeFromStranger,
  refuseStranger,
  reidentify,
} from "./access.ts";
import { forgetFunction, receiveLine } from "./admin.ts";
import { receivePacket, takesPages } from "./commands.ts";
import { ANYONE, type Identity, STRANGER } from "./identity.ts";
import { fallDue, leaveJob, settleClaim } from "./jobs.ts";
import type { Commit, Fired, StoredJob } from "./journal.ts";
import type { FunctionSettings } from "./limits.ts";
import { Peer } from "./peer.ts";
import { closePeer, encodeFailure, failureFor, sendError, sendToSubmission } from "./replies.ts";
import { adopt, restore, storedForm } from "./restore.ts";
import { dropOverrun, expireRun, loseRun, payOwedStatuses } from "./runs.ts";
import { type CoreNote, type CoreOptions, ServerState } from "./state.ts";
import { submitUnattended, type Unattended } from "./submissions.ts";
import { firstOfUnique, type JobView, jobView, numberOfHandle, uniqueView } from "./views.ts";
import { answerGrab, endTurn, expireWakes, nextWakeMs, resetAbilities, wakeFor } from "./workers.ts";

/** Packets of this size that came in several chunks are not copied any more, where they are only passed on. */
const SHARE_PACKET_BYTES = 32 * 1024;

/**
 * The job server without sockets, timers, clock or randomness: bytes and times in, bytes and times out. The same
 * calls in the same order give the same bytes, which is what the simulation stands on.
 *
 * A turn of the shell: `setClock`, any number of `receive`, `disconnect`, `connect` and `drained`, then send what
 * the connections of `takeDirty` have in their outboxes, log `takeNotes`, and call `tick` at `nextTickMs`.
 */
export class JobServerCore {
  readonly state: ServerState;

  constructor(options: CoreOptions) {
    this.state = new ServerState(options);
  }

  /**
   * Sets both clocks.
   * @param nowMs Milliseconds on a clock that only goes forward.
   * @param wallMs Milliseconds since 1970; may jump.
   */
  setClock(nowMs: number, wallMs: number): void {
    this.state.nowMs = nowMs;
    this.state.wallMs = wallMs;
  }

  /**
   * A connection was accepted.
   * @param address The other end as a person would name it.
   * @param owner What the shell wants to find at the peer again.
   * @param identity Who it is. Default: anyone, who may do everything. With an identity that has no room for another
   * connection the peer is closed as soon as it has been told.
   */
  connect(address: string, owner?: unknown, identity: Identity = ANYONE): Peer {
    const { state } = this;
    const limits = {
      maxBodyBytes: state.limits.maxPacketBytes,
      maxLineBytes: state.limits.maxLineBytes,
      shareBytes: SHARE_PACKET_BYTES,
    };
    const peer = new Peer(state.nextPeerId++, address, owner, limits, state.pages);
    state.peers.add(peer);
    state.counts.connections++;
    if (identity !== ANYONE) become(state, peer, identity);
    return peer;
  }

  /** Bytes from a connection. They are only lent: when the call is over the caller may change them. */
  receive(peer: Peer, chunk: Uint8Array): void {
    if (peer.gone || peer.closing !== null) return;
    if (peer.stalled) {
      peer.waitingChunks ??= [];
      peer.waitingChunks.push(new Uint8Array(chunk));
      return;
    }
    peer.stream.push(chunk);
    this.#read(peer);
    if (peer.stalled) peer.stream.own();
  }

  /** A connection has read what it was sent: its own requests go on, and owed statuses leave. */
  drained(peer: Peer): void {
    if (peer.gone) return;
    payOwedStatuses(this.state, peer);
    if (!peer.stalled || peer.closing !== null) return;
    peer.stalled = false;
    this.#read(peer);
    while (!peer.stalled && peer.closing === null && peer.waitingChunks !== null) {
      const chunk = peer.waitingChunks.shift();
      if (chunk === undefined) peer.waitingChunks = null;
      else {
        peer.stream.push(chunk);
        this.#read(peer);
      }
    }
  }

  /** A connection is over: its jobs go to other workers, its submissions leave. */
  disconnect(peer: Peer): void {
    if (peer.gone) return;
    const { state } = this;
    peer.gone = true;
    peer.pendingGrab = null;
    state.peers.delete(peer);
    state.unfinished.delete(peer);
    state.strangers.delete(peer);
    leaveAccount(peer);
    while (peer.submissions !== null) leaveJob(state, peer.submissions, true);
    resetAbilities(state, peer);
    for (const [number, { fn }] of peer.overruns ?? []) {
      dropOverrun(state, peer, number);
      wakeFor(state, fn, 0);
    }
    while (peer.runs !== null) loseRun(state, peer.runs);
  }

  /** Does what has become due. To be called at `nextTickMs`, and harmless at any other time. */
  tick(): void {
    const { state } = this;
    const { nowMs, wallMs } = state;
    for (let run = state.runTimers.takeDue(nowMs); run !== undefined; run = state.runTimers.takeDue(nowMs)) {
      expireRun(state, run);
    }
    for (let due = state.dueJobs.takeDue(wallMs); due !== undefined; due = state.dueJobs.takeDue(wallMs)) {
      fallDue(state, due.job);
    }
    const { submissionTimers } = state;
    for (
      let late = submissionTimers.takeDue(nowMs);
      late !== undefined;
      late = submissionTimers.takeDue(nowMs)
    ) {
      const failure = encodeFailure(state, late.job.number, "deadline");
      sendToSubmission(state, late, failureFor(late.peer, failure));
      late.job.fn.times.waits.observe(nowMs - late.sinceMs);
      leaveJob(state, late);
    }
    expireWakes(state);
    for (const [peer, endsMs] of state.unfinished) {
      if (endsMs > nowMs) break;
      state.unfinished.delete(peer);
      state.note({ code: "PROTOCOL_VIOLATION", peer, detail: "unfinished packet" });
      closePeer(state, peer, "unfinished packet");
    }
    expireStrangers(state);
    for (const [fn, endsMs] of state.idleFunctions) {
      if (endsMs > nowMs) break;
      forgetFunction(state, fn);
    }
    state.lingering.expire(nowMs);
    state.outcomes.expire(wallMs);
    state.fleet?.tick();
  }

  /**
   * When `tick` has something to do, on the forward clock; `Infinity` when never. A wall clock that jumps is
   * noticed within a minute, since a wait for a date never exceeds one.
   */
  get nextTickMs(): number {
    const { state } = this;
    const wait = Math.max(0, state.dueJobs.nextMs - state.wallMs);
    let next = Math.min(state.runTimers.nextMs, state.submissionTimers.nextMs);
    next = Math.min(next, state.nowMs + (wait === Number.POSITIVE_INFINITY ? wait : Math.min(wait, 60_000)));
    next = Math.min(next, nextWakeMs(state), state.fleet?.nextTickMs ?? next);
    for (const endsMs of state.unfinished.values()) {
      next = Math.min(next, endsMs);
      break;
    }
    for (const endsMs of state.strangers.values()) {
      next = Math.min(next, endsMs);
      break;
    }
    for (const endsMs of state.idleFunctions.values()) {
      next = Math.min(next, endsMs);
      break;
    }
    return next;
  }

  /**
   * Ends the turn: the connections with something to send or to close, each once. The caller clears `dirty` of each it
   * serves.
   */
  takeDirty(): readonly Peer[] {
    endTurn(this.state);
    const dirty = this.state.dirty;
    if (dirty.length > 0) this.state.dirty = [];
    return dirty;
  }

  /**
   * Begins a commit of what the store does not know yet. `commitEnded` must be told of its end before the next one.
   * @returns null when there is nothing to commit, or one is under way.
   */
  beginCommit(): Commit | null {
    const { journal } = this.state;
    if (journal === null || journal.isWriting || journal.isEmpty) return null;
    return journal.begin((job, letter) => storedForm(this.state, job, letter));
  }

  /**
   * The commit under way has been made, or has failed: those who wait for it are answered. What failed, other than
   * submissions, is part of the next one.
   */
  commitEnded(succeeded: boolean): void {
    const { state } = this;
    state.storeFails = !succeeded;
    const acks = succeeded ? state.journal!.succeed() : state.journal!.fail();
    for (const ack of acks) settleClaim(state, ack, succeeded);
  }

  /**
   * A schedule submits its job: a background submission, which joins a live job of its unique.
   * @returns false when the queue is full; the schedule counts as fired all the same.
   */
  fire(fired: Fired, wanted: Unattended): boolean {
    this.state.journal?.fired(fired);
    return submitUnattended(this.state, wanted);
  }

  /**
   * Takes back a job or a dead letter of an earlier start. Before anything else is told to the core, and in the order of
   * their ids, which lie below `firstHandle`.
   */
  restore(stored: StoredJob): void {
    restore(this.state, stored);
  }

  /**
   * Gives away the numbers of the next `count` jobs, for jobs of another server.
   * @returns the first of their ids.
   */
  allot(count: number): number {
    const { state } = this;
    const first = state.handles.decimal(state.nextJobNumber);
    state.nextJobNumber += count;
    return first;
  }

  /** Takes over a job or a dead letter of another server, under an id that `allot` gave. */
  adopt(stored: StoredJob): void {
    adopt(this.state, stored);
  }

  /** Job number of a handle, or -1 when it is none of this server's. */
  numberOf(handle: string): number {
    return numberOfHandle(this.state, handle);
  }

  /** The number that the next new job gets. */
  get nextJobNumber(): number {
    return this.state.nextJobNumber;
  }

  /** A job, or how a background one ended; null when neither is known. */
  view(number: number): JobView | null {
    return jobView(this.state, number);
  }

  /** The same by function and unique, both byte strings. */
  viewUnique(fn: string, unique: string): JobView | null {
    return uniqueView(this.state, fn, unique);
  }

  /** The first live job of a unique, of the functions that `takes` names. */
  findUnique(unique: string, takes: (fn: string) => boolean): JobView | null {
    return firstOfUnique(this.state, unique, takes);
  }

  /** Whether a connected worker can do a function. */
  hasWorker(fn: string): boolean {
    return (this.state.functions.get(fn)?.workers ?? 0) > 0;
  }

  takeNotes(): readonly CoreNote[] {
    const notes = this.state.notes;
    if (notes.length > 0) this.state.notes = [];
    return notes;
  }

  /** No worker is given a job from now on; reports of what runs still count. */
  stopAssigning(): void {
    this.state.assigning = false;
  }

  /**
   * Asks for every connection which identity takes the place of its own. Those that have none any more, or that have
   * under way what they may no longer do, are closed.
   * @param reason For the log.
   */
  reidentify(next: (identity: Identity) => Identity | null, reason: string): void {
    reidentify(this.state, next, reason);
  }

  /** Gives every function its settings anew, from a changed configuration. */
  applySettings(settingsFor: (name: string) => FunctionSettings): void {
    for (const fn of this.state.functions.values()) {
      fn.settings = settingsFor(fn.name);
      fn.updateReadiness();
      wakeFor(this.state, fn, 0);
    }
  }

  /** Handles all whole messages of a connection, until it has too much unread. */
  #read(peer: Peer): void {
    const { state } = this;
    const { stream } = peer;
    const pauseBytes = state.limits.pauseBytes;
    for (;;) {
      if (peer.backlogBytes > pauseBytes) {
        peer.stalled = true;
        // What it sends next waits here: its silence is not its own.
        state.unfinished.delete(peer);
        return;
      }
      // Answers come in the order of the requests.
      if (peer.pendingGrab !== null && stream.hasUnread) answerGrab(state, peer);
      const found = stream.next();
      if (found === Found.MORE) break;
      if (found === Found.PACKET) {
        state.packets++;
        if (peer.identity === STRANGER && !mayComeFromStranger(stream)) refuseStranger(state, peer);
        else if (stream.magic === REQ) this.#receive(peer, stream);
        else sendError(state, peer, "INVALID_MAGIC", "Request magic expected");
      } else if (found === Found.LINE) {
        receiveLine(state, peer, stream.line);
      } else {
        this.#refuse(peer, found);
      }
      if (peer.closing !== null) break;
    }
    if (stream.unfinishedBytes > 0 && peer.closing === null) {
      // Moved to the end of the map, which is in the order of time.
      state.unfinished.delete(peer);
      state.unfinished.set(peer, state.nowMs + state.limits.unfinishedMs);
    } else if (state.unfinished.size > 0) {
      state.unfinished.delete(peer);
    }
  }

  #receive(peer: Peer, stream: PacketStream): void {
    const { pages } = stream;
    if (pages !== null && !takesPages(stream.type, stream.bytes, stream.start)) stream.join();
    receivePacket(this.state, peer, stream.type, stream.bytes, stream.start, stream.end, stream.pages);
  }

  #refuse(peer: Peer, found: Found): void {
    const { state } = this;
    let detail = "bad magic";
    if (found === Found.BODY_TOO_LARGE) {
      detail = `body of ${peer.stream.declaredBytes} bytes, limit ${peer.streamLimits.maxBodyBytes}`;
      sendError(state, peer, "ARGUMENT_TOO_LARGE", "Packet is too large");
    } else if (found === Found.LINE_TOO_LONG) {
      detail = `line longer than ${state.limits.maxLineBytes} bytes`;
    }
    state.note({ code: "PROTOCOL_VIOLATION", peer, detail });
    closePeer(state, peer, detail);
  }
}
