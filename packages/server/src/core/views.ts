import { bytesOf } from "@drover/protocol";
import { stateName } from "./extensions.ts";
import { type Job, JobState } from "./job.ts";
import { cancelJob, endJob } from "./jobs.ts";
import type { Outcome } from "./outcomes.ts";
import type { ServerState } from "./state.ts";
import { shownUnique } from "./uniques.ts";

/* What the shell may know of jobs, as copies. Names are byte strings. */

/** A job that lives, or how one has ended. */
export interface JobView {
  readonly number: number;
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
  /** `queued`, `delayed`, `running`, `done`, `failed` or `dead`. */
  readonly state: string;
  readonly numerator: string;
  readonly denominator: string;
  /** Foreground submissions that wait for it. */
  readonly waiting: number;
  readonly attempts: number;
  /** Unix time in milliseconds; 0 while it lives. */
  readonly endedMs: number;
}

/** The number of a handle, or -1 when it is none of this server's. */
export function numberOfHandle(state: ServerState, handle: string): number {
  const bytes = bytesOf(handle);
  return state.handles.parse(bytes, 0, bytes.length);
}

/** The job of a number, or how it ended, or null when that is not known (any more). */
export function jobView(state: ServerState, number: number): JobView | null {
  const job = state.jobs.get(number);
  if (job !== undefined) return viewOfJob(state, job);
  const outcome = state.outcomes.ofNumber(number, state.wallMs);
  return outcome === undefined ? null : viewOfOutcome(state, outcome);
}

/** The same by function and unique. */
export function uniqueView(state: ServerState, name: string, unique: string): JobView | null {
  const fn = state.functions.get(name);
  if (fn === undefined || unique === "" || unique === "-") return null;
  const job = state.uniques.get(fn, unique);
  if (job !== undefined) return viewOfJob(state, job);
  const outcome = state.outcomes.ofUnique(fn, unique, state.wallMs);
  return outcome === undefined ? null : viewOfOutcome(state, outcome);
}

/** The first live job of a unique, of the functions that `takes` names. */
export function firstOfUnique(
  state: ServerState,
  unique: string,
  takes: (fn: string) => boolean,
): JobView | null {
  if (unique === "" || unique === "-") return null;
  for (const job of state.uniques.all(unique)) if (takes(job.fn.name)) return viewOfJob(state, job);
  return null;
}

function viewOfJob(state: ServerState, job: Job): JobView {
  return {
    number: job.number,
    handle: state.handles.text(job.number),
    fn: job.fn.name,
    unique: shownUnique(job.key),
    state: stateName(job),
    numerator: job.run?.numerator ?? "0",
    denominator: job.run?.denominator ?? "0",
    waiting: job.submissionCount,
    attempts: job.attempts,
    endedMs: 0,
  };
}

function viewOfOutcome(state: ServerState, { fn, key, number, state: ended, endedMs }: Outcome): JobView {
  return {
    number,
    handle: state.handles.text(number),
    fn: fn.name,
    unique: shownUnique(key),
    state: ended,
    numerator: "0",
    denominator: "0",
    waiting: 0,
    attempts: 0,
    endedMs,
  };
}

/** What became of a job that is to be taken back. */
export type Withdrawn = "removed" | "detached" | "running" | "unknown";

/**
 * Takes a job back that does not run. Others who wait for it keep it; then it goes with the last of them.
 * @returns what became of it.
 */
export function withdraw(state: ServerState, number: number): Withdrawn {
  const job = state.jobs.get(number);
  if (job === undefined) return "unknown";
  if (job.state === JobState.RUNNING || job.state === JobState.CANCELLING) return "running";
  if (job.rare !== null) job.rare.keep = false;
  if (job.submissions !== null) return "detached";
  if (job.isClaimed) cancelJob(state, job);
  else endJob(state, job);
  return "removed";
}
