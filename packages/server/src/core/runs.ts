import {
  byteString,
  bytesOf,
  encodePacket,
  indexOfNul,
  PacketType,
  RES,
  type SharedPages,
  type WireErrorCode,
} from "@drover/protocol";
import type { DeadLetter } from "./dead-letters.ts";
import { linger, outgrow, remember, replayLimit } from "./history.ts";
import {
  delayOf,
  detachSubmission,
  type Job,
  JobState,
  MAX_PAST_RUNS,
  Run,
  rareFields,
  type Submission,
} from "./job.ts";
import { endJob, enterQueue } from "./jobs.ts";
import type { Peer } from "./peer.ts";
import {
  closePeer,
  encodeFailure,
  encodeHandleReport,
  encodeReport,
  encodeStatus,
  type FailReason,
  type Failure,
  failureFor,
  forwardReport,
  sendError,
  sendPacket,
  sendToSubmission,
} from "./replies.ts";
import type { ServerState } from "./state.ts";
import { wakeFor } from "./workers.ts";

/* Runs of jobs on workers: their start, their reports, and every way in which they end. */

/** Gives a queued job to a worker. */
export function startRun(state: ServerState, worker: Peer, job: Job): void {
  const { fn } = job;
  const run = new Run(job, worker, state.nowMs);
  job.run = run;
  job.state = JobState.RUNNING;
  job.attempts++;
  if (job.rare !== null) job.rare.runTrace = "";
  run.next = worker.runs;
  if (worker.runs !== null) worker.runs.previous = run;
  worker.runs = run;
  worker.runCount++;
  // A worker that grabs a job again which it overran cannot tell the two runs apart, so they become one.
  if (worker.overruns !== null) dropOverrun(state, worker, job.number);
  const timeoutMs = worker.timeouts?.get(fn);
  if (timeoutMs !== undefined) state.runTimers.set(run, state.nowMs + timeoutMs);
  state.journal?.change(job);
  fn.times.queued.observe(Math.floor(state.nowMs) - job.queuedMs);
  fn.running++;
  fn.runs++;
  state.counts.runs++;
  state.running++;
  fn.dequeue(job);
}

/** `WORK_DATA` and `WORK_WARNING`: to every submitter, and into the history for those who join later. */
export function reportData(
  state: ServerState,
  worker: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, type, bytes, start, end, false);
    return;
  }
  const { job } = run;
  if (job.state === JobState.CANCELLING) return;
  // A status that a slow reader is still owed came before this report.
  payStatuses(state, job);
  const joinable = job.keepsHistory && !run.outgrown;
  const keeps = joinable && replayLimit(state, job) > 0;
  // What is not kept is missing from now on: for late joiners if the limit is raised, and for lingering.
  if (joinable && !keeps) outgrow(state, run);
  const first = job.submissions;
  const proper = indexOfNul(bytes, start, end) >= 0;
  if (proper && !keeps && first !== null && first.nextOfJob === null) {
    if (canTake(state, first.peer)) forwardReport(state, first, type, bytes, start, end, pages);
    return;
  }
  if (!keeps && first === null) return;
  const packet = encodeOpaqueReport(type, bytes, start, end, pages);
  if (keeps) remember(state, run, packet);
  for (let submission = first; submission !== null; submission = submission.nextOfJob) {
    sendReport(state, submission, packet);
  }
}

/**
 * `WORK_STATUS`: to every submitter; a slow one gets only the newest, when it has read.
 * @returns false when the packet has no number.
 */
