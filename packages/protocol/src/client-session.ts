import { encodePacket, type Packet, REQ, RES } from "./packet.ts";
import { PacketType, packetName } from "./packets.ts";
import type { WireError } from "./replies.ts";
import { type Asker, mismatch, Session } from "./session.ts";

export type Priority = "high" | "normal" | "low";

/** What to submit. Names are byte strings. */
export interface SubmitRequest {
  readonly function: string;
  /** Empty: never joins. `-`: joins by workload. */
  readonly unique: string;
  readonly workload: Uint8Array;
  /** Default: normal. */
  readonly priority?: Priority | undefined;
  /** Default: false. A background submission is told `created` and nothing more. */
  readonly background?: boolean | undefined;
  /** Unix time in whole seconds before which the job does not run. Gearman has it for background jobs only. */
  readonly epochSeconds?: number | undefined;
  /** Makes it a reduce job. */
  readonly reducer?: string | undefined;
  /** Options argument of `SUBMIT_JOB_EXT`, which is then used whatever else is set. Needs drover.1. */
  readonly options?: string;
}

/** Where a job and its run stand in traces, as values of `traceparent`. */
export interface JobTrace {
  /** The submission that made the job; empty when it has no trace. */
  readonly first: string;
  /** The run under way; empty when its worker has not told. */
  readonly run: string;
}

/** Who made a submission and is told what becomes of it. Handlers must not throw. */
export interface Submitter {
  created(handle: string): void;
  data(chunk: Uint8Array): void;
  warning(chunk: Uint8Array): void;
  /** Both as the worker sent them: mostly decimal numbers, but the protocol does not demand it. */
  status(numerator: string, denominator: string): void;
  /** The job lost its worker and begins again; what it reported so far is void. drover.1 only. */
  restarted(attempt: number): void;
  /** Only to one that sent a `traceparent`: before `created` when it joined, and when a worker tells of its run. */
  traced?(trace: JobTrace): void;
  /** One of the six below is the last thing told: the job succeeded … */
  complete(result: Uint8Array): void;
  /** … failed … */
  fail(): void;
  /** … failed with an exception … */
  exception(exception: Uint8Array): void;
  /** … was never created … */
  refused(error: WireError): void;
  /** … or was not yet over when the connection was. */
  lost(): void;
}

/** Answer to `GET_STATUS` and `GET_STATUS_UNIQUE`. */
export interface JobStatus {
  readonly known: boolean;
  readonly running: boolean;
  readonly numerator: string;
  readonly denominator: string;
  /** Clients that wait for the job; only `GET_STATUS_UNIQUE` tells it. */
  readonly waiting?: number;
}

/** Answer to `GET_OUTCOME`. */
export interface JobOutcome {
  readonly function: string;
  readonly unique: string;
  readonly handle: string;
  /** `unknown`, `queued`, `delayed`, `running`, `done`, `failed` or `dead`. */
  readonly state: string;
  readonly numerator: string;
  readonly denominator: string;
  readonly waiting: number;
  /** Unix time in milliseconds; 0 while it has not ended. */
  readonly endedMs: number;
}

/** A foreground submission that has its handle. */
interface Attached {
  submitter: Submitter;
  /** Reports that repeat what earlier submissions were told and that only this one still has to be told. */
  replaysDue: number;
}

/** All foreground submissions of this connection that share a handle. */
interface SharedJob {
  readonly attached: Attached[];
  /** Data and warnings of this attempt that the job has sent to each of them. */
  reports: number;
  /** Whose copy of the current report comes next; the server sends one for each. */
  nextCopy: number;
  status: string | undefined;
  attempt: number;
}

/**
 * The client's half of one connection, without I/O: gives requests their packets, answers to who asked, and reports to
 * the submissions of their handle. Bytes come decoded (`receive`) and leave through the sink.
 *
 * Submitting a unique twice on one connection gives one handle and, from the server, one copy of each report for each
 * submission. Since the copies of a report come in a row, the first belongs to the first submission, and so on.
 */
export class ClientSession extends Session {
  /**
   * Whether the server sends a late joiner, right after its `JOB_CREATED`, the data and warnings so far. Drover does,
   * gearmand does not. It matters where one connection submits a unique twice, and has to be right then.
   */
  replays = false;
  readonly #jobs = new Map<string, SharedJob>();
  /** What the newest `JOB_TRACE` told: it may come right before the `JOB_CREATED` of a submission that joined. */
  #newestTrace: { readonly handle: string; readonly trace: JobTrace } | undefined;

