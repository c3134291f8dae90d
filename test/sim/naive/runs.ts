import { PacketType } from "@drover/protocol";
import { ensure } from "../violation.ts";
import {
  cancelRun,
  create,
  delay,
  drop,
  dropAll,
  end,
  enterQueue,
  leave,
  PLAIN_REQUEST,
  statusBody,
  tableKey,
} from "./jobs.ts";
import {
  lapseStatuses,
  type NaiveFunction,
  type NaiveJob,
  type NaiveLetter,
  type NaivePacket,
  type NaivePeer,
  NaiveRun,
  type NaiveState,
  removeFrom,
  reply,
  report,
  status,
} from "./state.ts";

const {
  ERROR,
  JOB_RESTARTED,
  WORK_COMPLETE,
  WORK_DATA,
  WORK_EXCEPTION,
  WORK_FAIL,
  WORK_STATUS,
  WORK_WARNING,
} = PacketType;

const HEADER_BYTES = 12;

/** The functions a worker could be given a job of, at the most urgent priority at which there is one. */
export function candidates(
  state: NaiveState,
  worker: NaivePeer,
): { priority: number; functions: NaiveFunction[] } | null {
  for (const priority of [0, 1, 2] as const) {
    const functions: NaiveFunction[] = [];
    for (const name of worker.abilities.keys()) {
      const fn = state.functionOf(name);
      if (fn.queues[priority].length > 0 && state.runnable(fn) > 0) functions.push(fn);
    }
    if (functions.length > 0) return { priority, functions };
  }
  return null;
}

/** A worker was given the job: it must have been its turn. */
export function startRun(state: NaiveState, worker: NaivePeer, job: NaiveJob): void {
  const { fn } = job;
  const found = candidates(state, worker);
  ensure(job.phase === "queued", "S3", () => `${job.handle} was assigned while ${job.phase}`);
  ensure(worker.abilities.has(fn.name), "grab", () => `${fn.name} was assigned to a worker without it`);
  ensure(!fn.paused, "grab", () => `a job of ${fn.name}, which is paused, was assigned`);
  ensure(
    found?.functions.includes(fn) === true,
    "S4",
    () => `${fn.name} has no room for another run, or no job of its priority`,
  );
  ensure(found.priority === job.priority, "S6", () => `${job.handle} was assigned before more urgent ones`);
  ensure(
    fn.queues[found.priority as 0 | 1 | 2][0] === job,
    "S6",
    () =>
      `${job.handle} was assigned out of turn, ${fn.queues[found.priority as 0 | 1 | 2][0]!.handle} was first`,
  );
  removeFrom(fn.queues[job.priority as 0 | 1 | 2], job);
  const run = new NaiveRun(job, worker, state.nextOrder++);
  // Two runs of one job on one worker cannot be told apart, so they are one.
  dropOverrun(worker, job.number);
  const timeoutMs = worker.abilities.get(fn.name)!;
  if (timeoutMs > 0) run.timeoutAtMs = state.nowMs + timeoutMs;
  job.run = run;
  job.phase = "running";
  job.attempts++;
  worker.runs.add(run);
  fn.running++;
}

/** The run that a report is about; without one the report is answered by an error. */
function runOf(state: NaiveState, worker: NaivePeer, handle: string): NaiveRun | null {
  const run = state.jobOfHandle(handle)?.run ?? null;
  return run?.worker === worker ? run : null;
}

function lateReport(state: NaiveState, worker: NaivePeer, type: number, handle: string): void {
  const digits = handle.slice(handle.lastIndexOf(":") + 1);
  const number = Number(digits) - state.options.firstHandle;
  if (type === WORK_FAIL && worker.lastException === number) {
    worker.lastException = -1;
    return;
  }
  let text = "Job given in work result not found";
  if (type === WORK_DATA || type === WORK_WARNING) text = "Job does not exist on server";
  if (type === WORK_EXCEPTION) text = "An exception was received for a job that does not exist";
  reply(state, worker, ERROR, `JOB_NOT_FOUND\0${text}`);
  if (type === WORK_COMPLETE || type === WORK_FAIL || type === WORK_EXCEPTION) dropOverrun(worker, number);
}

function dropOverrun(worker: NaivePeer, number: number): void {
  const fn = worker.overruns.get(number);
  if (fn === undefined) return;
  worker.overruns.delete(number);
  fn.overruns--;
}

/** Any `WORK_*` of a worker. `data` is the opaque field or, of a status, its numbers. */
export function workReport(
  state: NaiveState,
  worker: NaivePeer,
  type: number,
  body: string,
  args: readonly string[],
): void {
  const handle = args[0]!;
  const run = runOf(state, worker, handle);
  if (run === null) lateReport(state, worker, type, handle);
  else if (type === WORK_STATUS) reportStatus(state, run, body, [args[1]!, args[2]!]);
  else if (type === WORK_DATA || type === WORK_WARNING) reportData(state, run, { type, body });
  else if (type === WORK_COMPLETE) {
    complete(state, run, { type, body: body.includes("\0") ? body : `${body}\0` });
  } else {
    const fail = { type: WORK_FAIL, body: run.job.handle };
    if (type === WORK_EXCEPTION) worker.lastException = run.job.number;
    endRun(state, run);
    if (type === WORK_FAIL) failJob(state, run.job, { type, body }, { type, body });
    else failJob(state, run.job, fail, { type, body });
  }
}

