import { SharedPages } from "@drover/protocol";
import type { JobFunction } from "./function.ts";
import type { Account } from "./identity.ts";
import type { Stored } from "./journal.ts";
import type { Peer } from "./peer.ts";
import type { Timer } from "./timers.ts";

/** Priorities as indexes; lower is more urgent. */
export const Priority = { HIGH: 0, NORMAL: 1, LOW: 2 } as const;
export type Priority = (typeof Priority)[keyof typeof Priority];
export const PRIORITY_NAMES = ["high", "normal", "low"] as const;

/**
 * ```
 *  COMMITTING ── stored ──▶ DELAYED or QUEUED
 *
 *             due                 grab
 *  DELAYED ────────▶ QUEUED ────────────▶ RUNNING ──▶ ENDED  (complete, fail, exception, timeout, dead letter)
 *     ▲                ▲ ▲                 │   │ cancelled, worker speaks drover.1
 *     └── retry ───────┼─┼──── worker lost ┘   ▼
 *   WAITING ───────────┘ │               CANCELLING ──▶ ENDED  (worker acknowledges or leaves)
 *   (successor, its predecessor ended)
 * ```
 */
export const JobState = {
  QUEUED: 0,
  RUNNING: 1,
  /** Waits for its time in the heap of due jobs. */
  DELAYED: 2,
  /** A successor: waits for the running job of its unique to end. */
  WAITING: 3,
  /** Running; its worker was told to stop and has not answered yet. Cannot be joined. */
  CANCELLING: 4,
  ENDED: 5,
  /** Waits for the commit that has it; can be joined, but not grabbed. */
  COMMITTING: 6,
} as const;
export type JobState = (typeof JobState)[keyof typeof JobState];

const NO_WORKLOAD = new SharedPages([new Uint8Array(0)]);

/** A job: one request for a function with its workload, and everyone who waits for it. */
export class Job {
  readonly fn: JobFunction;
  /** Its number on this server; the handle is `PREFIX:` and this plus the server's first number. */
  readonly number: number;
  /**
   * What joins submissions: empty for a job that joins nothing, the unique's bytes, or NUL and the digest of the
   * workload for the unique `-`.
   */
  readonly key: string;
  /** The workload is `[start, end)` of these pages, which are released when the job has ended. */
  workload = NO_WORKLOAD;
  start = 0;
  end = 0;
  state: JobState = JobState.QUEUED;
  priority: Priority;
  /** Whether a background submission claims it, for good: it has been acknowledged, or will be. */
  claimed: boolean;
  /** Background submissions that wait for their commit. */
  pendingClaims = 0;
  stored: Stored = 0;
  /** Times it was grabbed. */
  attempts = 0;
  /** Foreground submissions, in the order they came. */
  submissions: Submission | null = null;
  submissionCount = 0;
  /** Neighbours in the queue of its function and priority. */
  previous: Job | null = null;
  next: Job | null = null;
  /** The run under way, while RUNNING or CANCELLING. */
  run: Run | null = null;
  /** What few jobs have. */
  rare: RareJobFields | null = null;
  /** When it was submitted, in whole milliseconds of the forward clock: a small integer takes no memory of its own. */
  readonly createdMs: number;
  /** Since when it could run, likewise; a run that was lost changes nothing. */
  queuedMs: number;

  constructor(
    fn: JobFunction,
    number: number,
    key: string,
    priority: Priority,
    claimed: boolean,
    nowMs: number,
  ) {
    this.fn = fn;
    this.number = number;
    this.key = key;
    this.priority = priority;
    this.claimed = claimed;
    this.createdMs = Math.floor(nowMs);
    this.queuedMs = this.createdMs;
  }

  /** Whether a background submission wants it, stored or about to be. */
  get isClaimed(): boolean {
    return this.claimed || this.pendingClaims > 0;
  }

  /** Whether somebody may want all reports of its run later: it can be joined, or outlives those who wait for it. */
  get keepsHistory(): boolean {
    return this.key !== "" || this.rare?.keep === true;
  }

  get workloadBytes(): number {
    return this.end - this.start;
  }
}

/** When a job is due, on the wall clock. In the heap of due jobs while its job is DELAYED. */
export class Delay implements Timer {
  readonly job: Job;
  atMs = 0;
  heapIndex = -1;
  order = 0;

  constructor(job: Job) {
    this.job = job;
  }
}

export interface RareJobFields {
  /** When it is due, once it had to wait for a time. */
  delay: Delay | null;
  /** Function that reduces the results (`SUBMIT_REDUCE_JOB`), or empty. */
  reducer: string;
  /** The job that runs after it, with the submissions that came when its history was outgrown. */
  successor: Job | null;
  /** Waits for its retry: a submission does not cut that short. */
  inBackoff: boolean;
  /** `linger` of a submission, in milliseconds; wins over the function's. */
  lingerMs: number | undefined;
  /** Outlives its last submission (`keep` of a submission). */
  keep: boolean;
  /** Lets the worker's trace continue the submitter's (W3C), or empty. */
  traceparent: string;
  /** What goes with it, or empty. */
  tracestate: string;
  /** Those of other submissions that joined, up to `maxTraceLinks`; null = none. */
  links: string[] | null;
  /** Where the run under way stands in traces, once its worker has told; else empty. */
  runTrace: string;
  /** Whose job it is, where the identity that submitted it first has quotas. */
  account: Account | null;
  /** Its runs that ended without an end of the job, the newest last, up to `MAX_PAST_RUNS`; null = none. */
  pastRuns: PastRun[] | null;
}

