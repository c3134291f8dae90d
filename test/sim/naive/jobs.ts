import { PacketType } from "@drover/protocol";
import {
  lapseStatuses,
  NaiveJob,
  type NaivePeer,
  type NaiveState,
  NaiveSubmission,
  removeFrom,
  reply,
  report,
  status,
} from "./state.ts";

const { ERROR, JOB_CREATED, JOB_TRACE, WORK_FAIL } = PacketType;

/** A submission as the wire has it. */
export interface NaiveRequest {
  readonly fn: string;
  readonly unique: string;
  readonly workload: string;
  readonly priority: number;
  readonly background: boolean;
  /** Wall clock; 0 = now. */
  readonly dueMs: number;
  readonly reducer: string;
  readonly traceparent: string;
  readonly deadlineMs: number;
  readonly lingerMs: number | undefined;
  readonly keep: boolean;
  readonly rerunIfActive: boolean;
}

export const PLAIN_REQUEST: Omit<NaiveRequest, "fn" | "unique" | "workload"> = {
  priority: 1,
  background: false,
  dueMs: 0,
  reducer: "",
  traceparent: "",
  deadlineMs: 0,
  lingerMs: undefined,
  keep: false,
  rerunIfActive: false,
};

export function tableKey(fn: string, key: string): string {
  return `${fn}\0${key}`;
}

/** A unique of `-` joins on the workload, an empty one on nothing. */
function keyOf(request: NaiveRequest): string {
  if (request.unique !== "-") return request.unique;
  return request.workload === "" ? "" : `\0${request.workload}`;
}

export function submit(state: NaiveState, peer: NaivePeer, request: NaiveRequest): void {
  const { limits } = state.options;
  if (!request.background && state.submissionCount >= limits.maxSubmissions) {
    reply(state, peer, ERROR, "QUEUE_ERROR\0Too many submissions are waiting");
    return;
  }
  const key = keyOf(request);
  const existing = key === "" ? undefined : state.table.get(tableKey(request.fn, key));
  if (existing !== undefined) {
    join(state, peer, request, existing);
    return;
  }
  if (key !== "" && answerFromLingering(state, peer, request, key)) return;
  const job = create(state, peer, request, key);
  if (job === null) return;
  if (key !== "") state.table.set(tableKey(request.fn, key), job);
  acknowledge(state, peer, request, job);
  enter(state, job, request.dueMs);
}

function join(state: NaiveState, peer: NaivePeer, request: NaiveRequest, existing: NaiveJob): void {
  const future = request.dueMs > state.wallMs;
  let job = existing;
  const { run } = existing;
  if (run !== null) {
    const outgrown = !request.background && run.outgrown && state.replayLimit(existing.fn) > 0;
    if (existing.phase === "cancelling" || future || request.rerunIfActive || outgrown) {
      if (existing.successor === null) {
        const successor = create(state, peer, request, existing.key);
        if (successor === null) return;
        successor.phase = "waiting";
        successor.dueMs = request.dueMs;
        existing.successor = successor;
        acknowledge(state, peer, request, successor);
        return;
      }
      job = existing.successor;
    }
  }
  if (request.traceparent !== "" && request.traceparent !== job.traceparent) {
    const { links } = job;
    const hasRoom = links.length < state.options.limits.maxTraceLinks;
    if (hasRoom && !links.includes(request.traceparent)) links.push(request.traceparent);
    reply(state, peer, JOB_TRACE, `${job.handle}\0${job.traceparent}\0`);
  }
  if (request.priority < job.priority) raise(job, request.priority);
  const earlier = request.dueMs < job.dueMs && !job.inBackoff;
  acknowledge(state, peer, request, job);
  if (!earlier || (job.phase !== "delayed" && job.phase !== "waiting")) return;
  job.dueMs = request.dueMs;
  if (job.phase === "delayed" && !future) enterQueue(job, false);
}

function raise(job: NaiveJob, priority: number): void {
  if (job.phase === "queued") removeFrom(job.fn.queues[job.priority as 0 | 1 | 2], job);
  job.priority = priority;
  if (job.phase === "queued") job.fn.queues[priority as 0 | 1 | 2].push(job);
}

export function create(
  state: NaiveState,
  peer: NaivePeer | null,
  request: NaiveRequest,
  key: string,
): NaiveJob | null {
  const { limits } = state.options;
  const fn = state.functionOf(request.fn);
  const queueLimit = (fn.maxQueue ?? state.settings(fn).maxQueue)[request.priority as 0 | 1 | 2];
  if (
    (queueLimit > 0 && fn.total >= queueLimit) ||
    state.jobs.size >= limits.maxJobs ||
    state.workloadBytes + request.workload.length > limits.maxWorkloadBytes
  ) {
    if (peer !== null) reply(state, peer, ERROR, "QUEUE_ERROR\0Job queue is full");
    return null;
  }
  if (key !== "") state.keys.add(key);
  const number = state.nextNumber++;
  const job = new NaiveJob({
    number,
    handle: state.handle(number),
    fn,
    key,
    unique: key.startsWith("\0") ? "-" : key,
    workload: request.workload,
    reducer: request.reducer,
    traceparent: request.traceparent,
    priority: request.priority,
    claimed: request.background,
  });
  state.jobs.set(number, job);
  state.workloadBytes += request.workload.length;
  fn.total++;
  return job;
}