  /** Foreground submissions that have a handle and no end. */
  get attached(): number {
    let count = 0;
    for (const job of this.#jobs.values()) count += job.attached.length;
    return count;
  }

  /** Submissions of this connection that the server counts as attached to a handle, forgotten ones too. */
  attachedTo(handle: string): number {
    return this.#jobs.get(handle)?.attached.length ?? 0;
  }

  /** @throws ProtocolError `NUL_IN_ARGUMENT`, and nothing was sent. */
  submit(request: SubmitRequest, submitter: Submitter): void {
    const background = request.background === true || request.epochSeconds !== undefined;
    const [type, args] = submitPacket(request);
    this.ask(type, args, request.workload, [PacketType.JOB_CREATED], submitter, (packet) => {
      const handle = packet.args[0]!;
      const job = background ? undefined : this.#attach(handle, submitter);
      const traced = this.#newestTrace;
      this.#newestTrace = undefined;
      if (traced?.handle === handle) submitter.traced?.(traced.trace);
      submitter.created(handle);
      // The replayed one will not be told, being equal to the newest.
      if (job?.status !== undefined && this.replays) tellStatus(submitter, job.status);
    });
  }

  /** A job's state by handle. Stock gearmand never answers a handle above 63 bytes. */
  getStatus(handle: string, asker: Asker<JobStatus>): void {
    this.ask(PacketType.GET_STATUS, [handle], undefined, [PacketType.STATUS_RES], asker, ({ args }) => {
      if (args[0] !== handle) throw mismatch("STATUS_RES", "another handle");
      asker.answer(statusOf(args));
    });
  }

  /** The state of the job with a unique, of whichever function. Stock gearmand never answers above 63 bytes. */
  getStatusOfUnique(unique: string, asker: Asker<JobStatus>): void {
    // Whether the first argument is the unique or the handle depends on the server, so it is not looked at.
    const answer = ({ args }: Packet) => asker.answer({ ...statusOf(args), waiting: Number(args[5]) });
    const reply = [PacketType.STATUS_RES_UNIQUE];
    this.ask(PacketType.GET_STATUS_UNIQUE, [unique], undefined, reply, asker, answer);
  }

  /** What became of a job, by function and unique, or by handle with an empty unique. Needs drover.1. */
  getOutcome(functionOrHandle: string, unique: string, asker: Asker<JobOutcome>): void {
    const names = [functionOrHandle, unique];
    this.ask(PacketType.GET_OUTCOME, names, undefined, [PacketType.OUTCOME_RES], asker, ({ args }) =>
      asker.answer({
        function: args[0]!,
        unique: args[1]!,
        handle: args[2]!,
        state: args[3]!,
        numerator: args[4]!,
        denominator: args[5]!,
        waiting: Number(args[6]),
        endedMs: Number(args[7]),
      }),
    );
  }

  /** Leaves a job: its submissions here are told nothing more, not even `lost`. Needs drover.1. */
  detach(handle: string): void {
    this.#jobs.delete(handle);
    this.sink.write(encodePacket(REQ, PacketType.DETACH, [handle]));
  }

  /**
   * Leaves a job whose server cannot be told. Its copies of the reports, which go on coming, reach nobody; it still
   * counts as attached, as it does for the server.
   */
  forget(handle: string, submitter: Submitter): void {
    for (const attached of this.#jobs.get(handle)?.attached ?? []) {
      if (attached.submitter === submitter) attached.submitter = NOBODY;
    }
  }

  /**
   * Takes a packet from the server. Reports of jobs that this connection is not attached to are dropped: they were
   * under way when it left.
   * @returns false when it is no packet for a client, nor an answer.
   * @throws ProtocolError when the server broke the protocol: the connection is of no more use.
   */
  receive(packet: Packet): boolean {
    if (packet.magic !== RES) throw mismatch(packetName(packet.type), "the magic of a request");
    switch (packet.type) {
      case PacketType.WORK_DATA:
      case PacketType.WORK_WARNING:
        this.#report(packet);
        return true;
      case PacketType.WORK_STATUS:
        this.#status(packet);
        return true;
      case PacketType.WORK_COMPLETE:
      case PacketType.WORK_FAIL:
      case PacketType.WORK_EXCEPTION:
        this.#end(packet);
        return true;
      case PacketType.JOB_RESTARTED:
        this.#restarted(packet);
        return true;
      case PacketType.JOB_TRACE:
        this.#traced(packet);
        return true;
      case PacketType.ERROR:
        return this.replies.refuse({ code: packet.args[0]!, text: packet.args[1]! });
      case PacketType.JOB_CREATED:
      case PacketType.STATUS_RES:
      case PacketType.STATUS_RES_UNIQUE:
      case PacketType.OUTCOME_RES:
      case PacketType.ECHO_RES:
      case PacketType.OPTION_RES:
        this.replies.answer(packet);
        return true;
      default:
        return false;
    }
  }

  /** The connection is over: everyone who waits is told `lost`, in the order of asking. */
  lost(): void {
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    for (const job of jobs) for (const { submitter } of job.attached) submitter.lost();
    this.replies.lost();
  }

  #attach(handle: string, submitter: Submitter): SharedJob {
    let job = this.#jobs.get(handle);
    if (job === undefined) {
      job = { attached: [], reports: 0, nextCopy: 0, status: undefined, attempt: 0 };
      this.#jobs.set(handle, job);
    }
    const replaysDue = this.replays && job.attached.length > 0 ? job.reports : 0;
    job.attached.push({ submitter, replaysDue });
    return job;
  }

