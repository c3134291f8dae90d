import { byteString, Found, PacketStream, PacketType, packetName } from "@drover/protocol";
import { type JobServerCore, type Peer, WorkerState } from "../../packages/server/src/core/index.ts";
import { handleLine } from "./naive/admin.ts";
import { fallDue } from "./naive/jobs.ts";
import { handlePacket, settleGrab } from "./naive/messages.ts";
import { candidates, disconnect, expireRuns } from "./naive/runs.ts";
import {
  type ExpectedReply,
  forgetOwed,
  type NaiveJob,
  type NaiveOptions,
  NaivePeer,
  NaiveState,
} from "./naive/state.ts";
import { ensure, Violation } from "./violation.ts";

/*
 * The invariants that are checked after every step, by what each connection was sent: the naive server says what that
 * must be. Rules are named as in the design: S1, S3 … S10. `walk.ts` adds the slower ones, which look inside.
 */

/** One connection as it is judged. */
export interface Watched {
  readonly peer: Peer;
  readonly naive: NaivePeer;
  /** Decodes what the connection was sent. */
  readonly wire: PacketStream;
  /** Bytes it had not read when the turn began. */
  unsentBefore: number;
  /** Bytes it was sent in this turn. */
  sentBytes: number;
  /** It had too much unread to get a status, and has not read everything since. */
  slow: boolean;
  /** When the server last got a byte from it. */
  heardMs: number;
  noops: number;
}

const WIRE_LIMITS = { maxBodyBytes: 1_000_000, maxLineBytes: 100_000 };

export class Judge {
  readonly naive: NaiveState;
  readonly #core: JobServerCore;
  readonly #watched = new Map<NaivePeer, Watched>();
  /** How often a ready function was passed over, by abilities and priority. */
  readonly #passedOver = new Map<string, Map<string, number>>();

  constructor(core: JobServerCore, options: NaiveOptions) {
    this.#core = core;
    this.naive = new NaiveState(options);
  }

  connect(peer: Peer, nonsense: boolean): Watched {
    const naive = new NaivePeer(peer.id, nonsense);
    const wire = new PacketStream(WIRE_LIMITS);
    const watched = { peer, naive, wire, unsentBefore: 0, sentBytes: 0, slow: false, heardMs: 0, noops: 0 };
    this.naive.peers.add(naive);
    this.#watched.set(naive, watched);
    return watched;
  }

  /** The same time as the server's. */
  setClock(nowMs: number, wallMs: number): void {
    this.naive.nowMs = nowMs;
    this.naive.wallMs = wallMs;
  }

  /** The server found a message in what a connection sent, and is about to handle it. */
  read(watched: Watched, found: Found): void {
    const { peer, naive } = watched;
    this.#settleGrab();
    this.settleAnswered();
    ensure(peer.closing === null, "S9", () => `${name(naive)} is read though it is closed`);
    if (naive.nonsense) return;
    const { stream } = peer;
    if (found === Found.PACKET) {
      this.#forgetTurns(stream.type);
      const body = wholeBody(stream);
      handlePacket(this.naive, naive, stream.type, body, 0, body.length);
    } else if (found === Found.LINE) {
      handleLine(this.naive, naive, stream.line);
    } else {
      throw new Violation("framing", `well-formed bytes were taken for ${found}`);
    }
    this.#forgetUnready();
  }

  /** The connection has read: what it is owed is due. */
  drained(watched: Watched): void {
    watched.slow = false;
    this.naive.touched.add(watched.naive);
  }

  tick(): void {
    this.#settleGrab();
    expireRuns(this.naive);
    fallDue(this.naive);
    const { lingering, outcomes, nowMs, wallMs, options } = this.naive;
    while (lingering.length > 0 && lingering[0]!.endsMs <= nowMs) lingering.shift();
    while (outcomes.length > 0 && outcomes[0]!.endedMs + options.limits.outcomeMs <= wallMs) outcomes.shift();
    this.#forgetUnready();
  }

  disconnect(watched: Watched): void {
    this.#settleGrab();
    this.naive.waitingGrabs.delete(watched.naive);
    this.#passedOver.clear();
    disconnect(this.naive, watched.naive);
    this.#watched.delete(watched.naive);
  }

  /** What a connection was sent in this turn. */
  sent(watched: Watched, chunks: readonly Uint8Array[]): void {
    const { wire } = watched;
    this.settleAnswered();
    this.naive.touched.add(watched.naive);
    for (const chunk of chunks) {
      watched.sentBytes += chunk.length;
      wire.push(chunk);
      for (let found = wire.next(); found !== Found.MORE; found = wire.next()) this.#wire(watched, found);
    }
  }

