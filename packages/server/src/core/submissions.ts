import type { SharedPages, WireErrorCode } from "@drover/protocol";
import { forbid } from "./access.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { JobFunction } from "./function.ts";
import { replayLimit } from "./history.ts";
import {
  attachSubmission,
  delayOf,
  dueMsOf,
  Job,
  JobState,
  type Priority,
  rareFields,
  Submission,
} from "./job.ts";
import { dueNow, enter, enterWhenStored } from "./jobs.ts";
import { type Ack, Stored } from "./journal.ts";
import type { LingeringResult } from "./linger.ts";
import type { Peer } from "./peer.ts";
import { sendBytes, sendError, sendJobCreated, sendWhenStored } from "./replies.ts";
import { replay } from "./runs.ts";
import type { ServerState } from "./state.ts";
import { traceJoin } from "./traces.ts";
import { digestKey } from "./uniques.ts";

/** One submission as read from the wire. Reused from packet to packet; nothing keeps it. */
export class SubmissionRequest {
  fn!: JobFunction;
  /** Unique as a byte string: empty joins nothing, `-` joins on the workload. */
  unique = "";
  priority: Priority = 1;
  background = false;
  /** Wall clock milliseconds before which it must not run; 0 = now. */
  dueMs = 0;
  reducer = "";
  /** Milliseconds after which this submission, not its job, gets `WORK_FAIL`; 0 = never. */
  deadlineMs = 0;
  /** Milliseconds for which the result answers its unique; undefined = as the function says. */
  lingerMs: number | undefined = undefined;
  /** The job outlives its last submission. */
  keep = false;
  /** Join a running job only as its successor: what runs may have read old data. */
  rerunIfActive = false;
  /** Comes from another server of the fleet: it is never forwarded again. */
  forwarded = false;
  /** Joins a job that is here, or is refused: the server in whose place that would be. Empty: not so. */
  joinOnly = "";
  traceparent = "";
  /** Means nothing without a `traceparent`. */
  tracestate = "";
  /** The workload is `bytes[start, end)`, which is only lent, or these places in `pages`. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  pages: SharedPages | null = null;

  /** Bytes of the workload. */
  get workloadBytes(): number {
    return this.end - this.start;
  }

  /** Back to a plain foreground submission of normal priority. */
  reset(): void {
    this.unique = "";
    this.priority = 1;
    this.background = false;
    this.dueMs = 0;
    this.reducer = "";
    this.deadlineMs = 0;
    this.lingerMs = undefined;
    this.keep = false;
    this.rerunIfActive = false;
    this.forwarded = false;
    this.joinOnly = "";
    this.traceparent = "";
    this.tracestate = "";
    this.pages = null;
  }
}

/**
 * Takes a submission: it joins the job of its unique, or becomes a job of its own, or is refused.
 * @see docs/PROTOCOL.md#joining
 */
export function submit(state: ServerState, peer: Peer, request: SubmissionRequest): void {
  const { fn } = request;
  const key = keyOf(state, request);
  fn.submissions++;
  state.counts.submissions++;
  if (!request.background && state.submissionCount >= state.limits.maxSubmissions) {
    refuse(state, peer, "maxSubmissions", fn, "Too many submissions are waiting");
    return;
  }
  if (key !== "") {
    const existing = state.uniques.get(fn, key);
    const relayed = existing !== undefined && state.fleet?.relays(existing) === true;
    if (existing !== undefined && !relayed) {
      join(state, peer, request, existing);
      return;
    }
    if (!relayed && answerFromLingering(state, peer, request, key)) return;
    if (state.fleet?.takes(peer, request, key, existing) === true) return;
  }
  const job = createJob(state, peer, request, key);
  if (job === null) return;
  if (key !== "") state.uniques.set(job);
  acknowledge(state, peer, request, job);
  enterWhenStored(state, job, request.dueMs);
}