export function reportStatus(
  state: ServerState,
  worker: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const handleEnd = indexOfNul(bytes, start, end);
  if (handleEnd < 0 || handleEnd + 1 === end) return false;
  const nul = indexOfNul(bytes, handleEnd + 1, end);
  const numeratorEnd = nul < 0 ? end : nul;
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, PacketType.WORK_STATUS, bytes, start, end, false);
    return true;
  }
  const { job } = run;
  if (job.state === JobState.CANCELLING) return true;
  run.numerator = byteString(bytes, handleEnd + 1, numeratorEnd);
  if (nul < 0) {
    // Perl's workers may leave out the denominator.
    run.denominator = "0";
  } else {
    const last = indexOfNul(bytes, nul + 1, end);
    run.denominator = byteString(bytes, nul + 1, last < 0 ? end : last);
  }
  let packet: Uint8Array | null = null;
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    const { peer } = submission;
    if (peer.backlogBytes > state.limits.pauseBytes) {
      if (submission.owesStatus) continue;
      submission.owesStatus = true;
      peer.owing ??= [];
      peer.owing.push(submission);
    } else {
      packet ??= nul < 0 ? encodeStatus(state, job) : encodeReport(PacketType.WORK_STATUS, bytes, start, end);
      submission.owesStatus = false;
      sendReport(state, submission, packet);
    }
  }
  return true;
}

/** Sends a connection that has read its backlog the newest status of the jobs that owe it one. */
export function payOwedStatuses(state: ServerState, peer: Peer): void {
  const owing = peer.owing;
  if (owing === null) return;
  peer.owing = null;
  for (const submission of owing) payStatus(state, submission);
}

/** `WORK_COMPLETE`. */
export function reportComplete(
  state: ServerState,
  worker: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null,
): void {
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, PacketType.WORK_COMPLETE, bytes, start, end, true);
    return;
  }
  const { job } = run;
  if (job.state === JobState.CANCELLING) {
    endReportedRun(state, run);
    endJob(state, job);
    return;
  }
  payStatuses(state, job);
  const lingerMs = job.key === "" ? 0 : (job.rare?.lingerMs ?? job.fn.settings.lingerMs);
  const first = job.submissions;
  const proper = indexOfNul(bytes, start, end) >= 0;
  if (proper && lingerMs === 0 && first !== null && first.nextOfJob === null) {
    if (canTake(state, first.peer)) {
      forwardReport(state, first, PacketType.WORK_COMPLETE, bytes, start, end, pages);
    }
  } else if (first !== null || lingerMs > 0) {
    const packet = encodeOpaqueReport(PacketType.WORK_COMPLETE, bytes, start, end, pages);
    if (lingerMs > 0) linger(state, run, packet, lingerMs);
    for (let submission = first; submission !== null; submission = submission.nextOfJob) {
      sendReport(state, submission, packet);
    }
  }
  job.fn.completed++;
  state.counts.completed++;
  if (job.isClaimed) recordOutcome(state, job, "done");
  endReportedRun(state, run);
  endJob(state, job);
}

/** `WORK_FAIL`. */
export function reportFail(
  state: ServerState,
  worker: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, PacketType.WORK_FAIL, bytes, start, end, true);
    return;
  }
  payStatuses(state, run.job);
  endReportedRun(state, run);
  const packet = encodeReport(PacketType.WORK_FAIL, bytes, start, end);
  failJob(state, run, "failed", { plain: packet, reasoned: packet });
}

/** `WORK_EXCEPTION`: as it is for those who asked for exceptions, as `WORK_FAIL` for the others. */
export function reportException(
  state: ServerState,
  worker: Peer,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const run = runOf(state, worker, bytes, start, end);
  if (run === null) {
    lateReport(state, worker, PacketType.WORK_EXCEPTION, bytes, start, end, true);
    return;
  }
  const { job } = run;
  worker.lastException = job.number;
  payStatuses(state, job);
  endReportedRun(state, run);
  const fail = encodeHandleReport(state, PacketType.WORK_FAIL, job.number);
  const exception = encodeOpaqueReport(PacketType.WORK_EXCEPTION, bytes, start, end);
  failJob(state, run, "exception", { plain: fail, reasoned: fail }, exception);
}

/** The worker's timeout for a run has passed: the run goes on as an overrun, and the job without it. */
export function expireRun(state: ServerState, run: Run): void {
  const { job } = run;
  const cancelled = job.state === JobState.CANCELLING;
  payStatuses(state, job);
  overrun(state, run);
  if (cancelled) endJob(state, job);
  else if (job.fn.settings.onTimeout === "retry") requeue(state, run, "timed out");
  else failJob(state, run, "timed out", encodeFailure(state, job.number, "timed out"));
}