function reportStatus(state: NaiveState, run: NaiveRun, body: string, numbers: readonly [string, string]) {
  const { job } = run;
  if (job.phase === "cancelling") return;
  run.status = numbers;
  for (const submission of job.submissions) status(state, submission, job.handle, body);
}

function reportData(state: NaiveState, run: NaiveRun, packet: NaivePacket): void {
  const { job } = run;
  if (job.phase === "cancelling") return;
  for (const submission of job.submissions) report(state, submission, job.handle, packet, false);
  if ((job.key === "" && !job.keep) || run.outgrown) return;
  const bytes = HEADER_BYTES + packet.body.length;
  const limit = state.replayLimit(job.fn);
  const { replayTotalBytes } = state.options.limits;
  if (limit === 0 || run.historyBytes + bytes > limit || state.replayBytes + bytes > replayTotalBytes) {
    state.replayBytes -= run.historyBytes;
    run.history = [];
    run.historyBytes = 0;
    run.outgrown = true;
  } else {
    run.history.push(packet);
    run.historyBytes += bytes;
    state.replayBytes += bytes;
  }
}

function complete(state: NaiveState, run: NaiveRun, packet: NaivePacket): void {
  const { job } = run;
  if (job.phase !== "cancelling") {
    for (const submission of job.submissions) report(state, submission, job.handle, packet, true);
    const lingerMs = job.key === "" ? 0 : (job.lingerMs ?? state.settings(job.fn).lingerMs);
    if (lingerMs > 0 && !run.outgrown) linger(state, run, packet, lingerMs);
    if (job.claimed) recordOutcome(state, job, "done");
  }
  endRun(state, run);
  end(state, job);
}

function linger(state: NaiveState, run: NaiveRun, packet: NaivePacket, lingerMs: number): void {
  const { job } = run;
  const packets = [...run.history, packet];
  const body = run.status === null ? null : statusBody(job.handle, run.status);
  let bytes = body === null ? 0 : HEADER_BYTES + body.length;
  for (const { body } of packets) bytes += HEADER_BYTES + body.length;
  const { lingerTotalBytes } = state.options.limits;
  if (bytes > lingerTotalBytes) return;
  const epoch = state.options.functionEpoch(job.fn.name);
  const old = state.lingering.find(
    (result) => result.fn === job.fn && result.key === job.key && result.epoch === epoch,
  );
  if (old !== undefined) removeFrom(state.lingering, old);
  const endsMs = state.nowMs + lingerMs;
  const { handle, fn, key } = job;
  state.lingering.push({ epoch, fn, key, handle, packets, status: body, bytes, endsMs });
  while (state.lingering.reduce((sum, result) => sum + result.bytes, 0) > lingerTotalBytes) {
    state.lingering.shift();
  }
}

function recordOutcome(state: NaiveState, job: NaiveJob, outcome: "done" | "failed" | "dead"): void {
  const { fn, key, number, handle } = job;
  const epoch = state.options.functionEpoch(fn.name);
  if (state.outcomes.length >= state.options.limits.maxOutcomes) state.outcomes.shift();
  state.outcomes.push({ epoch, fn, key, number, handle, state: outcome, endedMs: state.wallMs });
}

/** The run is no longer the worker's nor the job's. */
function endRun(state: NaiveState, run: NaiveRun): void {
  run.worker.runs.delete(run);
  state.replayBytes -= run.historyBytes;
  run.job.run = null;
  run.job.fn.running--;
}

function overrun(state: NaiveState, run: NaiveRun): void {
  endRun(state, run);
  run.worker.overruns.set(run.job.number, run.job.fn);
  run.job.fn.overruns++;
}

function failJob(state: NaiveState, job: NaiveJob, fail: NaivePacket, exception: NaivePacket): void {
  if (job.phase === "cancelling") {
    end(state, job);
    return;
  }
  for (const submission of job.submissions) {
    const wants = submission.peer.wantsExceptions || state.options.exceptionsForAll;
    report(state, submission, job.handle, wants ? exception : fail, true);
  }
  const { retry } = state.settings(job.fn);
  if (!job.claimed || retry === undefined) {
    if (job.claimed) recordOutcome(state, job, "failed");
    end(state, job);
  } else if (job.attempts >= retry.maxAttempts) {
    bury(state, job);
  } else {
    dropAll(state, job);
    const { initialMs, maxMs, factor, jitter } = retry.backoff;
    const waitMs = Math.min(maxMs, initialMs * factor ** (job.attempts - 1));
    const spread = 1 + jitter * (2 * state.options.random() - 1);
    delay(state, job, state.wallMs + Math.round(waitMs * spread));
    job.inBackoff = true;
  }
}

