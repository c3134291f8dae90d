import { PagePool } from "@drover/protocol";
import { AbilitySets } from "./abilities.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Fifo } from "./fifo.ts";
import type { Fleet } from "./fleet.ts";
import type { JobFunction } from "./function.ts";
import { Handles } from "./handles.ts";
import type { Identity } from "./identity.ts";
import type { Delay, Run, Submission } from "./job.ts";
import { JobTable } from "./job-table.ts";
import { Journal } from "./journal.ts";
import type { FunctionSettings, Limits, TimeoutUnit } from "./limits.ts";
import { LingeringResults } from "./linger.ts";
import { Outcomes } from "./outcomes.ts";
import { OwnTimes } from "./own-times.ts";
import type { Peer } from "./peer.ts";
import { TimerHeap } from "./timers.ts";
import { UniqueTable } from "./uniques.ts";
import { WorkloadStore } from "./workload-store.ts";

/** What the core is given and never changes by itself. */
export interface CoreOptions {
  readonly limits: Limits;
  /** What stands before the colon of every handle; at most 46 bytes, so that a handle stays below 64. */
  readonly handlePrefix: string;
  /** Decimal of the first handle. */
  readonly firstHandle: number;
  /** Settings for a function name that is not known yet. */
  readonly settingsFor: (name: string) => FunctionSettings;
  /** Collision-free digest of a workload as a byte string, for submissions whose unique is `-`. */
  readonly digest: (bytes: Uint8Array) => string;
  /** Makes an array of zeros for packets and workloads. Default: a `Uint8Array`; sockets of Node prefer a `Buffer`. */
  readonly allocate?: (bytes: number) => Uint8Array;
  /** Uniform in [0, 1): spreads retries. */
  readonly random: () => number;
  /** Send exceptions to every connection, as gearmand's `--exceptions`. */
  readonly exceptionsForAll: boolean;
  /** Fewest sleeping workers to wake for a submission, as gearmand's `--worker-wakeup`. */
  readonly wakeAtLeast: number;
  readonly timeoutUnit: TimeoutUnit;
  /** Answered to `version`. */
  readonly version: string;
  /** Answered to `getpid`. */
  readonly pid: number;
  /** Answered to `verbose`. */
  readonly logLevel: string;
  /** Whether background submissions are acknowledged only after a commit. Default: false. */
  readonly durable?: boolean;
  /**
   * Judges a token that a connection sent. Must not keep it.
   * @returns the connection's identity from now on; null when the token is not valid.
   */
  readonly authenticate?: ((token: string, peer: Peer) => Identity | null) | undefined;
  /**
   * Beginnings of function names for which a right counts only when its glob begins so, too: `*` is not enough. Default: none.
   */
  readonly reserved?: readonly string[] | undefined;
  /** Whether `shutdown` is obeyed. */
  readonly allowShutdown: boolean;
}

/** Something an operator may want to know. The shell logs and counts it. Names are byte strings as they came. */
export type CoreNote =
  | { readonly code: "SLOW_READER"; readonly peer: Peer; readonly backlogBytes: number }
  | { readonly code: "PROTOCOL_VIOLATION"; readonly peer: Peer; readonly detail: string }
  | { readonly code: "UNAUTHENTICATED"; readonly peer: Peer; readonly detail: string }
  | { readonly code: "FORBIDDEN"; readonly peer: Peer; readonly right: string; readonly fn: string }
  | { readonly code: "IDENTITY_ENDED"; readonly peer: Peer; readonly detail: string }
  | {
      readonly code: "ADMIN_ACT";
      readonly peer: Peer;
      readonly act: string;
      readonly target: string;
      readonly result: string;
    }
  | { readonly code: "LIMIT_REACHED"; readonly peer: Peer; readonly limit: string; readonly fn: string }
  | { readonly code: "MEMBER_UP"; readonly member: string; readonly detail: string }
  | { readonly code: "MEMBER_LOST"; readonly member: string; readonly detail: string }
  | { readonly code: "FORWARD_REFUSED"; readonly fn: string; readonly detail: string }
  | { readonly code: "DEAD_LETTER"; readonly fn: string; readonly handle: string; readonly reason: string }
  | { readonly code: "DEAD_LETTER_EVICTED"; readonly fn: string; readonly handle: string }
  | { readonly code: "OVERRUN"; readonly fn: string; readonly handle: string; readonly worker: Peer };

/** Totals since the start, and levels now. Plain numbers, so that counting costs nothing. */
export class CoreCounts {
  connections = 0;
  submissions = 0;
  joins = 0;
  runs = 0;
  completed = 0;
  failed = 0;
  lost = 0;
  overruns = 0;
  replays = 0;
  lingered = 0;
  slowReaders = 0;
  refused = 0;
  unauthenticated = 0;
  forbidden = 0;
  rateLimited = 0;
  lateReports = 0;
}

