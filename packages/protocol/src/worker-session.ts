import { decodeOptions } from "./options.ts";
import { encodePacket, type Packet, REQ, RES } from "./packet.ts";
import { PacketType, packetName } from "./packets.ts";
import type { ByteSink, ReplyQueue, WireError } from "./replies.ts";
import { mismatch, Session } from "./session.ts";

/** How jobs are grabbed: with the function only, with the unique too, or with everything the server can tell. */
export type Grab = "plain" | "unique" | "all";

/** One run of a job, from its assignment to its last report. Names are byte strings. */
export interface AssignedJob {
  readonly handle: string;
  readonly function: string;
  /** Empty when the job has none, or when jobs are grabbed `plain`. */
  readonly unique: string;
  /** Empty when it is no reduce job, or when jobs are not grabbed `all`. */
  readonly reducer: string;
  /** Options of `JOB_ASSIGN_EXT`; empty without drover.1. */
  readonly options: ReadonlyMap<string, string>;
  readonly workload: Uint8Array;
}

/** Room for jobs. One source may serve the sessions of several connections. */
export interface Slots {
  /** Takes one. @returns false when none is free; whoever gives one back then calls `slotFreed` of those who wait. */
  take(): boolean;
  give(): void;
}

/** Slots of one session. */
export function fixedSlots(count: number): Slots {
  let free = count;
  return {
    take: () => free > 0 && free-- > 0,
    give: () => {
      free++;
    },
  };
}

/** What a worker's driver is told. Handlers must not throw. */
export interface WorkerHandlers {
  /** A slot is taken until `complete`, `fail`, `exception` or `release` gives it back. */
  assigned(job: AssignedJob): void;
  /** The server wants the job stopped; the worker acknowledges by ending it in any way. drover.1 only. */
  cancel(job: AssignedJob): void;
  /** A report came too late: the job was given to another worker, timed out or was cancelled. */
  lateReport(error: WireError): void;
  /** An `ERROR` that answers no request, such as one about a function name. */
  error(error: WireError): void;
  /** After `drain`: nothing runs here and nothing more will be assigned. */
  drained(): void;
}

/** Grabs outstanding at most: as many jobs as may come in one round trip. */
const MAX_GRABS = 64;

/**
 * The worker's half of one connection, without I/O: registers functions, grabs while slots are free, sleeps when there
 * is nothing, wakes at `NOOP`, and reports.
 *
 * Each outstanding grab holds a slot, so that no job comes without room for it. Waking, it grabs one; each job that
 * comes doubles how many grabs may be outstanding, and `NO_JOB` makes it one again. So a long queue is not read one
 * round trip at a time, and a single job does not cost many grabs. It sleeps when the last answer was `NO_JOB`.
 *
 *             NOOP, a new function              JOB_ASSIGN
 *   asleep ──────────────────────────▶ grabbing ──────────▶ grabbing, or idle while no slot is free
 *      ▲                                  │ NO_JOB, and no other grab is outstanding
 *      └──────────── PRE_SLEEP ───────────┘
 */
export class WorkerSession extends Session {
  readonly #handlers: WorkerHandlers;
  readonly #abilities = new Set<string>();
  /** Withdrawn while a job of theirs may still come or run. */
  readonly #withdrawn = new Set<string>();
  readonly #runs = new Set<AssignedJob>();
  /** The newest run of each handle: the one whose reports the server means by the handle. */
  readonly #byHandle = new Map<string, AssignedJob>();
  readonly #slots: Slots;
  #grab: Grab = "unique";
  #extended = false;
  #started = false;
  #over = false;
  #asleep = false;
  /** Grabs outstanding, and how many there may be. */
  #grabs = 0;
  #window = 1;
  /** The newest answer was `NO_JOB`. */
  #nothing = false;
  #draining = false;
  #drainTold = false;

  /**
   * @param slots Taken for each outstanding grab and each job, so that no job comes without room for it.
   * @param replies Give the client session's, where one connection is both.
   */
  constructor(sink: ByteSink, handlers: WorkerHandlers, slots: Slots, replies?: ReplyQueue) {
    super(sink, replies);
    this.#handlers = handlers;
    this.#slots = slots;
  }

  /** Jobs assigned whose slot is not free again. */
  get running(): number {
    return this.#runs.size;
  }