/** Runs of a job that are remembered while it lives. */
export const MAX_PAST_RUNS = 20;

/** A run that left its job to be run again. Times are on the forward clock. */
export interface PastRun {
  readonly attempt: number;
  readonly workerId: number;
  readonly address: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** `worker lost`, `timed out`, `failed` or `exception`. */
  readonly reason: string;
}

/** The rare fields of a job, made on demand. */
export function rareFields(job: Job): RareJobFields {
  job.rare ??= {
    delay: null,
    reducer: "",
    successor: null,
    inBackoff: false,
    lingerMs: undefined,
    keep: false,
    traceparent: "",
    tracestate: "",
    links: null,
    runTrace: "",
    account: null,
    pastRuns: null,
  };
  return job.rare;
}

/** The job's delay, made on demand. */
export function delayOf(job: Job): Delay {
  const rare = rareFields(job);
  rare.delay ??= new Delay(job);
  return rare.delay;
}

/** When the job is due on the wall clock; 0 = it never had to wait for a time. */
export function dueMsOf(job: Job): number {
  return job.rare?.delay?.atMs ?? 0;
}

/** One valid run of a job on a worker, with what it reported so far. */
export class Run implements Timer {
  readonly job: Job;
  readonly worker: Peer;
  readonly startedMs: number;
  previous: Run | null = null;
  next: Run | null = null;
  /** Newest `WORK_STATUS` as sent, or null: byte strings, so that they leave as they came. */
  numerator: string | null = null;
  denominator: string | null = null;
  /** Encoded `WORK_DATA` and `WORK_WARNING` packets, kept for late joiners. */
  history: Uint8Array[] | null = null;
  historyBytes = 0;
  /** The history is no longer complete: no late joiner may attach. */
  outgrown = false;
  /** Whether somebody is known to do it: of a job that runs on another server it is not until that has told of it. */
  begun = true;
  /** When the worker's timeout passes. */
  atMs = 0;
  heapIndex = -1;
  order = 0;

  constructor(job: Job, worker: Peer, startedMs: number) {
    this.job = job;
    this.worker = worker;
    this.startedMs = startedMs;
  }
}

/** A foreground submission: one connection's right to everything its job reports. */
export class Submission implements Timer {
  readonly peer: Peer;
  job: Job;
  /** When it was acknowledged, in whole milliseconds of the forward clock. */
  readonly sinceMs: number;
  previousOfJob: Submission | null = null;
  nextOfJob: Submission | null = null;
  previousOfPeer: Submission | null = null;
  nextOfPeer: Submission | null = null;
  /** The connection's `heldSerial` when it was acknowledged behind a reply that waits for the store; 0 = it was not. */
  heldSerial = 0;
  /** The connection was slow, so it is still to get the newest status. */
  owesStatus = false;
  /** Deadline of the submission. */
  atMs = 0;
  heapIndex = -1;
  order = 0;

  constructor(peer: Peer, job: Job, nowMs: number) {
    this.peer = peer;
    this.job = job;
    this.sinceMs = Math.floor(nowMs);
  }
}

/** Puts a submission at the end of its job's and its connection's lists. */
export function attachSubmission(submission: Submission): void {
  const { job, peer } = submission;
  const first = job.submissions;
  if (first === null) {
    // The list is circular through `previousOfJob` only, so that its end is found without a second field.
    submission.previousOfJob = submission;
    job.submissions = submission;
  } else {
    const last = first.previousOfJob!;
    last.nextOfJob = submission;
    submission.previousOfJob = last;
    first.previousOfJob = submission;
  }
  job.submissionCount++;
  submission.nextOfPeer = peer.submissions;
  if (peer.submissions !== null) peer.submissions.previousOfPeer = submission;
  peer.submissions = submission;
  peer.submissionCount++;
}

/** Takes a submission out of both lists. */
export function detachSubmission(submission: Submission): void {
  const { job, peer } = submission;
  const first = job.submissions!;
  const next = submission.nextOfJob;
  if (first === submission) {
    job.submissions = next;
    if (next !== null) next.previousOfJob = submission.previousOfJob;
  } else {
    submission.previousOfJob!.nextOfJob = next;
    if (next !== null) next.previousOfJob = submission.previousOfJob;
    else first.previousOfJob = submission.previousOfJob;
  }
  job.submissionCount--;
  const before = submission.previousOfPeer;
  if (before === null) peer.submissions = submission.nextOfPeer;
  else before.nextOfPeer = submission.nextOfPeer;
  if (submission.nextOfPeer !== null) submission.nextOfPeer.previousOfPeer = before;
  peer.submissionCount--;
  submission.nextOfJob = null;
  submission.previousOfJob = null;
}

/** First in, first out, with removal from the middle. Holds the jobs of one function and priority. */
export class JobList {
  head: Job | null = null;
  tail: Job | null = null;
  length = 0;

  append(job: Job): void {
    job.previous = this.tail;
    job.next = null;
    if (this.tail === null) this.head = job;
    else this.tail.next = job;
    this.tail = job;
    this.length++;
  }

  prepend(job: Job): void {
    job.next = this.head;
    job.previous = null;
    if (this.head === null) this.tail = job;
    else this.head.previous = job;
    this.head = job;
    this.length++;
  }

  remove(job: Job): void {
    if (job.previous === null) this.head = job.next;
    else job.previous.next = job.next;
    if (job.next === null) this.tail = job.previous;
    else job.next.previous = job.previous;
    job.previous = null;
    job.next = null;
    this.length--;
  }
}