/** Everything the job server knows. Changed by the functions of this folder, and by nothing else. */
export class ServerState {
  readonly options: CoreOptions;
  readonly limits: Limits;
  /** A clock that only goes forward, in milliseconds: for timeouts and ages. */
  nowMs = 0;
  /** The wall clock in milliseconds since 1970: for jobs that are due at a date. */
  wallMs = 0;
  readonly peers = new Set<Peer>();
  readonly functions = new Map<string, JobFunction>();
  readonly ownTimes: OwnTimes;
  readonly jobs = new JobTable();
  readonly uniques = new UniqueTable();
  readonly abilitySets = new AbilitySets();
  readonly handles: Handles;
  readonly pages: PagePool;
  readonly workloads: WorkloadStore;
  readonly lingering: LingeringResults;
  readonly outcomes: Outcomes;
  readonly deadLetters: DeadLetters;
  /** On the wall clock. */
  readonly dueJobs = new TimerHeap<Delay>();
  /** On the forward clock. */
  readonly runTimers = new TimerHeap<Run>();
  /** On the forward clock. */
  readonly submissionTimers = new TimerHeap<Submission>();
  /** Woken workers, in the order in which their wake-ups stop counting. */
  readonly wakes = new Fifo<{ readonly peer: Peer; readonly atMs: number }>();
  /** Connections with an unfinished packet and when they are given up, oldest first. */
  readonly unfinished = new Map<Peer, number>();
  /** Connections without an identity and when they are given up, oldest first. */
  readonly strangers = new Map<Peer, number>();
  /** Functions of no use and since when, oldest first. */
  readonly idleFunctions = new Map<JobFunction, number>();
  /** The server's place among others; null without any. */
  fleet: Fleet | null = null;
  /** What a store does not know yet; null without one. */
  readonly journal: Journal | null;
  /** Workers whose grab found nothing so far in this turn, in the order of the grabs. */
  pendingGrabs: Peer[] = [];
  /** Functions for which sleepers may have to be woken at the end of the turn, each once. */
  pendingWakes: JobFunction[] = [];
  /** Connections with something to send or to close. */
  dirty: Peer[] = [];
  notes: CoreNote[] = [];
  nextJobNumber = 0;
  nextPeerId = 1;
  nextSleepOrder = 0;
  /** Goes up when a worker falls asleep: searches for sleepers that found nobody are not repeated before. */
  sleepGeneration = 0;
  submissionCount = 0;
  /** Packets that peers have sent since the start. */
  packets = 0;
  workloadBytes = 0;
  replayBytes = 0;
  /** The last commit failed: background submissions are refused until one succeeds. */
  storeFails = false;
  /** Foreground jobs that run: what a graceful stop waits for. */
  running = 0;
  /** Whether workers are given jobs; off while the server ends. */
  assigning = true;
  /** An administrator asked for the end of the server. */
  shutdownRequested: "now" | "graceful" | null = null;
  readonly counts = new CoreCounts();

  constructor(options: CoreOptions) {
    this.options = options;
    this.limits = options.limits;
    this.ownTimes = new OwnTimes(options.limits.maxFunctionMetrics);
    this.pages = new PagePool(options.allocate);
    this.workloads = new WorkloadStore(this.pages);
    this.handles = new Handles(options.handlePrefix, options.firstHandle);
    this.journal = options.durable === true ? new Journal((number) => this.handles.decimal(number)) : null;
    this.lingering = new LingeringResults(options.limits.lingerTotalBytes);
    this.outcomes = new Outcomes(options.limits);
    this.deadLetters = new DeadLetters(options.limits);
  }

  /** The function of a name, made known if there is room; null when there is none. */
  functionOf(name: string): JobFunction | null {
    const known = this.functions.get(name);
    if (known !== undefined) return known;
    return this.functions.size >= this.limits.maxFunctions ? null : this.knowFunction(name);
  }

  /** Makes a function known whose name is not. */
  knowFunction(name: string): JobFunction {
    const fn = this.ownTimes.make(name, this.options.settingsFor(name));
    this.functions.set(name, fn);
    // Whoever asked may be refused after all, and then nobody else would look at it again.
    this.updateIdle(fn);
    return fn;
  }

  /** To be called when the function may have become of no use, or of use again. */
  updateIdle(fn: JobFunction): void {
    if (fn.isIdle) {
      if (!this.idleFunctions.has(fn)) this.idleFunctions.set(fn, this.nowMs + this.limits.idleFunctionMs);
    } else {
      this.idleFunctions.delete(fn);
    }
  }

  note(note: CoreNote): void {
    this.notes.push(note);
  }
}
