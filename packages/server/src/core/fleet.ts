import { encodeOptions, encodePacket, type JobTrace, PacketType, RES } from "@drover/protocol";
import { Member } from "./fleet-member.ts";
import { type MemberView, viewMembers } from "./fleet-view.ts";
import { Forward, optionsOf, workloadOf } from "./forward.ts";
import { GivenHandles } from "./given-handles.ts";
import { replayLimit } from "./history.ts";
import { type Job, JobState, Run } from "./job.ts";
import { endJob } from "./jobs.ts";
import { Peer } from "./peer.ts";
import { type Question, Questions } from "./questions.ts";
import { relayData, relayEnd, relayStatus, relayToAll } from "./relayed.ts";
import { encodeHandleReport, releaseReplies, sendError, sendWhenStored } from "./replies.ts";
import { announceRestart, endRun } from "./runs.ts";
import type { ServerState } from "./state.ts";
import { createJob, join, type SubmissionRequest, subscribeNew } from "./submissions.ts";
import { relayTrace } from "./traces.ts";

/** What is submitted to a member: a `SUBMIT_JOB_EXT` with these arguments, on a connection that said `drover.peer:NAME`. */
export interface ForwardedSubmission {
  /** What becomes of it is told under this number. Never used again. */
  readonly id: number;
  readonly fn: string;
  readonly unique: string;
  /** Has the mark `forwarded=1`. */
  readonly options: string;
  readonly background: boolean;
  readonly workload: Uint8Array;
}

/**
 * What a fleet has done, by the shell or by a simulation. Must not tell the `Fleet` anything within these calls, but later.
 */
export interface FleetLinks {
  /** Submits to a member that is up, or to the server itself (as any member, over a connection of its own). */
  submit(member: string, submission: ForwardedSubmission): void;
  /** Takes a submission back (`DETACH`, as soon as its handle is known). Nothing more is told of it. */
  leave(member: string, id: number): void;
  /** Asks a member about a job; `Fleet.questions` is told the answer, once, unless the member is lost. */
  ask(member: string, id: number, question: Question): void;
}

export interface FleetOptions {
  readonly self: string;
  /** All names, the own one included or not. */
  readonly members: readonly string[];
  /** Names of the members for a key, the owner first. Both are byte strings; for the unique `-` the workload is given. */
  readonly rank: (members: readonly string[], fn: string, unique: string | Uint8Array) => readonly string[];
  readonly links: FleetLinks;
  /** How long a member that was away has to answer before keys go to it again. Default: 5,000. */
  readonly returnHoldMs?: number;
  /** How long the start waits for the first word of a member. Default: 3,000. */
  readonly connectGraceMs?: number;
}

/** Since the start. */
export class FleetCounts {
  forwarded = 0;
  asked = 0;
  rerouted = 0;
  refused = 0;
}

const MAX_MS = Number.POSITIVE_INFINITY;
/** What the names of options and of the packet add to a workload, generously. */
const OVERHEAD_BYTES = 4096;

/**
 * The server's place in a fleet: submissions of keys that others own are forwarded to them, and what they report is
 * relayed. Pure, as all of this folder: times come from `ServerState`, what is to be sent goes to `FleetLinks`, and what
 * comes is told by the methods below, within a turn of the core.
 *
 * A forwarded foreground submission is a job here, which "runs" on the pseudo worker of a member (`Member.relay`): so
 * joining, replay, deadlines and slow readers are those of any job. Submissions that join it here cost the owner nothing.
 * What cannot join it here (higher priority, outgrown history, `rerunIfActive`, later dates) is forwarded on its own, and
 * the owner decides.
 *
 * A member is *unknown* until its link has come up once or `connectGraceMs` has passed, *up*, *returning* for a while after it was away, or
 * *down*. A key goes to the first in its rank that is up. Before that, those who may run it in that member's place are
 * asked (`joinOnly`): a returning one before it, and all that were there while it was away, until each has said
 * `NOTHING_HELD`. So a returned owner gets no second run of what its fallback still runs.
 *
 * A simulation attaches one `Fleet` to each core by `attach`, carries `FleetLinks.submit` to the other core as the packet
 * (or as it likes), and tells `up`, `down`, `created`, `data`, …; `tick` and `nextTickMs` of the core include the fleet's.
 */
