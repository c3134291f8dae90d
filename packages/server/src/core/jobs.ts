import { delayOf, dueMsOf, type Job, JobState, type Submission } from "./job.ts";
import { type Ack, Stored } from "./journal.ts";
import { encodeFailure, failureFor, releaseReplies, sendToSubmission } from "./replies.ts";
import { cancelRun, dismissSubmissions, dropSubmission, overrun, payStatuses } from "./runs.ts";
import type { ServerState } from "./state.ts";
import { wakeFor } from "./workers.ts";

/* What happens to a job outside its runs: it enters its queue, falls due, is left, ends. */

/** Queues a job: last of its priority, or first when it goes back, and wakes somebody for it. */
export function enterQueue(state: ServerState, job: Job, first: boolean): void {
  job.state = JobState.QUEUED;
  if (!first) job.queuedMs = Math.floor(state.nowMs);
  job.fn.enqueue(job, first);
  wakeFor(state, job.fn, first ? 0 : state.options.wakeAtLeast);
}

/** Queues the job, or lets it wait for its time. */
export function enter(state: ServerState, job: Job, dueMs: number): void {
  if (dueMs > state.wallMs) {
    job.state = JobState.DELAYED;
    job.fn.delayed++;
    state.dueJobs.set(delayOf(job), dueMs);
  } else {
    enterQueue(state, job, false);
  }
}

/** Queues the job, or lets it wait for its time, once the store has it if it is to have it. */
export function enterWhenStored(state: ServerState, job: Job, dueMs: number): void {
  const waits = job.pendingClaims > 0 && !job.claimed && job.stored === Stored.PENDING;
  if (!waits) {
    enter(state, job, dueMs);
    return;
  }
  job.state = JobState.COMMITTING;
  if (dueMs > 0) delayOf(job).atMs = dueMs;
}

/** The store has the job of a background submission, or cannot have it. */
export function settleClaim(state: ServerState, ack: Ack, stored: boolean): void {
  const { job } = ack;
  ack.stored = stored;
  job.pendingClaims--;
  if (stored) job.claimed = true;
  releaseReplies(state, ack.peer);
  if (job.state === JobState.ENDED) return;
  const isWanted = job.submissions !== null || job.isClaimed || job.rare?.keep === true;
  const isIdle = job.state !== JobState.RUNNING && job.state !== JobState.CANCELLING;
  if (!isWanted && isIdle) endJob(state, job);
  else if (job.state === JobState.COMMITTING && job.stored !== Stored.PENDING) {
    enter(state, job, dueMsOf(job));
  }
}

/** A delayed job's time has come; it is out of the heap already. */
export function fallDue(state: ServerState, job: Job): void {
  job.fn.delayed--;
  if (job.rare !== null) job.rare.inBackoff = false;
  enterQueue(state, job, false);
}

/** Makes a delayed job due now. */
export function dueNow(state: ServerState, job: Job): void {
  state.dueJobs.delete(delayOf(job));
  fallDue(state, job);
}

/**
 * A foreground submission leaves its job; the last one may take the job with it.
 * @param isLost Whether its connection ended, rather than that it was taken back.
 */
export function leaveJob(state: ServerState, submission: Submission, isLost = false): void {
  const { job } = submission;
  dropSubmission(state, submission);
  if (job.submissions !== null || job.isClaimed || job.rare?.keep === true) return;
  if (job.run?.worker.isRelay === true) {
    state.fleet!.abandon(job);
    return;
  }
  if (job.state !== JobState.RUNNING) {
    if (job.state !== JobState.CANCELLING) endJob(state, job);
    return;
  }
  const { onAbandoned } = job.fn.settings;
  if (onAbandoned === "cancel" || (onAbandoned === "cancelDetached" && !isLost)) cancelRun(state, job.run!);
}

/**
 * An administrator cancels a job: every submitter gets one `WORK_FAIL`, and its result reaches nobody. A running one
 * is stopped where its worker can be told; elsewhere it goes on as an overrun, and its unique is free at once.
 */
export function cancelJob(state: ServerState, job: Job): void {
  payStatuses(state, job);
  const failure = encodeFailure(state, job.number, "cancelled");
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    sendToSubmission(state, submission, failureFor(submission.peer, failure));
  }
  dismissSubmissions(state, job);
  if (job.isClaimed) {
    const { fn, key, number } = job;
    state.outcomes.add({ fn, key, number, state: "failed", endedMs: state.wallMs });
  }
  job.claimed = false;
  job.fn.failed++;
  state.counts.failed++;
  if (job.run === null) endJob(state, job);
  else if (job.run.worker.isRelay) state.fleet!.abandon(job);
  else if (!cancelRun(state, job.run)) {
    overrun(state, job.run);
    endJob(state, job);
  }
}

/** Forgets a job that is not running any more, frees its unique, and lets its successor take its place. */
export function endJob(state: ServerState, job: Job): void {
  const { fn } = job;
  dismissSubmissions(state, job);
  if (job.state === JobState.QUEUED) fn.dequeue(job);
  else if (job.state === JobState.DELAYED) {
    state.dueJobs.delete(delayOf(job));
    fn.delayed--;
  } else if (job.state === JobState.WAITING) {
    leavePredecessor(state, job);
  }
  const wasWaiting = job.state === JobState.WAITING;
  job.state = JobState.ENDED;
  state.journal?.delete(job);
  if (state.fleet?.ended(job) === true) fn.forwarded--;
  else fn.total--;
  state.jobs.delete(job);
  state.pages.release(job.workload);
  state.workloadBytes -= job.workloadBytes;
  if (job.rare !== null && job.rare.account !== null) {
    job.rare.account.jobs--;
    job.rare.account.queuedBytes -= job.workloadBytes;
  }
  const successor = job.rare === null ? null : job.rare.successor;
  if (job.key !== "" && !wasWaiting) state.uniques.delete(job);
  if (successor !== null) {
    job.rare!.successor = null;
    state.uniques.set(successor);
    enterWhenStored(state, successor, dueMsOf(successor));
  }
  // A slot of the function may have become free.
  fn.updateReadiness();
  if (fn.queued > 0) wakeFor(state, fn, 0);
  if (fn.total === 0 && fn.workers === 0) state.updateIdle(fn);
}

function leavePredecessor(state: ServerState, job: Job): void {
  const before = state.uniques.get(job.fn, job.key);
  if (before?.rare?.successor === job) before.rare.successor = null;
}