/** The worker of a run is gone. */
export function loseRun(state: ServerState, run: Run): void {
  const { job } = run;
  job.fn.lost++;
  state.counts.lost++;
  payStatuses(state, job);
  endRun(state, run);
  if (job.state === JobState.CANCELLING) endJob(state, job);
  else requeue(state, run, "worker lost");
}

/** Turns a run into an overrun: its job no longer waits for it, its worker still has a slot of the function. */
export function overrun(state: ServerState, run: Run): void {
  const { job, worker } = run;
  endRun(state, run);
  worker.overruns ??= new Map();
  worker.overruns.set(job.number, { fn: job.fn, worker });
  job.fn.overruns++;
  job.fn.updateReadiness();
  state.counts.overruns++;
  state.note({ code: "OVERRUN", fn: job.fn.name, handle: state.handles.text(job.number), worker });
}

/** The worker reported an overrun at last, or is gone: its slot is free. */
export function dropOverrun(state: ServerState, worker: Peer, number: number): boolean {
  const found = worker.overruns?.get(number);
  if (found === undefined) return false;
  worker.overruns!.delete(number);
  found.fn.overruns--;
  found.fn.updateReadiness();
  if (found.fn.total === 0 && found.fn.workers === 0) state.updateIdle(found.fn);
  return true;
}

/** Tells a worker that its job is not wanted any more. @returns false when it cannot be told. */
export function cancelRun(state: ServerState, run: Run): boolean {
  if (!run.worker.speaksDrover) return false;
  run.job.state = JobState.CANCELLING;
  state.replayBytes -= run.historyBytes;
  run.history = null;
  run.historyBytes = 0;
  sendPacket(state, run.worker, PacketType.CANCEL, [state.handles.text(run.job.number)]);
  return true;
}

/** Ends a run by its worker's last report. */
function endReportedRun(state: ServerState, run: Run): void {
  run.job.fn.times.runs.observe(state.nowMs - run.startedMs);
  endRun(state, run);
}

/** Takes a run away from its worker and its job. What becomes of the job is the caller's to say. */
export function endRun(state: ServerState, run: Run): void {
  const { job, worker } = run;
  if (run.previous === null) worker.runs = run.next;
  else run.previous.next = run.next;
  if (run.next !== null) run.next.previous = run.previous;
  worker.runCount--;
  state.runTimers.delete(run);
  state.replayBytes -= run.historyBytes;
  state.running--;
  job.run = null;
  if (!worker.isRelay) job.fn.running--;
}

/**
 * The job of a run that has ended failed. With a background claim and a retry policy it waits for its next attempt; foreground submitters
 * have got their answer all the same.
 */
export function failJob(
  state: ServerState,
  run: Run,
  reason: string,
  failure: Failure,
  exception?: Uint8Array,
): void {
  const { job } = run;
  if (job.state === JobState.CANCELLING) {
    endJob(state, job);
    return;
  }
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    const { peer } = submission;
    const wants = exception !== undefined && (peer.wantsExceptions || state.options.exceptionsForAll);
    sendReport(state, submission, wants ? exception : failureFor(peer, failure));
  }
  job.fn.failed++;
  state.counts.failed++;
  const retry = job.fn.settings.retry;
  if (!job.isClaimed || retry === undefined) {
    if (job.isClaimed) recordOutcome(state, job, "failed");
    endJob(state, job);
    return;
  }
  if (job.attempts >= retry.maxAttempts) {
    bury(state, job, reason);
    return;
  }
  keepPastRun(state, run, reason);
  dismissSubmissions(state, job);
  const { initialMs, maxMs, factor, jitter } = retry.backoff;
  const waitMs = Math.min(maxMs, initialMs * factor ** (job.attempts - 1));
  const spread = 1 + jitter * (2 * state.options.random() - 1);
  rareFields(job).inBackoff = true;
  job.state = JobState.DELAYED;
  job.fn.delayed++;
  state.dueJobs.set(delayOf(job), state.wallMs + Math.round(waitMs * spread));
  state.journal?.change(job);
  // The slot of the run is free again.
  job.fn.updateReadiness();
  wakeFor(state, job.fn, 0);
}

