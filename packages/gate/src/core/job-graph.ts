import type { FrozenJob, JobGraph } from "./layout.ts";
import type { JobRun } from "./state.ts";

/*
 * What follows from the jobs of one buildset: which may start, which never will, and what all of it comes to.
 *
 * A job starts when every job that it depends on has succeeded. One that failed skips it. One that was skipped skips it
 * too, unless the dependency is soft. A job can also say which of the jobs that depend on it are to run.
 */

/** How often a build is run again because its executor was lost; these runs are no attempts. */
export const MAX_LOST_EXECUTORS = 5;

/** What makes a graph impossible to run; in sentences. */
export function faultsOf({ jobs }: JobGraph): string[] {
  const faults: string[] = [];
  const byName = new Map(jobs.map((job) => [job.name, job]));
  if (byName.size < jobs.length) faults.push("a job is there twice");
  for (const { name, dependencies } of jobs) {
    for (const { name: needed, soft } of dependencies) {
      if (!soft && !byName.has(needed))
        faults.push(`job ${name} depends on job ${needed}, which is not run here`);
    }
  }
  // Jobs are taken away while all that they depend on is gone; what is left turns in a circle.
  const left = new Map(byName);
  for (let size = -1; size !== left.size; ) {
    size = left.size;
    for (const job of left.values())
      if (!job.dependencies.some(({ name }) => left.has(name))) left.delete(job.name);
  }
  if (left.size > 0) faults.push(`jobs depend on each other in a circle: ${[...left.keys()].join(", ")}`);
  return faults;
}

export type Readiness =
  | { readonly kind: "ready" }
  /** A job that it depends on has no result yet. */
  | { readonly kind: "wait" | "skip"; readonly reason: string };

const READY: Readiness = { kind: "ready" };

/** Whether a waiting job can start, by the jobs that it depends on. */
export function readinessOf({ job }: JobRun, jobs: ReadonlyMap<string, JobRun>): Readiness {
  let waitsFor: string | null = null;
  for (const { name, soft } of job.dependencies) {
    const parent = jobs.get(name);
    if (parent === undefined) continue;
    if (parent.state === "paused" || parent.state === "resuming") {
      if (isLeftOut(job, parent)) return { kind: "skip", reason: `job ${name} left it out` };
    } else if (parent.state !== "ended") waitsFor ??= name;
    else if (parent.result === "SKIPPED") {
      if (!soft) return { kind: "skip", reason: `job ${name} was skipped` };
    } else if (parent.result !== "SUCCESS") {
      return { kind: "skip", reason: `job ${name} ended with ${parent.result}` };
    } else if (isLeftOut(job, parent)) {
      return { kind: "skip", reason: `job ${name} left it out` };
    }
  }
  return waitsFor === null ? READY : { kind: "wait", reason: `waits for job ${waitsFor}` };
}

function isLeftOut({ name, of }: FrozenJob, { childJobs }: JobRun): boolean {
  return childJobs !== null && !childJobs.includes(of?.job ?? name);
}

/** The jobs that depend on one, directly or by way of others. */
export function dependantsOf(run: JobRun): JobRun[] {
  const { jobs } = run.buildset;
  const found = new Set<string>([run.job.name]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const { job } of jobs.values())
      if (job.dependencies.some(({ name }) => found.has(name))) found.add(job.name);
  }
  found.delete(run.job.name);
  return [...found].map((name) => jobs.get(name)!);
}

/** A job whose result keeps its item from merging. Results of jobs that do not vote never do (I6). */
export function hasFailed({ job, state, result, failing }: JobRun): boolean {
  if (!job.voting) return false;
  return failing !== null || (state === "ended" && result !== "SUCCESS" && result !== "SKIPPED");
}

/** Why jobs keep their item from merging, or `null`. All of them skipped is a failure: nothing was tested (I6). */
export function failureOf(jobs: ReadonlyMap<string, JobRun>): string | null {
  let allSkipped = jobs.size > 0;
  for (const run of jobs.values()) {
    if (hasFailed(run))
      return run.result === null
        ? `job ${run.job.name} fails: ${run.failing}`
        : `job ${run.job.name} ended with ${run.result}`;
    if (run.result !== "SKIPPED") allSkipped = false;
  }
  return allSkipped ? "all of its jobs were skipped" : null;
}

export function haveAllEnded(jobs: ReadonlyMap<string, JobRun>): boolean {
  for (const run of jobs.values()) if (run.state !== "ended") return false;
  return true;
}

/** Name of a job that must succeed before anything starts for the items behind. */
export function holdingJob(jobs: ReadonlyMap<string, JobRun>): string | null {
  for (const { job, result } of jobs.values())
    if (job.holdFollowingChanges && result !== "SUCCESS") return job.name;
  return null;
}
