import type { FunctionSettings, Limits, TimeoutUnit } from "../../../packages/server/src/core/index.ts";
import { Violation } from "../violation.ts";

/*
 * The naive job server: what the design says, on arrays and scans, with no thought of speed. It is told each message
 * that the real one handles, and says what every connection must be sent for it.
 */

export type Phase = "queued" | "delayed" | "waiting" | "running" | "cancelling" | "ended";

export class NaiveFunction {
  readonly name: string;
  readonly queues: [NaiveJob[], NaiveJob[], NaiveJob[]] = [[], [], []];
  paused = false;
  maxQueue: readonly [number, number, number] | null = null;
  total = 0;
  running = 0;
  overruns = 0;
  /** What `functionEpoch` said when it was last looked up. */
  epoch: unknown = undefined;

  constructor(name: string) {
    this.name = name;
  }
}

export class NaiveJob {
  readonly number: number;
  readonly handle: string;
  readonly fn: NaiveFunction;
  /** Empty when it joins nothing. */
  readonly key: string;
  /** As workers are shown it. */
  readonly unique: string;
  readonly workload: string;
  readonly reducer: string;
  readonly traceparent: string;
  links: string[] = [];
  phase: Phase = "queued";
  priority: number;
  claimed: boolean;
  keep = false;
  lingerMs: number | undefined = undefined;
  inBackoff = false;
  attempts = 0;
  submissions: NaiveSubmission[] = [];
  successor: NaiveJob | null = null;
  run: NaiveRun | null = null;
  /** Wall clock, while delayed or waiting; ties in the order of `dueOrder`. */
  dueMs = 0;
  dueOrder = 0;

  constructor(
    fields: Pick<
      NaiveJob,
      | "number"
      | "handle"
      | "fn"
      | "key"
      | "unique"
      | "workload"
      | "reducer"
      | "traceparent"
      | "priority"
      | "claimed"
    >,
  ) {
    this.number = fields.number;
    this.handle = fields.handle;
    this.fn = fields.fn;
    this.key = fields.key;
    this.unique = fields.unique;
    this.workload = fields.workload;
    this.reducer = fields.reducer;
    this.traceparent = fields.traceparent;
    this.priority = fields.priority;
    this.claimed = fields.claimed;
  }
}

/** A packet that a connection must be sent. Bodies are byte strings. */
export interface NaivePacket {
  readonly type: number;
  readonly body: string;
}

export class NaiveRun {
  readonly job: NaiveJob;
  readonly worker: NaivePeer;
  timeoutAtMs = Number.POSITIVE_INFINITY;
  readonly order: number;
  status: readonly [string, string] | null = null;
  history: NaivePacket[] = [];
  historyBytes = 0;
  outgrown = false;

  constructor(job: NaiveJob, worker: NaivePeer, order: number) {
    this.job = job;
    this.worker = worker;
    this.order = order;
  }
}

export class NaiveSubmission {
  readonly peer: NaivePeer;
  readonly job: NaiveJob | null;
  /** Its JOB_CREATED has been seen on the wire. */
  announced = false;
  /** Statuses of this run that it has not been sent; a slow connection may skip all but the last. */
  statusesDue: string[] = [];
  deadlineMs = Number.POSITIVE_INFINITY;
  order = 0;

  constructor(peer: NaivePeer, job: NaiveJob | null) {
    this.peer = peer;
    this.job = job;
  }
}

/** An answer that a connection must get next, in request order. */
export type ExpectedReply =
  | {
      readonly kind: "packet";
      readonly type: number;
      readonly body: string;
      /** Bodies that would do as well. */
      readonly others?: readonly string[];
      readonly submission: NaiveSubmission | null;
    }
  /** A grab: which job is the server's choice among the right ones, settled right after. */
  | { readonly kind: "grab"; readonly form: GrabForm; answer: NaivePacket | null }
  /** One line of text that must pass the check, or, with `list`, all lines up to a single full stop. */
  | {
      readonly kind: "text";
      readonly list: boolean;
      readonly lines: string[];
      readonly check: (lines: string[]) => void;
    };