  /** What the session does when it does not run jobs: `idle` also when all slots are taken. */
  get state(): "idle" | "grabbing" | "asleep" {
    if (this.#grabs > 0) return "grabbing";
    return this.#asleep ? "asleep" : "idle";
  }

  /**
   * Begins to grab. Before, functions may be registered and options asked for.
   * @param extended The server agreed to drover.1: jobs come with their options, and withdrawing a function leaves its
   * running jobs alone.
   */
  start(options: { readonly grab?: Grab; readonly extended?: boolean } = {}): void {
    this.#extended = options.extended === true;
    this.#grab = options.grab ?? (this.#extended ? "all" : "unique");
    this.#started = true;
    this.#next();
  }

  /** A slot may be free again, given back by somebody else. */
  slotFreed(): void {
    this.#next();
  }

  /** The name under which administrators see this worker. */
  setClientId(id: string): void {
    this.#write(PacketType.SET_CLIENT_ID, [id]);
  }

  /**
   * Registers a function. One that is registered stays as it is, since servers count a second registration apart.
   * @param timeoutMs How long a job may run before the server takes it away. Default: for ever.
   */
  canDo(name: string, timeoutMs = 0): void {
    this.#withdrawn.delete(name);
    if (this.#abilities.has(name)) return;
    this.#abilities.add(name);
    if (timeoutMs > 0) this.#write(PacketType.CAN_DO_TIMEOUT, [name, String(timeoutMs)]);
    else this.#write(PacketType.CAN_DO, [name]);
    // A server does not wake a sleeper for what it registers while asleep.
    this.#asleep = false;
    this.#nothing = false;
    this.#next();
  }

  /**
   * Withdraws a function. Where the server would requeue its running jobs while they run (gearmand does), the server is
   * told when none runs here any more; until then more of them may be assigned.
   */
  cantDo(name: string): void {
    if (!this.#abilities.has(name)) return;
    this.#withdrawn.add(name);
    this.#withdrawIdle();
  }

  /** Reports a part of the result. @returns false when the run was taken over, and nothing was sent. */
  data(job: AssignedJob, chunk: Uint8Array): boolean {
    return this.#report(PacketType.WORK_DATA, job, [], chunk);
  }

  warning(job: AssignedJob, chunk: Uint8Array): boolean {
    return this.#report(PacketType.WORK_WARNING, job, [], chunk);
  }

  status(job: AssignedJob, numerator: number, denominator: number): boolean {
    return this.#report(PacketType.WORK_STATUS, job, [String(numerator), String(denominator)]);
  }

  /** Tells submitters where the run stands in traces; others than Drover are not told. @param traceparent W3C's */
  trace(job: AssignedJob, traceparent: string): boolean {
    return this.#extended && this.#report(PacketType.WORK_TRACE, job, [traceparent]);
  }

  /** The job succeeded. Frees its slot, as all that end a run do. */
  complete(job: AssignedJob, result: Uint8Array): boolean {
    return this.#end(job, () => this.#report(PacketType.WORK_COMPLETE, job, [], result));
  }

  fail(job: AssignedJob): boolean {
    return this.#end(job, () => this.#report(PacketType.WORK_FAIL, job, []));
  }

  /** The job failed and says why. No `fail` follows: the exception ends the job. */
  exception(job: AssignedJob, exception: Uint8Array): boolean {
    return this.#end(job, () => this.#report(PacketType.WORK_EXCEPTION, job, [], exception));
  }

  /** Frees the slot of a job that the server has taken away, without a report. */
  release(job: AssignedJob): void {
    this.#end(job, () => true);
  }

  /** Takes no more jobs; `drained` is told, once, when the running ones have ended. */
  drain(): void {
    this.#draining = true;
    for (const name of this.#abilities) this.#withdrawn.add(name);
    this.#next();
  }

  /**
   * Takes a packet from the server.
   * @returns false when it is no packet for a worker, nor an answer.
   * @throws ProtocolError when the server broke the protocol: the connection is of no more use.
   */
  receive(packet: Packet): boolean {
    if (packet.magic !== RES) {
      throw mismatch(packetName(packet.type), "the magic of a request");
    }
    switch (packet.type) {
      case PacketType.NOOP:
        // While a grab is outstanding it was sent before the server saw the grab: that one's answer knows more.
        this.#asleep = false;
        this.#next();
        return true;
      case PacketType.CANCEL: {
        const job = this.#byHandle.get(packet.args[0]!);
        if (job !== undefined) this.#handlers.cancel(job);
        return true;
      }
      case PacketType.ERROR:
        this.#error({ code: packet.args[0]!, text: packet.args[1]! });
        return true;
      case PacketType.NO_JOB:
      case PacketType.JOB_ASSIGN:
      case PacketType.JOB_ASSIGN_UNIQ:
      case PacketType.JOB_ASSIGN_ALL:
      case PacketType.JOB_ASSIGN_EXT:
      case PacketType.ECHO_RES:
      case PacketType.OPTION_RES:
        this.replies.answer(packet);
        return true;
      default:
        return false;
    }
  }

  /** The connection is over. The driver knows which jobs it still runs; reporting them does nothing any more. */
  lost(): void {
    if (this.#over) return;
    this.#over = true;
    this.#started = false;
    for (; this.#grabs > 0; this.#grabs--) this.#slots.give();
    this.#asleep = false;
    this.#byHandle.clear();
    this.replies.lost();
  }

  /** Does whatever the state asks for next: the one place that decides to grab. */
  #next(): void {
    if (this.#draining) {
      this.#nextOfDrain();
      return;
    }
    this.#withdrawIdle();
    if (!this.#started || this.#asleep || this.#nothing || this.#abilities.size === 0) return;
    while (this.#grabs < this.#window && this.#slots.take()) {
      this.#grabs++;
      this.ask(grabRequests[this.#grab], [], undefined, assignments, { lost() {} }, (packet) =>
        this.#answered(packet),
      );
    }
  }

  /** Abilities go as early as they may: else the server would go on to wake this worker instead of one that works. */
  #nextOfDrain(): void {
    if (this.#drainTold) return;
    const done = this.running === 0 && this.#grabs === 0;
    if ((done || this.#extended) && this.#abilities.size > 0) {
      this.#write(PacketType.RESET_ABILITIES, []);
      this.#abilities.clear();
      this.#withdrawn.clear();
    }
    this.#withdrawIdle();
    if (!done) return;
    this.#drainTold = true;
    this.#handlers.drained();
  }

  #answered(packet: Packet): void {
    this.#grabs--;
    if (packet.type === PacketType.NO_JOB) {
      this.#window = 1;
      this.#nothing = this.#grabs > 0;
      if (this.#grabs === 0 && !this.#draining) {
        this.#asleep = true;
        this.#write(PacketType.PRE_SLEEP, []);
      }
      this.#slots.give();
      this.#next();
      return;
    }
    this.#nothing = false;
    this.#window = Math.min(MAX_GRABS, this.#window * 2);
    const job = assignedJob(packet);
    this.#runs.add(job);
    // The same handle again: the server gave up on the run so far and begins anew, by chance here.
    this.#byHandle.set(job.handle, job);
    this.#handlers.assigned(job);
    this.#next();
  }

  #report(type: number, job: AssignedJob, args: readonly string[], data?: Uint8Array): boolean {
    if (this.#byHandle.get(job.handle) !== job) return false;
    this.replies.reportsSent = true;
    this.#write(type, [job.handle, ...args], data);
    return true;
  }

  #end(job: AssignedJob, report: () => boolean): boolean {
    if (!this.#runs.has(job)) return false;
    const sent = report();
    this.#runs.delete(job);
    if (this.#byHandle.get(job.handle) === job) this.#byHandle.delete(job.handle);
    this.#slots.give();
    this.#next();
    return sent;
  }

  #error(error: WireError): void {
    if (this.replies.refuse(error)) return;
    if (error.code === "JOB_NOT_FOUND") this.#handlers.lateReport(error);
    else this.#handlers.error(error);
  }

  #withdrawIdle(): void {
    for (const name of this.#withdrawn) {
      // A grab that is under way may still bring one.
      if (!this.#extended && (this.#grabs > 0 || this.#runsFunction(name))) continue;
      this.#withdrawn.delete(name);
      this.#abilities.delete(name);
      this.#write(PacketType.CANT_DO, [name]);
    }
  }

  #runsFunction(name: string): boolean {
    for (const job of this.#runs) if (job.function === name) return true;
    return false;
  }

  #write(type: number, args: readonly string[], data?: Uint8Array): void {
    if (this.#over) return;
    this.sink.write(encodePacket(REQ, type, args, data));
  }
}

const grabRequests: Readonly<Record<Grab, number>> = {
  plain: PacketType.GRAB_JOB,
  unique: PacketType.GRAB_JOB_UNIQ,
  all: PacketType.GRAB_JOB_ALL,
};

const assignments: readonly number[] = [
  PacketType.NO_JOB,
  PacketType.JOB_ASSIGN,
  PacketType.JOB_ASSIGN_UNIQ,
  PacketType.JOB_ASSIGN_ALL,
  PacketType.JOB_ASSIGN_EXT,
];

const NO_OPTIONS: ReadonlyMap<string, string> = new Map();

function assignedJob(packet: Packet): AssignedJob {
  const [handle, name, unique = "", last = ""] = packet.args;
  const extended = packet.type === PacketType.JOB_ASSIGN_EXT;
  const options = extended ? decodeOptions(last) : NO_OPTIONS;
  return {
    handle: handle!,
    function: name!,
    unique,
    reducer: extended ? (options.get("reducer") ?? "") : last,
    options,
    workload: packet.data,
  };
}
