/**
 * Everything a peer can make grow has a limit here, with its default. Sizes are bytes, times are milliseconds.
 * Past a limit the one who asked gets an error, and nobody else notices. Each has a test in `test/limits.test.ts`.
 */
export interface Limits {
  /** Largest packet body; a larger one is refused from its header. 64 MiB. */
  readonly maxPacketBytes: number;
  /** Longest line of the admin text protocol. 8,192, as gearmand. */
  readonly maxLineBytes: number;
  /** Longest function name. 512. */
  readonly maxFunctionBytes: number;
  /** Longest unique. 1,024. */
  readonly maxUniqueBytes: number;
  /** Client ids are cut here, as gearmand does. 127. */
  readonly maxClientIdBytes: number;
  /** Functions known at one time. 1,000,000. */
  readonly maxFunctions: number;
  /** Abilities of one worker. 200,000. */
  readonly maxAbilities: number;
  /** Jobs held at one time, in any state. 5,000,000. */
  readonly maxJobs: number;
  /** Foreground submissions held at one time, over all connections. 5,000,000. */
  readonly maxSubmissions: number;
  /** Workloads held at one time. 4 GiB. */
  readonly maxWorkloadBytes: number;
  /** Reports kept for late joiners, per job; 0 switches replay and successors off. 1 MiB. */
  readonly replayLimitBytes: number;
  /** Reports kept for late joiners in all. 256 MiB. */
  readonly replayTotalBytes: number;
  /** Finished results kept to answer their unique (`lingerMs`), in all. 64 MiB. */
  readonly lingerTotalBytes: number;
  /** A connection that already has this much unsent when a report is added is closed. 16 MiB. */
  readonly backlogBytes: number;
  /** From this much unsent on, a connection's own requests wait, and statuses collapse to the newest. 256 KiB. */
  readonly pauseBytes: number;
  /** An unfinished packet that got no byte for this long closes its connection. 30 s. */
  readonly unfinishedMs: number;
  /** A connection that has not authenticated by then is closed, where that is asked for. 10 s. */
  readonly authenticateMs: number;
  /** Largest packet body of a connection that has not authenticated. 4 KiB. */
  readonly strangerPacketBytes: number;
  /** A woken worker that has not grabbed by then no longer counts, and another is woken. 50. */
  readonly wakeGraceMs: number;
  /** Dead letters kept; past it the oldest goes, with a note. 10,000. */
  readonly maxDeadLetters: number;
  /** Workloads of dead letters kept. 64 MiB. */
  readonly deadLetterBytes: number;
  /** How long the outcome of a background job can be asked for. 10 min. */
  readonly outcomeMs: number;
  /** Outcomes kept. 10,000. */
  readonly maxOutcomes: number;
  /** Submissions that a run's trace can link to, besides the one that made the job. 32. */
  readonly maxTraceLinks: number;
  /** A function that nobody offers and nobody queued for is forgotten after this. 1 h. */
  readonly idleFunctionMs: number;
  /** Submissions that are at other servers of a fleet at one time. 100,000. */
  readonly maxForwarded: number;
  /** How often one of them goes to another server because one was lost; then its submitters get `WORK_FAIL`. 10. */
  readonly maxReroutes: number;
  /** Functions with metrics of their own; those of the others are summed. 1,000. */
  readonly maxFunctionMetrics: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LIMITS: Limits = {
  maxPacketBytes: 64 * MIB,
  maxLineBytes: 8192,
  maxFunctionBytes: 512,
  maxUniqueBytes: 1024,
  maxClientIdBytes: 127,
  maxFunctions: 1_000_000,
  maxAbilities: 200_000,
  maxJobs: 5_000_000,
  maxSubmissions: 5_000_000,
  maxWorkloadBytes: 4096 * MIB,
  replayLimitBytes: MIB,
  replayTotalBytes: 256 * MIB,
  lingerTotalBytes: 64 * MIB,
  backlogBytes: 16 * MIB,
  pauseBytes: 256 * KIB,
  unfinishedMs: 30_000,
  authenticateMs: 10_000,
  strangerPacketBytes: 4 * KIB,
  wakeGraceMs: 50,
  maxDeadLetters: 10_000,
  deadLetterBytes: 64 * MIB,
  outcomeMs: 600_000,
  maxOutcomes: 10_000,
  maxTraceLinks: 32,
  idleFunctionMs: 3_600_000,
  maxForwarded: 100_000,
  maxReroutes: 10,
  maxFunctionMetrics: 1_000,
};

/** Waiting time before attempt `n + 1`: `initialMs × factor^(n-1)`, at most `maxMs`, spread by ± `jitter` of itself. */
export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor: number;
  readonly jitter: number;
}

/** Settings of one function, found by the first matching glob of the configuration. */
export interface FunctionSettings {
  /** Jobs of the function that may run at one time; 0 = no limit (default). */
  readonly maxRunning: number;
  /** Most jobs held, for each priority high, normal, low; 0 = no limit (default). As gearmand's `maxqueue`. */
  readonly maxQueue: readonly [number, number, number];
  /** How long a result answers further foreground submissions of its unique without running. 0. */
  readonly lingerMs: number;
  /** A result lingers also when reports before it are not kept: for functions whose result says everything. false. */
  readonly lingerWithoutReports: boolean;
  /** Overrides `Limits.replayLimitBytes`. */
  readonly replayLimitBytes: number | undefined;
  /**
   * What happens to a running job when its last submission leaves. `cancelDetached`: cancelled when it was taken back, kept when
   * its connection was lost. `keep`.
   */
  readonly onAbandoned: "keep" | "cancel" | "cancelDetached";
  /** What happens when a worker's timeout passes: `fail` (the protocol) or `retry` (gearmand). `fail`. */
  readonly onTimeout: "fail" | "retry";
  /** Times a job may be started before it is given up when workers get lost; 0 = no limit. 10. */
  readonly maxAttempts: number;
  /** Retry of failed jobs with a background claim. Off. */
  readonly retry: { readonly maxAttempts: number; readonly backoff: Backoff } | undefined;
  /** Tells submitters without drover.1 about a restart by a `WORK_WARNING`. false. */
  readonly restartWarning: boolean;
}

export const DEFAULT_FUNCTION_SETTINGS: FunctionSettings = {
  maxRunning: 0,
  maxQueue: [0, 0, 0],
  lingerMs: 0,
  lingerWithoutReports: false,
  replayLimitBytes: undefined,
  onAbandoned: "keep",
  onTimeout: "fail",
  maxAttempts: 10,
  retry: undefined,
  restartWarning: false,
};

/** How numbers of `CAN_DO_TIMEOUT` are read; `auto`: below 1,000 they are seconds. */
export type TimeoutUnit = "auto" | "ms" | "s";