/** Takes a submission out of everything, without an answer. */
export function dropSubmission(state: ServerState, submission: Submission): void {
  submission.owesStatus = false;
  state.submissionTimers.delete(submission);
  detachSubmission(submission);
  state.submissionCount--;
}

/** Takes out all foreground submissions of a job, which have been told its end. */
export function dismissSubmissions(state: ServerState, job: Job): void {
  for (let submission = job.submissions; submission !== null; submission = job.submissions) {
    job.fn.times.waits.observe(Math.floor(state.nowMs) - submission.sinceMs);
    dropSubmission(state, submission);
  }
}

/** Makes a background job a dead letter, and frees its unique. */
export function bury(state: ServerState, job: Job, reason: string): void {
  const handle = state.handles.text(job.number);
  state.note({ code: "DEAD_LETTER", fn: job.fn.name, handle, reason });
  const letter: DeadLetter = {
    number: job.number,
    fn: job.fn.name,
    key: job.key,
    workload: job.workload.copy(job.start, job.end),
    priority: job.priority,
    reducer: job.rare?.reducer ?? "",
    reason,
    attempts: job.attempts,
    diedMs: state.wallMs,
  };
  state.journal?.bury(job, letter);
  keepLetter(state, letter);
  recordOutcome(state, job, "dead");
  endJob(state, job);
}

/** Keeps a dead letter, for which older ones may have to go. */
export function keepLetter(state: ServerState, letter: DeadLetter): void {
  for (const { fn, number } of state.deadLetters.add(letter)) {
    state.note({ code: "DEAD_LETTER_EVICTED", fn, handle: state.handles.text(number) });
    state.journal?.forget(number);
  }
}

/** Sends a submission what its job has reported so far. */
export function replay(state: ServerState, submission: Submission): void {
  const { job } = submission;
  const run = job.run;
  if (run === null) return;
  if (run.history !== null) {
    state.counts.replays++;
    for (const packet of run.history) sendReport(state, submission, packet);
  }
  if (run.numerator !== null && replayLimit(state, job) > 0) {
    sendReport(state, submission, encodeStatus(state, job));
  }
}

/** Some workers leave out the NUL behind the handle when nothing follows; clients could not read that. */
function encodeOpaqueReport(
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  pages: SharedPages | null = null,
): Uint8Array {
  if (indexOfNul(bytes, start, end) >= 0) return encodeReport(type, bytes, start, end, pages);
  return encodePacket(RES, type, [byteString(bytes, start, end)]);
}

/** A job whose worker did not finish it: back to the head of its queue, unless nobody wants it or it is given up. */
function requeue(state: ServerState, run: Run, reason: FailReason): void {
  const { job } = run;
  const { fn } = job;
  if (job.submissions === null && !job.isClaimed && job.rare?.keep !== true) {
    endJob(state, job);
    return;
  }
  const max = fn.settings.maxAttempts;
  if (max > 0 && job.attempts >= max) {
    const failure = encodeFailure(state, job.number, reason);
    for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
      sendReport(state, submission, failureFor(submission.peer, failure));
    }
    fn.failed++;
    state.counts.failed++;
    if (job.isClaimed) bury(state, job, reason);
    else endJob(state, job);
    return;
  }
  keepPastRun(state, run, reason);
  announceRestart(state, job);
  enterQueue(state, job, true);
}

