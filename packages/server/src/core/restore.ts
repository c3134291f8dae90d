import type { DeadLetter } from "./dead-letters.ts";
import { dueMsOf, Job, JobState, rareFields } from "./job.ts";
import { enter } from "./jobs.ts";
import { Stored, type StoredJob } from "./journal.ts";
import { keepLetter } from "./runs.ts";
import type { ServerState } from "./state.ts";
import { claimAtOnce } from "./submissions.ts";

/* Jobs between the server and its store. */

/** What is kept of a job, or of the dead letter that it became. One of the two is given. */
export function storedForm(state: ServerState, job: Job | null, letter: DeadLetter | null): StoredJob {
  if (letter !== null) {
    const { number, fn, key, workload, priority, reducer, attempts, reason, diedMs } = letter;
    const id = state.handles.decimal(number);
    const common = { id, fn, key, workload, priority, reducer, attempts, reason, diedMs };
    return { ...common, dueMs: 0, traceparent: "", lingerMs: -1, submittedMs: diedMs };
  }
  const { number, fn, key, workload, start, end, priority, attempts, createdMs, rare } = job!;
  return {
    id: state.handles.decimal(number),
    fn: fn.name,
    key,
    workload: workload.copy(start, end),
    priority,
    dueMs: dueMsOf(job!),
    reducer: rare?.reducer ?? "",
    traceparent: rare === null ? "" : `${rare.traceparent} ${rare.tracestate}`.trim(),
    lingerMs: rare?.lingerMs ?? -1,
    attempts,
    submittedMs: Math.round(state.wallMs - (state.nowMs - createdMs)),
    reason: "",
    diedMs: 0,
  };
}

/**
 * Takes back a job or a dead letter of an earlier start. Limits do not apply: it was acknowledged. Of two jobs with one
 * unique, of which one was the other's successor, the first is enough, since neither has run since both were submitted.
 */
export function restore(state: ServerState, stored: StoredJob): void {
  const number = state.handles.restore(stored.id);
  state.nextJobNumber = number + 1;
  take(state, number, stored);
}

/** Takes over a job or a dead letter of another server, which the store has given a number of this one's. */
export function adopt(state: ServerState, stored: StoredJob): void {
  take(state, state.handles.numberOf(stored.id), stored);
}

function take(state: ServerState, number: number, stored: StoredJob): void {
  const { fn: name, key, workload, priority, attempts, reason, diedMs, reducer } = stored;
  if (reason !== "") {
    keepLetter(state, { number, fn: name, key, workload, priority, reducer, reason, attempts, diedMs });
    return;
  }
  const fn = state.functions.get(name) ?? state.knowFunction(name);
  const live = key === "" ? undefined : state.uniques.get(fn, key);
  if (live !== undefined) {
    claimAtOnce(state, live);
    state.journal?.forget(number);
    return;
  }
  const job = new Job(fn, number, key, priority, true, state.nowMs - (state.wallMs - stored.submittedMs));
  job.stored = Stored.YES;
  if (state.journal !== null) state.journal.storedCount++;
  job.attempts = attempts;
  state.workloads.keep(workload, 0, workload.length, job);
  state.workloadBytes += job.workloadBytes;
  if (reducer !== "") rareFields(job).reducer = reducer;
  if (stored.traceparent !== "") {
    const [traceparent, ...tracestate] = stored.traceparent.split(" ");
    rareFields(job).traceparent = traceparent!;
    rareFields(job).tracestate = tracestate.join(" ");
  }
  if (stored.lingerMs >= 0) rareFields(job).lingerMs = stored.lingerMs;
  state.jobs.add(job);
  fn.total++;
  state.fleet?.entered(job);
  if (fn.workers === 0) state.updateIdle(fn);
  if (key !== "") state.uniques.set(job);
  enter(state, job, stored.dueMs);
  if (job.state === JobState.QUEUED) {
    // What it waited before the restart counts in.
    const waitedMs = state.wallMs - Math.max(stored.submittedMs, stored.dueMs);
    job.queuedMs = Math.floor(state.nowMs - Math.max(0, waitedMs));
  }
}