export type GrabReply = ExpectedReply & { kind: "grab" };

export type GrabForm = "plain" | "unique" | "all";

/** A report on a job that a connection must be sent. */
export interface ExpectedReport {
  readonly packet: NaivePacket;
  readonly submission: NaiveSubmission;
  /** Whether no status may be owed when it comes. */
  readonly settlesStatuses: boolean;
}

export class NaivePeer {
  readonly id: number;
  /** Its requests are not judged, and it may be closed at any time. */
  readonly nonsense: boolean;
  speaksDrover = false;
  wantsExceptions = false;
  /** Nothing is sent to it any more. */
  over = false;
  /** Abilities with the timeout in milliseconds (0 = none), in the order of registration. */
  readonly abilities = new Map<string, number>();
  readonly runs = new Set<NaiveRun>();
  readonly overruns = new Map<number, NaiveFunction>();
  readonly submissions = new Set<NaiveSubmission>();
  lastException = -1;

  /** It sleeps as far as the wire shows. */
  asleep = false;
  /** `PRE_SLEEP` (true) and grabs (false) handled in this turn, newest last. */
  lastSleepWord: boolean | null = null;
  preSleeps = 0;
  /** When it got its newest NOOP, as long as it has not grabbed or gone to sleep since. */
  wokenMs = Number.NEGATIVE_INFINITY;

  readonly replies: ExpectedReply[] = [];
  readonly reports = new Map<string, ExpectedReport[]>();
  /** Submissions with statuses due, by handle. */
  readonly owed = new Map<string, NaiveSubmission[]>();
  /** Statuses that may still come in this turn but need not. */
  readonly lapsed = new Set<string>();
  readonly cancels: string[] = [];

  constructor(id: number, nonsense: boolean) {
    this.id = id;
    this.nonsense = nonsense;
  }
}

export interface NaiveOptions {
  readonly limits: Limits;
  readonly handlePrefix: string;
  readonly firstHandle: number;
  readonly settingsOf: (name: string) => FunctionSettings;
  /** Shared with the real server, which must draw exactly what is drawn here. */
  readonly random: () => number;
  readonly exceptionsForAll: boolean;
  readonly timeoutUnit: TimeoutUnit;
  /** How much later than due the server is told that time has passed. */
  readonly tickLateMs: number;
  /** Changes whenever the server forgot the function and with it what lingered for it. */
  readonly functionEpoch: (name: string) => unknown;
}

export interface NaiveLinger {
  readonly epoch: unknown;
  readonly fn: NaiveFunction;
  readonly key: string;
  readonly handle: string;
  readonly packets: readonly NaivePacket[];
  readonly status: string | null;
  readonly bytes: number;
  readonly endsMs: number;
}

export interface NaiveOutcome {
  readonly epoch: unknown;
  readonly fn: NaiveFunction;
  readonly key: string;
  readonly number: number;
  readonly handle: string;
  readonly state: "done" | "failed" | "dead";
  readonly endedMs: number;
}

export interface NaiveLetter {
  readonly job: NaiveJob;
  readonly priority: number;
}

export class NaiveState {
  readonly options: NaiveOptions;
  nowMs = 0;
  wallMs = 0;
  readonly functions = new Map<string, NaiveFunction>();
  readonly jobs = new Map<number, NaiveJob>();
  readonly table = new Map<string, NaiveJob>();
  /** Every key that was ever in the table. */
  readonly keys = new Set<string>();
  readonly peers = new Set<NaivePeer>();
  lingering: NaiveLinger[] = [];
  outcomes: NaiveOutcome[] = [];
  letters: NaiveLetter[] = [];
  nextNumber = 0;
  nextOrder = 0;
  submissionCount = 0;
  workloadBytes = 0;
  replayBytes = 0;
  /** Connections that were handled or sent to in this turn. */
  readonly touched = new Set<NaivePeer>();
  /** The newest grab, as long as it is not known what came of it. */
  pendingGrab: { readonly peer: NaivePeer; readonly reply: GrabReply } | null = null;
  /** Grabs that found nothing so far in this turn and are to be answered before it ends. */
  readonly waitingGrabs = new Map<NaivePeer, GrabReply>();