  #report(packet: Packet): void {
    const job = this.#jobs.get(packet.args[0]!);
    if (job === undefined) return;
    const tell = ({ submitter }: Attached) =>
      packet.type === PacketType.WORK_DATA ? submitter.data(packet.data) : submitter.warning(packet.data);
    // Only the newest can still be catching up: a replay directly follows its JOB_CREATED.
    const newest = job.attached[job.attached.length - 1]!;
    if (newest.replaysDue > 0) {
      newest.replaysDue--;
      tell(newest);
      return;
    }
    const copy = job.attached[job.nextCopy]!;
    job.nextCopy++;
    if (job.nextCopy >= job.attached.length) {
      job.nextCopy = 0;
      job.reports++;
    }
    tell(copy);
  }

  /** A server may leave out statuses that a newer one replaced, so copies cannot be counted: all are told at once. */
  #status(packet: Packet): void {
    const [handle, numerator, denominator] = packet.args;
    const job = this.#jobs.get(handle!);
    if (job === undefined) return;
    const status = `${numerator}\0${denominator}`;
    if (job.attached.length > 1 && job.status === status) return;
    job.status = status;
    for (const { submitter } of [...job.attached]) submitter.status(numerator!, denominator!);
  }

  #restarted(packet: Packet): void {
    const job = this.#jobs.get(packet.args[0]!);
    const attempt = Number(packet.args[1]);
    if (job === undefined || attempt === job.attempt) return;
    job.attempt = attempt;
    job.reports = 0;
    job.nextCopy = 0;
    job.status = undefined;
    for (const attached of job.attached) attached.replaysDue = 0;
    for (const { submitter } of [...job.attached]) submitter.restarted(attempt);
  }

  #traced(packet: Packet): void {
    const [handle, first, run] = packet.args;
    const trace = { first: first!, run: run! };
    this.#newestTrace = { handle: handle!, trace };
    for (const { submitter } of this.#jobs.get(handle!)?.attached ?? []) submitter.traced?.(trace);
  }

  #end(packet: Packet): void {
    const handle = packet.args[0]!;
    const job = this.#jobs.get(handle);
    if (job === undefined) return;
    const { submitter } = job.attached.shift()!;
    if (job.attached.length === 0) this.#jobs.delete(handle);
    if (packet.type === PacketType.WORK_COMPLETE) submitter.complete(packet.data);
    else if (packet.type === PacketType.WORK_FAIL) submitter.fail();
    else submitter.exception(packet.data);
  }
}

/** A submitter that does not listen. */
export const NOBODY: Submitter & Asker<unknown> = {
  answer() {},
  created() {},
  data() {},
  warning() {},
  status() {},
  restarted() {},
  complete() {},
  fail() {},
  exception() {},
  refused() {},
  lost() {},
};

const PLAIN_TYPES: Readonly<Record<Priority, readonly [number, number]>> = {
  high: [PacketType.SUBMIT_JOB_HIGH, PacketType.SUBMIT_JOB_HIGH_BG],
  normal: [PacketType.SUBMIT_JOB, PacketType.SUBMIT_JOB_BG],
  low: [PacketType.SUBMIT_JOB_LOW, PacketType.SUBMIT_JOB_LOW_BG],
};

function submitPacket(request: SubmitRequest): [number, readonly string[]] {
  const names = [request.function, request.unique];
  if (request.options !== undefined) return [PacketType.SUBMIT_JOB_EXT, [...names, request.options]];
  if (request.epochSeconds !== undefined) {
    return [PacketType.SUBMIT_JOB_EPOCH, [...names, String(request.epochSeconds)]];
  }
  if (request.reducer !== undefined) {
    const type = request.background ? PacketType.SUBMIT_REDUCE_JOB_BACKGROUND : PacketType.SUBMIT_REDUCE_JOB;
    return [type, [...names, request.reducer, ""]];
  }
  return [PLAIN_TYPES[request.priority ?? "normal"][request.background ? 1 : 0], names];
}

function statusOf([, known, running, numerator, denominator]: readonly string[]): JobStatus {
  return {
    known: known === "1",
    running: running === "1",
    numerator: numerator!,
    denominator: denominator!,
  };
}

function tellStatus(submitter: Submitter, status: string): void {
  const [numerator, denominator] = status.split("\0");
  submitter.status(numerator!, denominator!);
}