  /** After everything that was to be sent in this turn has been shown to `sent`. */
  endTurn(): void {
    this.settleAnswered();
    const { naive } = this;
    for (const peer of naive.waitingGrabs.keys())
      throw new Violation("grab", `${name(peer)} is not answered`);
    for (const peer of naive.touched) {
      const watched = this.#watched.get(peer);
      if (watched !== undefined) this.#endTurnOf(watched);
    }
    naive.touched.clear();
    this.#checkWakes();
  }

  #endTurnOf(watched: Watched): void {
    const { peer, naive } = watched;
    const { limits } = this.naive.options;
    ensure(watched.wire.unfinishedBytes === 0, "framing", () => `${name(naive)} was sent half a packet`);
    const backlog = watched.unsentBefore + watched.sentBytes;
    const { lastSleepWord } = naive;
    if (peer.closing !== null && !naive.over) {
      const slow = peer.closing === "slow reader" && backlog > limits.backlogBytes;
      const silentMs = this.naive.nowMs - watched.heardMs;
      const unfinished =
        peer.closing === "unfinished packet" && !peer.stalled && silentMs >= limits.unfinishedMs;
      ensure(
        naive.nonsense || slow || unfinished,
        "S9",
        () => `${name(naive)} is closed (${peer.closing}) without a reason of its own`,
      );
      naive.over = true;
    }
    if (naive.over || naive.nonsense) {
      naive.replies.length = 0;
      naive.cancels.length = 0;
      naive.reports.clear();
      naive.owed.clear();
    } else {
      ensure(
        naive.replies.length === 0,
        "S10",
        () => `${name(naive)} is not answered: ${describe(naive.replies[0]!)}`,
      );
      ensure(
        naive.cancels.length === 0,
        "cancel",
        () => `${name(naive)} is not told to cancel ${naive.cancels[0]}`,
      );
      for (const [handle, reports] of naive.reports) {
        ensure(
          reports.length === 0,
          reports[0]?.settlesStatuses === true ? "S1" : "S5",
          () =>
            `${name(naive)} does not get ${packetName(reports[0]!.packet.type)} ${JSON.stringify(reports[0]!.packet.body)} of ${handle}`,
        );
      }
      naive.reports.clear();
      if (naive.owed.size === 0) watched.slow = false;
      else {
        watched.slow ||= backlog > limits.pauseBytes;
        const [handle] = naive.owed.keys();
        ensure(watched.slow, "S5", () => `${name(naive)} reads, and does not get a status of ${handle}`);
      }
      this.#checkSleep(watched, lastSleepWord);
      const room = Math.max(limits.backlogBytes, limits.pauseBytes) + limits.maxPacketBytes;
      ensure(
        peer.backlogBytes <= room + limits.maxPacketBytes,
        "S8",
        () => `${name(naive)} has a backlog of ${peer.backlogBytes} bytes`,
      );
    }
    naive.lapsed.clear();
    naive.lastSleepWord = null;
    naive.preSleeps = 0;
    watched.noops = 0;
    watched.unsentBefore = peer.unsentBytes;
    watched.sentBytes = 0;
  }

  /** Whether a worker sleeps must follow from the packets exchanged. */
  #checkSleep(watched: Watched, lastSleepWord: boolean | null): void {
    const { peer, naive, noops } = watched;
    const sleeps = peer.workerState === WorkerState.ASLEEP;
    const before = naive.asleep ? 1 : 0;
    ensure(
      noops <= naive.preSleeps + before,
      "wake",
      () => `${name(naive)} got ${noops} NOOP without having said that it sleeps`,
    );
    let expected = sleeps;
    if (lastSleepWord === false || (lastSleepWord === null && noops > 0)) expected = false;
    else if (noops === 0) expected = lastSleepWord ?? naive.asleep;
    ensure(sleeps === expected, "S7", () => `${name(naive)} ${expected ? "sleeps" : "does not sleep"}`);
    naive.asleep = sleeps;
    if (noops > 0 && !sleeps && lastSleepWord !== false) naive.wokenMs = this.naive.nowMs;
    else if (lastSleepWord !== null) naive.wokenMs = Number.NEGATIVE_INFINITY;
  }

  /** S7: while a sleeping worker could take a job, as many are on their way as there are jobs. */
  #checkWakes(): void {
    const { naive } = this;
    const { limits, tickLateMs } = naive.options;
    // Noticed when the grace is over, if ticks come late.
    const since = naive.nowMs - limits.wakeGraceMs - tickLateMs;
    let onTheirWay = 0;
    for (const peer of naive.peers) if (peer.wokenMs >= since) onTheirWay++;
    for (const peer of naive.peers) {
      if (!peer.asleep || peer.over) continue;
      for (const ability of peer.abilities.keys()) {
        const fn = naive.functionOf(ability);
        const runnable = naive.runnable(fn);
        if (runnable === 0) continue;
        const wakes = this.#core.state.functions.get(ability)?.wakes ?? 0;
        ensure(
          runnable <= wakes && onTheirWay > 0,
          "S7",
          () =>
            `${name(peer)} sleeps while ${runnable} jobs of ${ability} wait, ${wakes} wakes count, ${onTheirWay} workers come`,
        );
      }
    }
  }

  /** Finds out which job the last grab got, so that the model can go on. One that got none waits. */
  #settleGrab(): void {
    const { naive } = this;
    const pending = naive.pendingGrab;
    if (pending === null) return;
    const { peer, reply } = pending;
    naive.pendingGrab = null;
    const given = this.#given(peer);
    if (given === undefined) naive.waitingGrabs.set(peer, reply);
    else settleGrab(naive, peer, reply, given);
    this.#forgetUnready();
  }

  /** Finds out which jobs those grabs got that have been answered since they found none; the wire must show the same. */
  settleAnswered(): void {
    const { naive } = this;
    this.#settleGrab();
    for (const [peer, reply] of naive.waitingGrabs) {
      if (this.#watched.get(peer)!.peer.pendingGrab !== null) continue;
      naive.waitingGrabs.delete(peer);
      settleGrab(naive, peer, reply, this.#given(peer));
      this.#forgetUnready();
    }
  }

  /** The job that the server has just given to a worker, which must be one that it could have; `undefined` = none. */
  #given(worker: NaivePeer): NaiveJob | undefined {
    const { naive } = this;
    const { peer } = this.#watched.get(worker)!;
    const newest = peer.runs?.job.number;
    const job = newest === undefined ? undefined : naive.jobs.get(newest);
    const given = job !== undefined && job.run === null ? job : undefined;
    const possible = candidates(naive, worker);
    if (given !== undefined) {
      if (possible !== null) this.#checkTurn(worker, possible, given.fn.name);
      return given;
    }
    ensure(
      possible === null || peer.closing !== null,
      "grab",
      () => `${name(worker)} got no job though ${possible!.functions[0]!.name} has one`,
    );
    return undefined;
  }

  /** Round robin: among functions of equal priority none is passed over more often than there are others. */
  #checkTurn(worker: NaivePeer, possible: NonNullable<ReturnType<typeof candidates>>, given: string): void {
    const key = `${possible.priority} ${[...worker.abilities.keys()].join()}`;
    const before = this.#passedOver.get(key);
    const after = new Map<string, number>();
    for (const { name: fn } of possible.functions) {
      if (fn === given) continue;
      const times = (before?.get(fn) ?? 0) + 1;
      ensure(
        times < worker.abilities.size,
        "round robin",
        () => `${fn} was passed over ${times} times by workers of ${key}`,
      );
      after.set(fn, times);
    }
    this.#passedOver.set(key, after);
  }

  /** A function that has nothing to run any more has not been passed over: it joins the others anew. */
  #forgetUnready(): void {
    const { naive } = this;
    for (const [key, times] of this.#passedOver) {
      const priority = Number(key[0]) as 0 | 1 | 2;
      for (const ability of times.keys()) {
        const fn = naive.functionOf(ability);
        if (fn.queues[priority].length === 0 || naive.runnable(fn) === 0) times.delete(ability);
      }
    }
  }

  #forgetTurns(type: number): void {
    const changes =
      type === PacketType.CAN_DO ||
      type === PacketType.CAN_DO_TIMEOUT ||
      type === PacketType.CANT_DO ||
      type === PacketType.RESET_ABILITIES;
    if (changes) this.#passedOver.clear();
  }

  #wire(watched: Watched, found: Found): void {
    const { wire, naive } = watched;
    if (naive.nonsense) {
      this.#wireOfNonsense(watched, found);
      return;
    }
    if (found === Found.LINE) {
      this.#line(naive, wire.line);
      return;
    }
    ensure(found === Found.PACKET, "framing", () => `${name(naive)} was sent bytes that are no packet`);
    const { type, bytes, start, end } = wire;
    switch (type) {
      case PacketType.NOOP:
        watched.noops++;
        return;
      case PacketType.WORK_DATA:
      case PacketType.WORK_WARNING:
      case PacketType.WORK_COMPLETE:
      case PacketType.WORK_FAIL:
      case PacketType.WORK_EXCEPTION:
      case PacketType.JOB_RESTARTED:
        this.#report(naive, type, byteString(bytes, start, end));
        return;
      case PacketType.WORK_STATUS:
        this.#status(naive, byteString(bytes, start, end));
        return;
      case PacketType.CANCEL: {
        const handle = byteString(bytes, start, end);
        ensure(
          naive.cancels.shift() === handle,
          "cancel",
          () => `${name(naive)} is told to cancel ${handle}`,
        );
        return;
      }
      default:
        this.#reply(naive, type, byteString(bytes, start, end));
    }
  }

  /** S10: answers leave in request order, and S5 for what they say. */
  #reply(naive: NaivePeer, type: number, body: string): void {
    const expected = naive.replies.shift();
    const got = () => `${name(naive)} got ${packetName(type)} ${JSON.stringify(body)}`;
    if (expected === undefined) throw new Violation("S10", `${got()} without having asked`);
    if (expected.kind === "packet") {
      const same = expected.type === type && (expected.body === body || expected.others?.includes(body));
      ensure(
        same === true,
        expected.type === type ? "join" : "S10",
        () => `${got()}, not ${describe(expected)}`,
      );
      if (expected.submission !== null) expected.submission.announced = true;
    } else if (expected.kind === "grab") {
      const { answer } = expected;
      ensure(
        answer?.type === type && answer.body === body,
        "grab",
        () => `${got()}, not ${describe(expected)}`,
      );
    } else {
      throw new Violation("S10", `${got()} instead of a line of text`);
    }
  }

  #line(naive: NaivePeer, line: string): void {
    const expected = naive.replies[0];
    ensure(expected?.kind === "text", "S10", () => `${name(naive)} got the line ${line}`);
    if (expected.list && line !== ".") {
      expected.lines.push(line);
      return;
    }
    if (!expected.list) expected.lines.push(line);
    naive.replies.shift();
    expected.check(expected.lines);
  }

  /** S5: every submission gets each report of its job, once, in order, and never before its `JOB_CREATED`. */
  #report(naive: NaivePeer, type: number, body: string): void {
    const nul = body.indexOf("\0");
    const handle = nul < 0 ? body : body.slice(0, nul);
    const got = () => `${name(naive)} got ${packetName(type)} ${JSON.stringify(body)}`;
    const expected = naive.reports.get(handle)?.shift();
    if (expected === undefined) throw new Violation("S1", `${got()}, which is not due`);
    const { packet, submission, settlesStatuses } = expected;
    ensure(
      packet.type === type && packet.body === body,
      "S5",
      () => `${got()}, not ${packetName(packet.type)} ${JSON.stringify(packet.body)}`,
    );
    ensure(submission.announced, "S10", () => `${got()} before JOB_CREATED`);
    ensure(
      !settlesStatuses || submission.statusesDue.length === 0,
      "S5",
      () => `${got()} before the newest status`,
    );
  }

  /** S5: statuses come in order, each once for each submission; a slow connection may skip all but the newest. */
  #status(naive: NaivePeer, body: string): void {
    const handle = body.slice(0, body.indexOf("\0"));
    for (const submission of naive.owed.get(handle) ?? []) {
      const at = submission.statusesDue.indexOf(body);
      if (at < 0 || !submission.announced) continue;
      submission.statusesDue.splice(0, at + 1);
      if (submission.statusesDue.length === 0) forgetOwed(submission, handle);
      return;
    }
    ensure(
      naive.lapsed.has(body),
      "S5",
      () => `${name(naive)} got the status ${JSON.stringify(body)} out of turn`,
    );
  }

  /** Whoever speaks nonsense learns nothing of others. */
  #wireOfNonsense({ wire, naive }: Watched, found: Found): void {
    if (found !== Found.PACKET) return;
    const harmless: readonly number[] = [
      PacketType.ERROR,
      PacketType.ECHO_RES,
      PacketType.OPTION_RES,
      PacketType.STATUS_RES,
      PacketType.STATUS_RES_UNIQUE,
      PacketType.OUTCOME_RES,
      PacketType.NO_JOB,
      PacketType.NOOP,
    ];
    ensure(
      harmless.includes(wire.type),
      "S9",
      () => `${name(naive)}, who speaks nonsense, got ${packetName(wire.type)}`,
    );
  }
}

/** The body of the packet just found, which the stream hands out in pages if it is large. */
function wholeBody({ bytes, start, end, pages }: PacketStream): Uint8Array {
  return pages === null ? bytes.subarray(start, end) : pages.copy(start, end);
}

function name(peer: NaivePeer): string {
  return `connection ${peer.id}`;
}

function describe(expected: ExpectedReply): string {
  if (expected.kind === "text") return "a line of text";
  const packet = expected.kind === "grab" ? expected.answer : expected;
  return packet === null
    ? "the answer to a grab"
    : `${packetName(packet.type)} ${JSON.stringify(packet.body)}`;
}