function keyOf(state: ServerState, request: SubmissionRequest): string {
  if (request.unique !== "-") return request.unique;
  if (request.workloadBytes === 0) return "";
  const { pages, bytes, start, end } = request;
  const workload = pages === null ? bytes.subarray(start, end) : pages.copy(start, end);
  return digestKey(state.options.digest(workload));
}

export function join(state: ServerState, peer: Peer, request: SubmissionRequest, existing: Job): void {
  const future = request.dueMs > state.wallMs;
  let job = existing;
  if (existing.state === JobState.RUNNING || existing.state === JobState.CANCELLING) {
    const joinable = existing.state === JobState.RUNNING && !future && !request.rerunIfActive;
    const outgrown = existing.run!.outgrown && replayLimit(state, existing) > 0;
    if (!joinable || (!request.background && outgrown)) {
      const successor = existing.rare?.successor ?? null;
      if (successor === null) {
        createSuccessor(state, peer, request, existing);
        return;
      }
      job = successor;
    }
  }
  request.fn.joins++;
  state.counts.joins++;
  if (request.traceparent !== "") traceJoin(state, peer, request.traceparent, job);
  if (request.priority < job.priority) {
    raise(job, request.priority);
    if (request.background) state.journal?.change(job);
  }
  if (job.state === JobState.DELAYED || job.state === JobState.WAITING || job.state === JobState.COMMITTING) {
    // The earlier time wins; a retry's wait is not cut short.
    if (job.rare?.inBackoff !== true && request.dueMs < dueMsOf(job)) {
      if (request.background) state.journal?.change(job);
      if (job.state !== JobState.DELAYED) delayOf(job).atMs = request.dueMs;
      else if (future) state.dueJobs.set(delayOf(job), request.dueMs);
      else {
        acknowledge(state, peer, request, job);
        dueNow(state, job);
        return;
      }
    }
  }
  acknowledge(state, peer, request, job);
}

/** Moves a waiting job up; in a queue it goes to the tail of the higher one. */
function raise(job: Job, priority: Priority): void {
  if (job.state === JobState.QUEUED) {
    job.fn.dequeue(job);
    job.priority = priority;
    job.fn.enqueue(job, false);
  } else {
    job.priority = priority;
  }
}

function createSuccessor(state: ServerState, peer: Peer, request: SubmissionRequest, before: Job): void {
  const job = createJob(state, peer, request, before.key);
  if (job === null) return;
  job.state = JobState.WAITING;
  if (request.dueMs > 0) delayOf(job).atMs = request.dueMs;
  rareFields(before).successor = job;
  acknowledge(state, peer, request, job);
}

/** The limit that leaves no room for one more job, or null. */
function limitReached(
  state: ServerState,
  { fn, priority, workloadBytes }: SubmissionRequest,
  forwarded = false,
): "maxQueue" | "maxJobs" | "maxWorkloadBytes" | null {
  const { limits } = state;
  const limit = fn.queueLimit(priority);
  if (!forwarded && limit > 0 && fn.total >= limit) return "maxQueue";
  if (state.jobs.size >= limits.maxJobs) return "maxJobs";
  return state.workloadBytes + workloadBytes > limits.maxWorkloadBytes ? "maxWorkloadBytes" : null;
}

/** @param forwarded It runs on another server of the fleet, whose limits of queues count. */
export function createJob(
  state: ServerState,
  peer: Peer | null,
  request: SubmissionRequest,
  key: string,
  forwarded = false,
): Job | null {
  const { fn, priority } = request;
  const limit = limitReached(state, request, forwarded);
  if (limit !== null) {
    if (peer !== null) refuse(state, peer, limit, fn, "Job queue is full");
    return null;
  }
  const account = peer === null || !(peer.account?.countsJobs ?? false) ? null : peer.account;
  const quota = account === null ? null : account.limitOfJobs(request.workloadBytes);
  if (quota !== null) {
    refuse(state, peer!, `identity.${quota}`, fn, "Quota of unfinished jobs is full");
    return null;
  }
  const claimed = request.background && state.journal === null;
  const job = new Job(fn, state.nextJobNumber++, key, priority, claimed, state.nowMs);
  keepWorkload(state, job, request);
  state.workloadBytes += job.workloadBytes;
  if (request.reducer !== "") rareFields(job).reducer = request.reducer;
  if (request.traceparent !== "") {
    rareFields(job).traceparent = request.traceparent;
    rareFields(job).tracestate = request.tracestate;
  }
  if (account !== null) {
    account.jobs++;
    account.queuedBytes += job.workloadBytes;
    rareFields(job).account = account;
  }
  state.jobs.add(job);
  if (forwarded) fn.forwarded++;
  else {
    fn.total++;
    state.fleet?.entered(job);
  }
  if (fn.workers === 0) state.updateIdle(fn);
  return job;
}