/** Remembers a run that ended while its job goes on. */
function keepPastRun(state: ServerState, { job, worker, startedMs }: Run, reason: string): void {
  const rare = rareFields(job);
  rare.pastRuns ??= [];
  if (rare.pastRuns.length === MAX_PAST_RUNS) rare.pastRuns.shift();
  const { id: workerId, address } = worker;
  rare.pastRuns.push({ attempt: job.attempts, workerId, address, startedMs, endedMs: state.nowMs, reason });
}

/** Peers that know nothing of restarts get nothing: what they saw so far may come again. */
export function announceRestart(state: ServerState, job: Job): void {
  const handle = state.handles.text(job.number);
  const attempt = String(job.attempts + 1);
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    submission.owesStatus = false;
    if (submission.peer.speaksDrover) {
      sendReport(state, submission, encodePacket(RES, PacketType.JOB_RESTARTED, [handle, attempt]));
    } else if (job.fn.settings.restartWarning) {
      const text = bytesOf(`drover: restarted attempt=${attempt}`);
      sendReport(state, submission, encodePacket(RES, PacketType.WORK_WARNING, [handle], text));
    }
  }
}

/** Before a job's terminal report, everyone who still owes the newest status gets it. */
export function payStatuses(state: ServerState, job: Job): void {
  for (let submission = job.submissions; submission !== null; submission = submission.nextOfJob) {
    if (submission.owesStatus) payStatus(state, submission);
  }
}

function payStatus(state: ServerState, submission: Submission): void {
  if (!submission.owesStatus) return;
  submission.owesStatus = false;
  sendReport(state, submission, encodeStatus(state, submission.job));
}

function sendReport(state: ServerState, submission: Submission, packet: Uint8Array): void {
  if (canTake(state, submission.peer)) sendToSubmission(state, submission, packet);
}

/** Whether the connection may get another report; one that has far too much unread is closed instead. */
function canTake(state: ServerState, peer: Peer): boolean {
  if (peer.backlogBytes <= state.limits.backlogBytes) return true;
  if (peer.closing === null && !peer.gone) {
    state.counts.slowReaders++;
    state.note({ code: "SLOW_READER", peer, backlogBytes: peer.backlogBytes });
    closePeer(state, peer, "slow reader", "limited");
    peer.abrupt = true;
  }
  return false;
}

/** The run that a report of this worker is about, or null. */
function runOf(state: ServerState, worker: Peer, bytes: Uint8Array, start: number, end: number): Run | null {
  const nul = indexOfNul(bytes, start, end);
  const number = state.handles.parse(bytes, start, nul < 0 ? end : nul);
  if (number < 0) return null;
  const run = state.jobs.get(number)?.run;
  return run === undefined || run === null || run.worker !== worker ? null : run;
}

const LATE_TEXT: Readonly<Record<number, string>> = {
  [PacketType.WORK_DATA]: "Job does not exist on server",
  [PacketType.WORK_WARNING]: "Job does not exist on server",
  [PacketType.WORK_EXCEPTION]: "An exception was received for a job that does not exist",
};

/** A report on a job that is not this worker's: it reaches nobody. */
function lateReport(
  state: ServerState,
  worker: Peer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  final: boolean,
): void {
  const nul = indexOfNul(bytes, start, end);
  const number = state.handles.parse(bytes, start, nul < 0 ? end : nul);
  if (number >= 0 && type === PacketType.WORK_FAIL && worker.lastException === number) {
    // Perl's workers send both for one failure, and an ERROR would end them.
    worker.lastException = -1;
    return;
  }
  state.counts.lateReports++;
  const code: WireErrorCode = "JOB_NOT_FOUND";
  sendError(state, worker, code, LATE_TEXT[type] ?? "Job given in work result not found");
  if (!final || number < 0) return;
  const fn = worker.overruns?.get(number)?.fn;
  if (fn !== undefined && dropOverrun(state, worker, number)) wakeFor(state, fn, 0);
}

function recordOutcome(state: ServerState, job: Job, outcome: "done" | "failed" | "dead"): void {
  const { fn, key, number } = job;
  state.outcomes.add({ fn, key, number, state: outcome, endedMs: state.wallMs });
}

export { lateReport, runOf, sendReport };