function acknowledge(state: NaiveState, peer: NaivePeer, request: NaiveRequest, job: NaiveJob): void {
  if (request.lingerMs !== undefined) job.lingerMs = request.lingerMs;
  if (request.keep) job.keep = true;
  if (request.background) {
    reply(state, peer, JOB_CREATED, job.handle);
    job.claimed = true;
    return;
  }
  const submission = new NaiveSubmission(peer, job);
  reply(state, peer, JOB_CREATED, job.handle, submission);
  job.submissions.push(submission);
  peer.submissions.add(submission);
  state.submissionCount++;
  if (request.deadlineMs > 0) {
    submission.deadlineMs = state.nowMs + request.deadlineMs;
    submission.order = state.nextOrder++;
  }
  const { run } = job;
  if (run === null || job.phase !== "running" || job.key === "" || state.replayLimit(job.fn) === 0) return;
  for (const packet of run.history) report(state, submission, job.handle, packet, false);
  if (run.status !== null) status(state, submission, job.handle, statusBody(job.handle, run.status));
}

export function statusBody(handle: string, [numerator, denominator]: readonly [string, string]): string {
  return `${handle}\0${numerator}\0${denominator}`;
}

function answerFromLingering(
  state: NaiveState,
  peer: NaivePeer,
  request: NaiveRequest,
  key: string,
): boolean {
  if (request.dueMs > state.wallMs || request.rerunIfActive) return false;
  const epoch = state.options.functionEpoch(request.fn);
  const found = state.lingering.find(
    (result) => result.fn.name === request.fn && result.key === key && result.epoch === epoch,
  );
  if (found === undefined) return false;
  if (found.endsMs <= state.nowMs) {
    removeFrom(state.lingering, found);
    return false;
  }
  const submission = new NaiveSubmission(peer, null);
  reply(state, peer, JOB_CREATED, found.handle, submission);
  if (request.background) return true;
  if (found.status !== null) status(state, submission, found.handle, found.status);
  found.packets.forEach((packet, i) => {
    report(state, submission, found.handle, packet, i === found.packets.length - 1);
  });
  return true;
}

/** Puts a job last in its queue, or first when it goes back. */
export function enterQueue(job: NaiveJob, first: boolean): void {
  job.phase = "queued";
  job.inBackoff = false;
  const queue = job.fn.queues[job.priority as 0 | 1 | 2];
  if (first) queue.unshift(job);
  else queue.push(job);
}

export function enter(state: NaiveState, job: NaiveJob, dueMs: number): void {
  if (dueMs > state.wallMs) delay(state, job, dueMs);
  else enterQueue(job, false);
}

export function delay(state: NaiveState, job: NaiveJob, dueMs: number): void {
  job.phase = "delayed";
  job.dueMs = dueMs;
  job.dueOrder = state.nextOrder++;
}

/** A submission leaves; nobody left means that a waiting job goes, and a running one may be cancelled. */
export function leave(state: NaiveState, submission: NaiveSubmission): void {
  const job = submission.job!;
  lapseStatuses(submission, job.handle);
  drop(state, submission);
  if (job.submissions.length > 0 || job.claimed || job.keep || job.phase === "cancelling") return;
  if (job.phase === "running") {
    if (state.settings(job.fn).onAbandoned === "cancel") cancelRun(state, job);
  } else end(state, job);
}

/** Takes a submission out of everything, without an answer. */
export function drop(state: NaiveState, submission: NaiveSubmission): void {
  removeFrom(submission.job!.submissions, submission);
  submission.peer.submissions.delete(submission);
  state.submissionCount--;
}

export function dropAll(state: NaiveState, job: NaiveJob): void {
  for (const submission of [...job.submissions]) drop(state, submission);
}

/** @returns whether the worker can be told; the job then waits for its answer. */
export function cancelRun(state: NaiveState, job: NaiveJob): boolean {
  const run = job.run!;
  if (!run.worker.speaksDrover) return false;
  job.phase = "cancelling";
  state.replayBytes -= run.historyBytes;
  run.history = [];
  run.historyBytes = 0;
  if (!run.worker.over) {
    run.worker.cancels.push(job.handle);
    state.touched.add(run.worker);
  }
  return true;
}

/** The job is over: its unique is free, and its successor takes its place. It does not run any more. */
export function end(state: NaiveState, job: NaiveJob): void {
  dropAll(state, job);
  const waited = job.phase === "waiting";
  if (job.phase === "queued") removeFrom(job.fn.queues[job.priority as 0 | 1 | 2], job);
  job.phase = "ended";
  job.fn.total--;
  state.jobs.delete(job.number);
  state.workloadBytes -= job.workload.length;
  if (job.key === "") return;
  const key = tableKey(job.fn.name, job.key);
  if (waited) {
    const before = state.table.get(key)!;
    if (before.successor === job) before.successor = null;
    return;
  }
  state.table.delete(key);
  const { successor } = job;
  if (successor === null) return;
  state.table.set(key, successor);
  enter(state, successor, successor.dueMs);
}

/** Delayed jobs whose time has come, and submissions whose deadline has passed. */
export function fallDue(state: NaiveState): void {
  const due = [...state.jobs.values()].filter((job) => job.phase === "delayed" && job.dueMs <= state.wallMs);
  due.sort((a, b) => a.dueMs - b.dueMs || a.dueOrder - b.dueOrder);
  for (const job of due) enterQueue(job, false);
  const late: NaiveSubmission[] = [];
  for (const peer of state.peers) {
    for (const submission of peer.submissions)
      if (submission.deadlineMs <= state.nowMs) late.push(submission);
  }
  late.sort((a, b) => a.deadlineMs - b.deadlineMs || a.order - b.order);
  for (const submission of late) {
    const job = submission.job!;
    lapseStatuses(submission, job.handle);
    report(state, submission, job.handle, { type: WORK_FAIL, body: job.handle }, false);
    leave(state, submission);
  }
}