function keepWorkload(state: ServerState, job: Job, { pages, bytes, start, end }: SubmissionRequest): void {
  if (pages === null) {
    state.workloads.keep(bytes, start, end, job);
    return;
  }
  pages.holders++;
  job.workload = pages;
  job.start = start;
  job.end = end;
}

/**
 * Answers a submission that has its job: `JOB_CREATED`, and for a late joiner all reports so far. The only place where a
 * submission is acknowledged, so the only one from which a background one is left to wait for the store.
 */
function acknowledge(state: ServerState, peer: Peer, request: SubmissionRequest, job: Job): void {
  if (request.lingerMs !== undefined) rareFields(job).lingerMs = request.lingerMs;
  if (request.keep) rareFields(job).keep = true;
  if (request.background && state.journal !== null && job.stored !== Stored.YES) {
    claimWhenStored(state, peer, job);
    return;
  }
  if (!request.background) {
    subscribeNew(state, peer, request, job);
    return;
  }
  sendJobCreated(state, peer, job.number);
  job.claimed = true;
}

/** Acknowledges a foreground submission, which waits from now on. */
export function subscribeNew(state: ServerState, peer: Peer, request: SubmissionRequest, job: Job): void {
  if (request.keep) rareFields(job).keep = true;
  sendJobCreated(state, peer, job.number);
  const submission = subscribe(state, peer, job);
  if (request.deadlineMs > 0) state.submissionTimers.set(submission, state.nowMs + request.deadlineMs);
}

/** Lets a connection wait for a job, whose reports so far it is told at once. */
function subscribe(state: ServerState, peer: Peer, job: Job): Submission {
  const submission = new Submission(peer, job, state.nowMs);
  if (peer.held !== null) submission.heldSerial = peer.heldSerial;
  attachSubmission(submission);
  state.submissionCount++;
  if (job.state === JobState.RUNNING && job.keepsHistory && replayLimit(state, job) > 0)
    replay(state, submission);
  return submission;
}

/**
 * `ATTACH`: waits for a job that is there already, or for one that has ended whose result lingers.
 * @see docs/PROTOCOL.md#drover1
 */
export function attach(state: ServerState, peer: Peer, number: number): void {
  const job = state.jobs.get(number);
  const { identity } = peer;
  if (job !== undefined && !identity.mayLookAt(job.fn.name)) {
    forbid(state, peer, "status", "");
    return;
  }
  if (job === undefined || job.state === JobState.CANCELLING) {
    const result = job === undefined ? state.lingering.ofNumber(number, state.nowMs) : undefined;
    if (result === undefined) sendError(state, peer, "JOB_NOT_FOUND", "Job does not exist");
    else if (!identity.mayLookAt(result.fn.name)) forbid(state, peer, "status", "");
    else answerWith(state, peer, result);
    return;
  }
  const isPartial = job.run !== null && (job.run.outgrown || !job.keepsHistory);
  if (isPartial && replayLimit(state, job) > 0) {
    sendError(state, peer, "STATE_LOST", "What the job has reported so far is not known any more");
    return;
  }
  if (state.submissionCount >= state.limits.maxSubmissions) {
    refuse(state, peer, "maxSubmissions", job.fn, "Too many submissions are waiting");
    return;
  }
  sendJobCreated(state, peer, number);
  subscribe(state, peer, job);
}