  constructor(options: NaiveOptions) {
    this.options = options;
  }

  functionOf(name: string): NaiveFunction {
    let fn = this.functions.get(name);
    if (fn === undefined) {
      fn = new NaiveFunction(name);
      this.functions.set(name, fn);
    }
    const epoch = this.options.functionEpoch(name);
    if (fn.epoch !== undefined && epoch !== fn.epoch) {
      // Forgotten in between, and with it what an administrator had set.
      fn.paused = false;
      fn.maxQueue = null;
    }
    fn.epoch = epoch;
    return fn;
  }

  settings(fn: NaiveFunction): FunctionSettings {
    return this.options.settingsOf(fn.name);
  }

  replayLimit(fn: NaiveFunction): number {
    return this.settings(fn).replayLimitBytes ?? this.options.limits.replayLimitBytes;
  }

  handle(number: number): string {
    return `${this.options.handlePrefix}:${this.options.firstHandle + number}`;
  }

  jobOfHandle(handle: string): NaiveJob | undefined {
    const prefix = `${this.options.handlePrefix}:`;
    if (!handle.startsWith(prefix)) return undefined;
    const digits = handle.slice(prefix.length);
    if (!/^(0|[1-9]\d{0,15})$/.test(digits)) return undefined;
    return this.jobs.get(Number(digits) - this.options.firstHandle);
  }

  /** Jobs of the function that a worker could be given now. */
  runnable(fn: NaiveFunction): number {
    if (fn.paused) return 0;
    const queued = fn.queues[0].length + fn.queues[1].length + fn.queues[2].length;
    const { maxRunning } = this.settings(fn);
    return maxRunning === 0 ? queued : Math.max(0, Math.min(queued, maxRunning - fn.running - fn.overruns));
  }
}

/** Expects an answer. */
export function reply(
  state: NaiveState,
  peer: NaivePeer,
  type: number,
  body: string,
  submission: NaiveSubmission | null = null,
): void {
  if (peer.over) return;
  state.touched.add(peer);
  peer.replies.push({ kind: "packet", type, body, submission });
}

/** Expects a report to a submission. */
export function report(
  state: NaiveState,
  submission: NaiveSubmission,
  handle: string,
  packet: NaivePacket,
  settlesStatuses: boolean,
): void {
  const { peer } = submission;
  if (peer.over) return;
  state.touched.add(peer);
  const list = peer.reports.get(handle);
  const expected = { packet, submission, settlesStatuses };
  if (list === undefined) peer.reports.set(handle, [expected]);
  else list.push(expected);
}

/** Expects a status to a submission, now or, if its connection is slow, later or never. */
export function status(state: NaiveState, submission: NaiveSubmission, handle: string, body: string): void {
  const { peer } = submission;
  if (peer.over) return;
  state.touched.add(peer);
  submission.statusesDue.push(body);
  const list = peer.owed.get(handle);
  if (list === undefined) peer.owed.set(handle, [submission]);
  else if (!list.includes(submission)) list.push(submission);
}

/** The submission's statuses so far need not come any more. They still may until the turn is over. */
export function lapseStatuses(submission: NaiveSubmission, handle: string): void {
  if (submission.statusesDue.length === 0) return;
  for (const body of submission.statusesDue) submission.peer.lapsed.add(body);
  submission.statusesDue = [];
  forgetOwed(submission, handle);
}

export function forgetOwed(submission: NaiveSubmission, handle: string): void {
  const list = submission.peer.owed.get(handle);
  if (list === undefined) return;
  const at = list.indexOf(submission);
  if (at >= 0) list.splice(at, 1);
  if (list.length === 0) submission.peer.owed.delete(handle);
}

export function removeFrom<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at < 0) throw new Violation("model", "an item is not where the model put it");
  list.splice(at, 1);
}
