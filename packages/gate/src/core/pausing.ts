import { requestEffect, WAITS_FOR_NODES, withdraw } from "./builds.ts";
import type { GateEvent } from "./events.ts";
import { dependantsOf } from "./job-graph.ts";
import { tellWaiting } from "./semaphores.ts";
import { type Gate, type JobRun, markDirty } from "./state.ts";

/*
 * A build may stop between its run and its post-run while the jobs that depend on it run: it provides what they use. It keeps
 * its workspace and its semaphores, and lends its nodes, so that they may run on them.
 */

/** It has run, and has not ended. */
export function isPaused({ state }: JobRun): boolean {
  return state === "paused" || state === "resuming";
}

/** An executor has it. */
export function hasBegun(run: JobRun): boolean {
  return run.state === "running" || isPaused(run);
}

/** Told of a build that is paused already, it does not count. */
export function onPaused(gate: Gate, { build, childJobs }: Extract<GateEvent, { kind: "paused" }>): void {
  const run = gate.builds.get(build);
  if (run?.state !== "running") {
    gate.counters.stale++;
    return;
  }
  run.state = "paused";
  run.reason = PAUSED;
  run.childJobs = childJobs ?? null;
  gate.effects.push({ kind: "releaseNodes", build });
  tellWaiting(gate, run);
  markDirty(gate, run.buildset.item);
}

const PAUSED = "is paused until the jobs that depend on it have ended";

/** All that depends on it has ended. */
export function mayResume(run: JobRun): boolean {
  return dependantsOf(run).every(({ state }) => state === "ended");
}

/** It has its nodes again, and goes on, unless a new configuration has given it another job to wait for. */
export function resume(gate: Gate, run: JobRun): void {
  const build = run.build!;
  if (mayResume(run)) {
    run.state = "running";
    run.reason = null;
    gate.effects.push({ kind: "resumeBuild", build });
  } else {
    run.state = "paused";
    run.reason = PAUSED;
    gate.effects.push({ kind: "releaseNodes", build });
  }
}

export function askToResume(gate: Gate, run: JobRun): void {
  run.state = "resuming";
  run.reason = WAITS_FOR_NODES;
  gate.effects.push(requestEffect(run));
}

/** Has everything that depends on a job run again, what has ended included. */
export function resetDependants(gate: Gate, run: JobRun): void {
  for (const other of dependantsOf(run)) {
    withdraw(gate, other);
    other.state = "waiting";
    other.build = null;
    other.attempt = 0;
    other.lost = 0;
    other.result = null;
    other.reason = `waits for job ${run.job.name}, which begins again`;
    other.childJobs = null;
    other.failing = null;
    other.held = [];
    other.providers = null;
  }
  markDirty(gate, run.buildset.item);
}