function claimWhenStored(state: ServerState, peer: Peer, job: Job): void {
  const journal = state.journal!;
  const ack: Ack = { peer, job, stored: undefined };
  job.pendingClaims++;
  if (job.stored === Stored.NO) journal.put(job);
  journal.await(ack);
  sendWhenStored(state, ack);
}

function answerFromLingering(
  state: ServerState,
  peer: Peer,
  request: SubmissionRequest,
  key: string,
): boolean {
  if (state.lingering.size === 0 || request.dueMs > state.wallMs || request.rerunIfActive) return false;
  const result = state.lingering.get(request.fn, key, state.nowMs);
  if (result === undefined) return false;
  state.counts.lingered++;
  request.fn.joins++;
  state.counts.joins++;
  if (request.background) sendJobCreated(state, peer, result.number);
  else answerWith(state, peer, result);
  return true;
}

function answerWith(state: ServerState, peer: Peer, result: LingeringResult): void {
  sendJobCreated(state, peer, result.number);
  for (const packet of result.packets) sendBytes(state, peer, packet);
}

/** A background submission without a connection. Names are byte strings. */
export interface Unattended {
  readonly fn: string;
  /** See `Job.key`; empty joins nothing. */
  readonly key: string;
  readonly workload: Uint8Array;
  readonly priority: Priority;
  readonly reducer: string;
}

/** Submits a dead letter again as a background job; it joins a live job of its unique. @returns false when full. */
export function requeueDeadLetter(state: ServerState, letter: DeadLetter): boolean {
  if (!submitUnattended(state, letter)) return false;
  deleteDeadLetter(state, letter.number);
  return true;
}

/** @returns whether there was such a dead letter. */
export function deleteDeadLetter(state: ServerState, number: number): boolean {
  if (!state.deadLetters.delete(number)) return false;
  state.journal?.forget(number);
  return true;
}

/**
 * Submits a background job that nobody waits to be told of. What made it is stored already, or is in the same commit, so it
 * may run at once.
 * @returns false when full.
 */
export function submitUnattended(state: ServerState, wanted: Unattended): boolean {
  const { key } = wanted;
  const fn = state.functionOf(wanted.fn);
  if (fn === null || state.jobs.size >= state.limits.maxJobs) return false;
  const before = key === "" ? undefined : state.uniques.get(fn, key);
  const cancelling = before?.state === JobState.CANCELLING;
  const live = cancelling ? before.rare?.successor : before;
  if (live !== undefined && live !== null) {
    claimAtOnce(state, live);
    return true;
  }
  const request = new SubmissionRequest();
  request.fn = fn;
  request.priority = wanted.priority;
  request.background = true;
  request.reducer = wanted.reducer;
  request.bytes = wanted.workload;
  request.end = wanted.workload.length;
  // Nobody is there for the error of a submission.
  if (limitReached(state, request) !== null) return false;
  const job = createJob(state, null, request, key);
  if (job === null) return false;
  claimAtOnce(state, job);
  if (before !== undefined) {
    job.state = JobState.WAITING;
    rareFields(before).successor = job;
  } else {
    if (job.key !== "") state.uniques.set(job);
    enter(state, job, 0);
  }
  return true;
}

/** A claim of something that is stored already, under another name, until the commit that has both changes. */
export function claimAtOnce(state: ServerState, job: Job): void {
  job.claimed = true;
  if (job.stored === Stored.NO) state.journal?.put(job);
  // It waits for no commit any more, whose failing would leave nobody to queue it.
  if (job.state === JobState.COMMITTING) enter(state, job, dueMsOf(job));
}

function refuse(state: ServerState, peer: Peer, limit: string, fn: JobFunction, text: string): void {
  const code: WireErrorCode = "QUEUE_ERROR";
  state.counts.refused++;
  state.note({ code: "LIMIT_REACHED", peer, limit, fn: fn.name });
  sendError(state, peer, code, text);
}