function bury(state: NaiveState, job: NaiveJob): void {
  const { maxDeadLetters, deadLetterBytes } = state.options.limits;
  state.letters.push({ job, priority: job.priority });
  const bytes = () => state.letters.reduce((sum, letter) => sum + letter.job.workload.length, 0);
  while (state.letters.length > maxDeadLetters || bytes() > deadLetterBytes) state.letters.shift();
  recordOutcome(state, job, "dead");
  end(state, job);
}

/** A job whose worker did not end it goes to the head of its queue, unless it is unwanted or given up. */
function requeue(state: NaiveState, job: NaiveJob): void {
  if (job.submissions.length === 0 && !job.claimed && !job.keep) {
    end(state, job);
    return;
  }
  const { maxAttempts, restartWarning } = state.settings(job.fn);
  if (maxAttempts > 0 && job.attempts >= maxAttempts) {
    const packet = { type: WORK_FAIL, body: job.handle };
    for (const submission of job.submissions) report(state, submission, job.handle, packet, true);
    if (job.claimed) bury(state, job);
    else end(state, job);
    return;
  }
  const attempt = job.attempts + 1;
  for (const submission of job.submissions) {
    lapseStatuses(submission, job.handle);
    if (submission.peer.speaksDrover) {
      const packet = { type: JOB_RESTARTED, body: `${job.handle}\0${attempt}` };
      report(state, submission, job.handle, packet, false);
    } else if (restartWarning) {
      const packet = { type: WORK_WARNING, body: `${job.handle}\0drover: restarted attempt=${attempt}` };
      report(state, submission, job.handle, packet, false);
    }
  }
  enterQueue(job, true);
}

/** Runs whose timeout has passed. */
export function expireRuns(state: NaiveState): void {
  const late: NaiveRun[] = [];
  for (const peer of state.peers) {
    for (const run of peer.runs) if (run.timeoutAtMs <= state.nowMs) late.push(run);
  }
  late.sort((a, b) => a.timeoutAtMs - b.timeoutAtMs || a.order - b.order);
  for (const run of late) {
    const { job } = run;
    overrun(state, run);
    if (job.phase === "cancelling") end(state, job);
    else if (state.settings(job.fn).onTimeout === "retry") requeue(state, job);
    else {
      const fail = { type: WORK_FAIL, body: job.handle };
      failJob(state, job, fail, fail);
    }
  }
}

/** A connection is over: its submissions leave, its jobs go back. */
export function disconnect(state: NaiveState, peer: NaivePeer): void {
  state.peers.delete(peer);
  peer.over = true;
  for (const submission of [...peer.submissions].reverse()) leave(state, submission);
  for (const fn of peer.overruns.values()) fn.overruns--;
  peer.overruns.clear();
  peer.abilities.clear();
  for (const run of [...peer.runs].reverse()) {
    const { job } = run;
    endRun(state, run);
    if (job.phase === "cancelling") end(state, job);
    else requeue(state, job);
  }
}

/** An administrator cancels: one `WORK_FAIL` to everyone, and the result reaches nobody. */
export function cancelJob(state: NaiveState, job: NaiveJob): void {
  const fail = { type: WORK_FAIL, body: job.handle };
  for (const submission of job.submissions) report(state, submission, job.handle, fail, true);
  for (const submission of [...job.submissions]) drop(state, submission);
  if (job.claimed) recordOutcome(state, job, "failed");
  job.claimed = false;
  if (job.run === null) end(state, job);
  else if (!cancelRun(state, job)) {
    overrun(state, job.run);
    end(state, job);
  }
}

/** A dead letter becomes a background job again, or joins the live job of its unique. @returns false when full. */
export function requeueLetter(state: NaiveState, letter: NaiveLetter): boolean {
  const { fn, key, workload, reducer } = letter.job;
  if (state.jobs.size >= state.options.limits.maxJobs) return false;
  const live = key === "" ? undefined : state.table.get(tableKey(fn.name, key));
  const joined = live?.phase === "cancelling" ? live.successor : live;
  if (joined !== undefined && joined !== null) {
    joined.claimed = true;
  } else {
    const { priority } = letter;
    const request = {
      ...PLAIN_REQUEST,
      fn: fn.name,
      unique: "",
      workload,
      priority,
      background: true,
      reducer,
    };
    const job = create(state, null, request, key);
    if (job === null) return false;
    if (live !== undefined) {
      job.phase = "waiting";
      live.successor = job;
    } else {
      if (key !== "") state.table.set(tableKey(fn.name, key), job);
      enterQueue(job, false);
    }
  }
  removeFrom(state.letters, letter);
  return true;
}
