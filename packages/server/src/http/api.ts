/*
 * The JSON of the HTTP API about functions, jobs, workers, dead letters and schedules. Types alone, for pages and programs in
 * TypeScript. Names are text: UTF-8 where they are that, else one character a byte. Times are ISO 8601.
 */

/** A part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** For `after`, to get the part behind this one; null at the end. */
  readonly next: string | null;
}

/** A function with its levels now and its counts since the start. */
export interface FunctionJson {
  readonly function: string;
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly workers: number;
  readonly paused: boolean;
  readonly submissions: number;
  readonly joins: number;
  readonly runs: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  /** Submissions for each run; null before the first one. */
  readonly joinRatio: number | null;
  /** For how long the job has waited that has waited longest; 0 when none waits. */
  readonly oldestQueuedMs: number;
}

/** A live job in a list. */
export interface JobJson {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly state: string;
  readonly priority: "high" | "normal" | "low";
  readonly background: boolean;
  /** Foreground submissions that wait for it. */
  readonly waiting: number;
  readonly attempts: number;
  readonly created: string;
  /** When it is or was due, where it had to wait for a time. */
  readonly due: string | null;
  readonly workloadBytes: number;
  /** Number of the worker's connection. */
  readonly worker: number | null;
}

/** A connection. */
export interface PeerJson {
  readonly id: number;
  readonly address: string;
  /** What it calls itself; `-` when it did not say. */
  readonly client: string;
}

export interface JobDetailJson extends JobJson {
  /** The first of those who wait for it. */
  readonly submitters: readonly { readonly peer: PeerJson; readonly since: string }[];
  readonly run: {
    readonly worker: PeerJson;
    readonly started: string;
    /** When the worker's timeout passes. */
    readonly timeout: string | null;
    readonly numerator: number;
    readonly denominator: number;
    /** Reports kept for late joiners. */
    readonly historyBytes: number;
    /** Whether a late joiner would still be told everything. */
    readonly joinable: boolean;
  } | null;
  /** Handle of the job that waits for this one to end. */
  readonly successor: string | null;
  /** What has happened to it, oldest first. */
  readonly timeline: readonly TimelineEntry[];
}

export interface TimelineEntry {
  readonly at: string;
  /** `timed out`, `failed`, `exception` and `worker lost` ended an attempt, not the job. */
  readonly event: "created" | "due" | "started" | "worker lost" | "timed out" | "failed" | "exception";
  readonly attempt: number | null;
  readonly worker: { readonly id: number; readonly address: string } | null;
}

/** How a background job ended. */
export interface OutcomeJson {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly state: "done" | "failed" | "dead";
  readonly ended: string;
}

/** A job by its handle: live, or how it ended. */
export type FoundJob =
  | { readonly live: true; readonly job: JobDetailJson }
  | { readonly live: false; readonly outcome: OutcomeJson };

export interface WorkerJson extends PeerJson {
  readonly state: "awake" | "asleep" | "woken";
  readonly abilities: number;
  /** The first of its functions. */
  readonly functions: readonly string[];
  readonly running: number;
  /** The first of its jobs. */
  readonly jobs: readonly { readonly handle: string; readonly function: string; readonly started: string }[];
}

export interface DeadLetterJson {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly reason: string;
  readonly attempts: number;
  readonly priority: "high" | "normal" | "low";
  readonly died: string;
  readonly workloadBytes: number;
}

export interface ScheduleJson {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly function: string;
  readonly unique: string;
  readonly missed: "skip" | "once";
  readonly next: string | null;
  readonly last: string | null;
}

export interface SearchJson {
  readonly unique: string;
  readonly jobs: readonly JobJson[];
  readonly outcomes: readonly OutcomeJson[];
  readonly deadLetters: readonly DeadLetterJson[];
}

/** A server of the fleet as the one that was asked sees it. */
export interface MemberJson {
  readonly name: string;
  /** Empty for the server itself. */
  readonly address: string;
  readonly state: "self" | "up" | "returning" | "down" | "unknown";
  /** For how long. */
  readonly forMs: number;
  /** Jobs that are forwarded there now. */
  readonly jobs: number;
  /** Submissions that went there, since the start. */
  readonly forwarded: number;
  /** Part of the keys that it owns while all are up, by a sample: from 0 to 1. */
  readonly share: number;
  /** Why there is no connection, or empty. */
  readonly problem: string;
}

export interface FleetJson {
  /** Empty where there is no fleet. */
  readonly members: readonly MemberJson[];
  /** Of the function and unique that were asked for. */
  readonly key: {
    readonly function: string;
    readonly unique: string;
    /** All names, the owner first. */
    readonly ranked: readonly string[];
    /** Where its submissions go now: the first of them that is up. */
    readonly owner: string;
  } | null;
}

export interface OverviewJson {
  readonly version: string;
  readonly state: "serving" | "stopping";
  readonly started: string;
  readonly uptimeMs: number;
  readonly store: {
    readonly name: string;
    /** The last commit failed: background submissions are refused until one succeeds. */
    readonly failing: boolean;
    /** Changes that it does not have yet. */
    readonly unstored: number;
  };
  readonly jobs: number;
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly waitingSubmissions: number;
  readonly functions: number;
  readonly workers: number;
  readonly connections: number;
  readonly deadLetters: number;
  readonly schedules: number;
  /** Since the start. */
  readonly totals: {
    readonly submissions: number;
    readonly joins: number;
    readonly runs: number;
    readonly completed: number;
    readonly failed: number;
    readonly lost: number;
  };
  /** A second, over the last ten. */
  readonly rates: {
    readonly submissions: number;
    readonly joins: number;
    readonly runs: number;
    readonly completed: number;
    readonly failed: number;
  };
  readonly joinRatio: number | null;
}

/** A function in the stream of changes, as a row to keep it small. */
export type FunctionRow = readonly [
  name: string,
  queued: number,
  delayed: number,
  running: number,
  workers: number,
  paused: 0 | 1,
  submissions: number,
  joins: number,
  runs: number,
  completed: number,
  failed: number,
  lost: number,
];

/** All functions together at one moment: Unix time in milliseconds, counts since the start, levels. */
export type Sample = readonly [
  atMs: number,
  submissions: number,
  joins: number,
  runs: number,
  completed: number,
  failed: number,
  queued: number,
  delayed: number,
  running: number,
];

/** The event `snapshot` of `GET /v1/changes`: everything, in the place of all that was told before. */
export interface Snapshot {
  /** Functions that there are; only some of very many are in `rows`, now and later. */
  readonly functions: number;
  readonly rows: readonly FunctionRow[];
  /** Of the last minutes, oldest first, one a second. */
  readonly samples: readonly Sample[];
}

/** The event `changes`, once a second. */
export interface Changes {
  readonly functions: number;
  readonly rows: readonly FunctionRow[];
  /** Names of functions that are not known any more. */
  readonly gone: readonly string[];
  readonly sample: Sample;
}