export class Fleet {
  readonly self: Member;
  readonly counts = new FleetCounts();
  readonly #state: ServerState;
  readonly #options: FleetOptions;
  #members = new Map<string, Member>();
  readonly #forwards = new Map<number, Forward>();
  readonly #ofJobs = new Map<Job, Forward>();
  /** Jobs that run or wait here in the place of others: those others. */
  readonly #foreign = new Map<Job, readonly Member[]>();
  /** Wait for the first word of a member. */
  readonly #waiting = new Set<Forward>();
  #nextId = 1;
  #pendingBackground = 0;
  readonly given = new GivenHandles();
  readonly questions: Questions;

  constructor(state: ServerState, options: FleetOptions) {
    this.#state = state;
    this.#options = options;
    this.questions = new Questions(state, (member, question) => {
      if (this.#members.get(member)?.isReachable !== true) return undefined;
      const id = this.#nextId++;
      options.links.ask(member, id, question);
      return id;
    });
    this.self = this.#member(options.self, true);
    this.setMembers(options.members);
  }

  /** Makes a core a member of a fleet. */
  static attach(state: ServerState, options: FleetOptions): Fleet {
    const fleet = new Fleet(state, options);
    state.fleet = fleet;
    return fleet;
  }

  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  view(): MemberView[] {
    return viewMembers(this, this.#state.nowMs);
  }

  /** Submissions under way to other members. */
  get size(): number {
    return this.#ofJobs.size + this.#pendingBackground;
  }

  /** Background submissions that no owner has acknowledged yet. */
  get unacknowledged(): number {
    return this.#pendingBackground;
  }

  /** Jobs that are here in the place of other members. */
  get foreignJobs(): number {
    return this.#foreign.size;
  }

  /** The list has changed. What is under way at a member that left goes on there while its link lasts. */
  setMembers(names: readonly string[]): void {
    const before = this.#members;
    this.#members = new Map();
    for (const name of [...new Set([this.self.name, ...names])].sort()) {
      this.#members.set(
        name,
        name === this.self.name ? this.self : (before.get(name) ?? this.#member(name, false)),
      );
    }
    for (const member of this.#members.values())
      member.holders = new Set(this.members.filter((one) => one !== member));
    for (const member of before.values()) {
      if (!this.#members.has(member.name)) member.hasLeft = true;
    }
    this.#foreign.clear();
    for (const member of this.#members.values()) member.heldForIt = 0;
    for (const job of this.#state.jobs.values()) if (!this.relays(job)) this.entered(job);
    for (const forward of [...this.#forwards.values(), ...this.#waiting]) {
      const { fn, unique } = forward;
      forward.ranked = this.rank(fn.name, unique === "-" ? workloadOf(forward) : unique);
    }
    // Some may have waited for a member that is no longer one.
    this.#resume();
  }

  /** The members in the order in which a key goes to them. */
  rank(fn: string, unique: string | Uint8Array): Member[] {
    const names = [...this.#members.keys()];
    return this.#options.rank(names, fn, unique).flatMap((name) => this.#members.get(name) ?? []);
  }

  /** The link to a member is up, and the member speaks drover.1 and took us for a peer. */
  up(name: string): void {
    const member = this.#members.get(name);
    if (member === undefined || member.state === "up" || member.state === "returning") return;
    const returns = member.state === "down";
    member.become(returns ? "returning" : "up", this.#state.nowMs);
    this.#state.note({ code: "MEMBER_UP", member: name, detail: member.address });
    if (returns) {
      for (const other of this.#members.values()) if (other !== member) other.holders.add(member);
      member.holders = new Set(this.members.filter((one) => one !== member));
    }
    this.#resume();
  }

  /** The link to a member is lost, or could not be made: everything that was there is lost. */
  down(name: string): void {
    const member = this.#members.get(name);
    // All servers of a fleet may start at once: a first refusal says nothing before the grace is over.
    if (member !== undefined && !member.isSelf && member.isReachable) this.#lose(member);
    this.questions.lost(name);
    for (const forward of [...this.#forwards.values()]) {
      if (forward.at?.name === name) this.#lost(forward);
    }
    this.#resume();
  }

  /** Does what has become due. */
  tick(): void {
    const { nowMs } = this.#state;
    const { returnHoldMs = 5_000, connectGraceMs = 3_000 } = this.#options;
    let changed = false;
    for (const member of this.#members.values()) {
      if (member.state === "returning" && member.sinceMs + returnHoldMs <= nowMs) member.become("up", nowMs);
      else if (member.state === "unknown" && !member.isSelf && member.sinceMs + connectGraceMs <= nowMs) {
        this.#lose(member);
        changed = true;
      }
    }
    if (changed) this.#resume();
  }

  #lose(member: Member): void {
    member.become("down", this.#state.nowMs);
    this.#state.note({ code: "MEMBER_LOST", member: member.name, detail: member.problem });
  }

  get nextTickMs(): number {
    const { returnHoldMs = 5_000, connectGraceMs = 3_000 } = this.#options;
    let next = MAX_MS;
    for (const { state, sinceMs } of this.#members.values()) {
      if (state === "returning") next = Math.min(next, sinceMs + returnHoldMs);
      else if (state === "unknown") next = Math.min(next, sinceMs + connectGraceMs);
    }
    return next;
  }

  /* Of the core */

  /** Whether a job stands for one of another member. */
  relays(job: Job): boolean {
    return this.#ofJobs.has(job);
  }

  /** Where a forwarded job is now; undefined for others. */
  placeOf(job: Job): { readonly member: string; readonly handle: string } | undefined {
    const forward = this.#ofJobs.get(job);
    return forward && { member: forward.at?.name ?? "", handle: forward.handle };
  }

  /** A job with a key is to run here. */
  entered(job: Job): void {
    if (job.key === "") return;
    const unique = job.key.startsWith("\0") ? job.workload.copy(job.start, job.end) : job.key;
    const ranked = this.rank(job.fn.name, unique);
    const before = ranked.slice(0, ranked.indexOf(this.self));
    if (before.length === 0) return;
    this.#foreign.set(job, before);
    for (const member of before) member.heldForIt++;
  }

  /** A job has ended here. @returns whether it stood for one elsewhere. */
  ended(job: Job): boolean {
    for (const member of this.#foreign.get(job) ?? []) member.heldForIt--;
    this.#foreign.delete(job);
    const forward = this.#ofJobs.get(job);
    if (forward === undefined) return false;
    this.#ofJobs.delete(job);
    this.#forget(forward);
    return true;
  }

  /** Nobody here waits for a forwarded job any more. */
  abandon(job: Job): void {
    const forward = this.#ofJobs.get(job)!;
    if (forward.at !== null) this.#options.links.leave(forward.at.name, forward.id);
    this.#end(job);
  }

  /**
   * Takes a submission whose key has no job of this server's own.
   * @param existing The relayed job of the key.
   * @returns false when it is this server's to run.
   */
  takes(peer: Peer, request: SubmissionRequest, key: string, existing: Job | undefined): boolean {
    const state = this.#state;
    if (request.forwarded) {
      if (request.joinOnly === "") return false;
      const target = this.#members.get(request.joinOnly);
      const isOver = target !== undefined && target.state === "up" && target.heldForIt === 0;
      if (isOver) sendError(state, peer, "NOTHING_HELD", "No job is held in that server's place");
      else sendError(state, peer, "JOB_NOT_FOUND", "Job does not exist");
      return true;
    }
    if (existing !== undefined && this.#joinsHere(request, existing)) {
      join(state, peer, request, existing);
      return true;
    }
    const { unique, fn, pages, bytes, start, end } = request;
    const workload = pages === null ? bytes.slice(start, end) : pages.copy(start, end);
    const forward = new Forward(fn, unique, this.rank(fn.name, unique === "-" ? workload : unique));
    const at = existing === undefined ? undefined : this.#ofJobs.get(existing)?.at;
    if (at !== undefined && at !== null && !at.isSelf) forward.first = at;
    else if (this.#step(forward)?.member === this.self && !forward.waits) return false;
    if (this.size >= state.limits.maxForwarded) return this.#refuse(peer, fn.name, "maxForwarded");
    if (workload.length + OVERHEAD_BYTES > state.limits.maxPacketBytes) {
      sendError(state, peer, "ARGUMENT_TOO_LARGE", "Packet is too large to be forwarded");
      return true;
    }
    forward.options = optionsOf(request);
    if (request.background) {
      if (state.workloadBytes + workload.length > state.limits.maxWorkloadBytes) {
        return this.#refuse(peer, fn.name, "maxWorkloadBytes");
      }
      forward.workload = workload;
      state.workloadBytes += workload.length;
      this.#pendingBackground++;
      forward.number = existing?.number ?? state.nextJobNumber++;
      forward.answer = { peer, stored: undefined, packet: null };
      sendWhenStored(state, forward.answer);
    } else {
      const isPlain = !request.rerunIfActive && request.dueMs <= state.wallMs;
      const job = createJob(state, peer, request, isPlain ? key : "", true);
      if (job === null) return true;
      job.state = JobState.RUNNING;
      if (isPlain) state.uniques.set(job);
      forward.job = job;
      this.#ofJobs.set(job, forward);
      subscribeNew(state, peer, request, job);
    }
    this.counts.forwarded++;
    this.#route(forward);
    return true;
  }

  #joinsHere(request: SubmissionRequest, existing: Job): boolean {
    if (request.background || request.rerunIfActive || request.dueMs > this.#state.wallMs) return false;
    if (request.priority < existing.priority) return false;
    return existing.run?.outgrown !== true || replayLimit(this.#state, existing) === 0;
  }

  #refuse(peer: Peer, fn: string, limit: string): true {
    this.#state.counts.refused++;
    this.#state.note({ code: "LIMIT_REACHED", peer, limit, fn });
    sendError(this.#state, peer, "QUEUE_ERROR", "Too many submissions are being forwarded");
    return true;
  }

  /* Where a submission goes */

  /** The next step of a submission; sets `waits` when a member has to say its first word before. */
  #step(
    forward: Forward,
  ): { readonly member: Member; readonly target: Member; readonly asks: boolean } | undefined {
    const { ranked, asked, first } = forward;
    forward.waits = false;
    const target = ranked.find((member) => member.takesKeys) ?? this.self;
    if (first !== null && !asked.has(first) && first.isReachable)
      return { member: first, target, asks: true };
    const before = ranked.indexOf(target);
    const candidates = ranked.filter((member, place) => {
      if (member === target || member.isSelf || asked.has(member)) return false;
      return place < before ? member.state === "returning" : target.holders.has(member);
    });
    if (target.state === "unknown" || candidates.some((member) => member.state === "unknown")) {
      forward.waits = true;
      return { member: target, target, asks: false };
    }
    const member = candidates.find((one) => one.isReachable);
    return member === undefined ? { member: target, target, asks: false } : { member, target, asks: true };
  }

  #route(forward: Forward): void {
    const { member, target, asks } = this.#step(forward)!;
    const { job } = forward;
    if (job !== null) this.#place(job, member);
    if (forward.waits) {
      forward.at = null;
      this.#waiting.add(forward);
      return;
    }
    forward.id = this.#nextId++;
    forward.at = member;
    forward.asks = asks;
    forward.target = target;
    forward.handle = "";
    this.#forwards.set(forward.id, forward);
    if (asks) this.counts.asked++;
    else member.forwarded++;
    const { fn, unique, options, id } = forward;
    const workload = workloadOf(forward);
    const ask = asks ? `&${encodeOptions({ joinOnly: target.name })}` : "";
    this.#options.links.submit(member.name, {
      id,
      fn: fn.name,
      unique,
      options: options + ask,
      background: job === null,
      workload,
    });
  }

  /** Lets a job run on the pseudo worker of a member. */
  #place(job: Job, { relay }: Member): void {
    if (job.run?.worker === relay) return;
    if (job.run !== null) endRun(this.#state, job.run);
    this.#runOn(job, relay);
  }

  #runOn(job: Job, relay: Peer): void {
    const run = new Run(job, relay, this.#state.nowMs);
    job.run = run;
    run.begun = false;
    job.attempts = Math.max(1, job.attempts);
    run.next = relay.runs;
    if (relay.runs !== null) relay.runs.previous = run;
    relay.runs = run;
    relay.runCount++;
    this.#state.running++;
  }

  #resume(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const forward of waiting) this.#route(forward);
  }

  #lost(forward: Forward): void {
    this.#forwards.delete(forward.id);
    forward.at = null;
    const { job } = forward;
    if (++forward.reroutes > this.#state.limits.maxReroutes) {
      this.#fail(forward, "QUEUE_ERROR", "The servers that were to run it were lost");
      return;
    }
    this.counts.rerouted++;
    if (job !== null && forward.handle !== "") this.#restart(job);
    forward.asked.clear();
    this.#route(forward);
  }

  /** What was reported is void. */
  #restart(job: Job): void {
    const { run } = job;
    announceRestart(this.#state, job);
    job.attempts++;
    if (run === null) return;
    // A new run begins with no reports.
    endRun(this.#state, run);
    this.#runOn(job, run.worker);
  }

  #forget(forward: Forward): void {
    this.#forwards.delete(forward.id);
    this.#waiting.delete(forward);
  }

  #end(job: Job): void {
    if (job.run !== null) endRun(this.#state, job.run);
    endJob(this.#state, job);
  }

  #fail(forward: Forward, code: string, text: string): void {
    this.counts.refused++;
    const { job, answer } = forward;
    const state = this.#state;
    this.#forget(forward);
    if (answer !== null) {
      this.#settle(forward, encodePacket(RES, PacketType.ERROR, [code, text]));
      return;
    }
    state.note({ code: "FORWARD_REFUSED", fn: forward.fn.name, detail: `${code} ${text}` });
    if (job === null) return;
    relayToAll(state, job, encodeHandleReport(state, PacketType.WORK_FAIL, job.number));
    this.#end(job);
  }

  #settle(forward: Forward, packet: Uint8Array): void {
    const answer = forward.answer!;
    this.#pendingBackground--;
    this.#state.workloadBytes -= forward.workload.length;
    answer.packet = packet;
    answer.stored = true;
    releaseReplies(this.#state, answer.peer);
  }

  /* What is told of submissions: of one that is over or was left, nothing counts. */

  created(id: number, handle: string): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    forward.handle = handle;
    if (forward.answer === null) return;
    this.#forget(forward);
    this.given.add(forward.number, { member: forward.at!.name, handle, fn: forward.fn.name });
    const own = this.#state.handles.text(forward.number);
    this.#settle(forward, encodePacket(RES, PacketType.JOB_CREATED, [own]));
  }

  refused(id: number, code: string, text: string): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    if (!forward.asks) {
      this.#fail(forward, code, text);
      return;
    }
    const member = forward.at!;
    this.#forwards.delete(id);
    if (code === "NOTHING_HELD") forward.target.holders.delete(member);
    forward.asked.add(member);
    this.#route(forward);
  }

  /** `WORK_DATA` or `WORK_WARNING`. */
  data(id: number, type: number, chunk: Uint8Array): void {
    const job = this.#forwards.get(id)?.job ?? null;
    if (job !== null && job.run !== null) relayData(this.#state, job, job.run, type, chunk);
  }

  status(id: number, numerator: string, denominator: string): void {
    const job = this.#forwards.get(id)?.job ?? null;
    if (job !== null && job.run !== null) relayStatus(this.#state, job, job.run, numerator, denominator);
  }

  traced(id: number, trace: JobTrace): void {
    const job = this.#forwards.get(id)?.job ?? null;
    if (job !== null) relayTrace(this.#state, job, trace);
  }

  /** The job begins again at its server. */
  restarted(id: number): void {
    const job = this.#forwards.get(id)?.job ?? null;
    if (job !== null) this.#restart(job);
  }

  /** The last report. */
  complete(id: number, result: Uint8Array): void {
    this.#finish(id, PacketType.WORK_COMPLETE, result);
  }

  fail(id: number): void {
    this.#finish(id, PacketType.WORK_FAIL);
  }

  exception(id: number, exception: Uint8Array): void {
    this.#finish(id, PacketType.WORK_EXCEPTION, exception);
  }

  #finish(id: number, type: number, data?: Uint8Array): void {
    const job = this.#forwards.get(id)?.job ?? null;
    if (job === null) return;
    relayEnd(this.#state, job, type, data);
    this.#end(job);
  }

  #member(name: string, isSelf: boolean): Member {
    const { pages, nowMs } = this.#state;
    const relay = new Peer(0, `peer:${name}`, null, { maxBodyBytes: 0, maxLineBytes: 0 }, pages);
    relay.isRelay = true;
    return new Member(name, isSelf, relay, nowMs);
  }
}
