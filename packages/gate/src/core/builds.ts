import type { GateEvent, Result } from "./events.ts";
import { hasFailed, MAX_LOST_EXECUTORS, readinessOf } from "./job-graph.ts";
import type { Precedence } from "./layout.ts";
import { managerOf } from "./managers.ts";
import { askToResume, hasBegun, isPaused, mayResume, resetDependants, resume } from "./pausing.ts";
import { noteUnprovided, provide } from "./providing.ts";
import {
  giveBack,
  isHeldByPaused,
  lacksBeforeNodes,
  takeBeforeNodes,
  takeWithNodes,
  waitsForItself,
} from "./semaphores.ts";
import { type Buildset, type Gate, type Item, type JobRun, liveAhead, markDirty, memberOf } from "./state.ts";

/* From a job that may start to its result: nodes are asked for, granted, used and given back. */

/** Starts whatever may start in an item, and skips what never will. */
export function advanceJobs(gate: Gate, item: Item): void {
  const { buildset } = item;
  if (buildset?.state !== "ready") return;
  const obstacle = obstacleOf(gate, item);
  for (let changed = true; changed; ) {
    changed = false;
    for (const run of buildset.jobs.values()) {
      if (run.state === "granted") startOnNodes(gate, run);
      if (run.state === "paused" && mayResume(run)) askToResume(gate, run);
      if (run.state !== "waiting") continue;
      const readiness = readinessOf(run, buildset.jobs);
      if (readiness.kind === "skip") {
        end(gate, run, "SKIPPED", readiness.reason);
        changed = true;
      } else if (readiness.kind === "wait" || obstacle !== null) {
        run.reason = readiness.kind === "wait" ? readiness.reason : obstacle;
      } else if (run.job.isNoop) {
        run.build = null;
        end(gate, run, "SUCCESS", null);
        changed = true;
      } else {
        const provision = provide(gate, run);
        if (provision.kind === "fail") {
          end(gate, run, "FAILURE", provision.reason);
          changed = true;
          continue;
        }
        if (provision.kind === "wait") {
          run.reason = provision.reason;
          continue;
        }
        const lack = lacksBeforeNodes(gate, run);
        if (lack === null) requestNodes(gate, run);
        else if (waitsForItself(gate, run)) {
          end(gate, run, "FAILURE", `${lack}, and waits for it`);
          changed = true;
        } else run.reason = lack;
      }
    }
  }
}

/** Why nothing of an item may start now. */
export function obstacleOf(gate: Gate, item: Item): string | null {
  if (gate.isPaused) return "the gate is paused";
  if (!item.active) return "its item is outside of the window";
  if (item.buildset!.isRefreezing) return "its item's jobs are read from the new configuration";
  const ahead = liveAhead(item);
  return ahead?.holds ? "a job of an item ahead has to succeed first" : null;
}

const PRECEDENCES: Readonly<Record<Precedence, number>> = { high: 0, normal: 1, low: 2 };
/** Apart so far that no position reaches the next precedence. */
const PRECEDENCE_STEP = 1_000_000;

/**
 * Who is served first: by the pipeline's precedence; then the first items of all queues before the second ones. Where
 * each item has a queue of its own, those of one project count as if they were in one.
 */
export function rankOf(item: Item): number {
  const { rules } = item.pipeline;
  const position =
    managerOf(item.pipeline).queues === "shared" ? item.queue.indexOf(item) : sameProjectAhead(item);
  return PRECEDENCES[rules.precedence] * PRECEDENCE_STEP + position;
}

function sameProjectAhead({ pipeline, queue, subject }: Item): number {
  let ahead = 0;
  for (const other of pipeline.queues.values()) {
    if (other === queue) break;
    if (other.items.at(-1)?.subject.project === subject.project) ahead++;
  }
  return ahead;
}

export const WAITS_FOR_NODES = "waits for nodes";

export function requestEffect(run: JobRun): Gate["effects"][number] {
  const { buildset, job, attempt, providers } = run;
  const { item, id } = buildset;
  return {
    kind: "requestNodes",
    build: run.build!,
    buildset: id,
    pipeline: item.pipeline.rules.name,
    subject: subjectOf(run),
    job: job.name,
    attempt,
    ...(providers === null || providers.length === 0 ? {} : { providers }),
    labels: job.labels,
    rank: rankOf(item),
  };
}

export function requestNodes(gate: Gate, run: JobRun): void {
  if (run.attempt === 0) noteUnprovided(gate, run);
  run.build = ++gate.last.build;
  run.attempt = Math.max(1, run.attempt);
  run.state = "queued";
  run.reason = WAITS_FOR_NODES;
  gate.builds.set(run.build, run);
  takeBeforeNodes(gate, run);
  gate.effects.push(requestEffect(run));
}

/** In a cycle the change that it runs for. */
function subjectOf({ buildset: { item }, job }: JobRun): Item["subject"] {
  return memberOf(item, job.of?.changes[0] ?? "") ?? item.subject;
}

export function startEffect(run: JobRun): Gate["effects"][number] {
  const { buildset, job, attempt, providers } = run;
  const { item } = buildset;
  const { pipeline } = item;
  return {
    kind: "startBuild",
    build: run.build!,
    buildset: buildset.id,
    item: item.id,
    pipeline: pipeline.rules.name,
    subject: subjectOf(run),
    job: job.name,
    attempt,
    ...(providers === null || providers.length === 0 ? {} : { providers }),
    ...(isPaused(run) ? { isPaused: true } : {}),
  };
}

function start(gate: Gate, run: JobRun): void {
  run.state = "running";
  run.reason = null;
  gate.effects.push(startEffect(run));
}

/** Nodes were granted, or will never be. What came too late is given back. */
export function onNodes(gate: Gate, { build, granted }: Extract<GateEvent, { kind: "nodes" }>): void {
  const run = gate.builds.get(build);
  if (run === undefined) {
    gate.counters.stale++;
    if (granted) gate.effects.push({ kind: "releaseNodes", build });
    return;
  }
  if (run.state !== "queued" && run.state !== "resuming") {
    gate.counters.stale++;
    return;
  }
  if (!granted) {
    if (run.state === "resuming") gate.effects.push({ kind: "cancelBuild", build });
    gate.builds.delete(build);
    giveBack(gate, run);
    end(gate, run, "NODE_FAILURE", "its nodes could not be had");
  } else if (run.state === "resuming") {
    resume(gate, run);
  } else {
    run.state = "granted";
    startOnNodes(gate, run);
  }
}

/** Its nodes are there. */
export function startOnNodes(gate: Gate, run: JobRun): void {
  const obstacle = gate.isPaused ? "the gate is paused" : takeWithNodes(gate, run);
  if (obstacle === null) start(gate, run);
  else if (!gate.isPaused && waitsForItself(gate, run)) {
    const build = run.build!;
    gate.builds.delete(build);
    gate.effects.push({ kind: "releaseNodes", build });
    end(gate, run, "FAILURE", `${obstacle}, and waits for it`);
  } else if (!gate.isPaused && isHeldByPaused(gate, run)) {
    withdraw(gate, run);
    run.state = "waiting";
    run.reason = obstacle;
  } else run.reason = obstacle;
}

/** The gate is no longer paused. */
export function startGranted(gate: Gate): void {
  for (const run of gate.builds.values()) if (run.state === "granted") startOnNodes(gate, run);
}

/** A run of an executor is over. Told twice, the second time does not count. */
export function onEnded(gate: Gate, event: Extract<GateEvent, { kind: "ended" }>): void {
  const run = gate.builds.get(event.build);
  if (run === undefined || !hasBegun(run)) {
    gate.counters.stale++;
    return;
  }
  const wasPaused = isPaused(run);
  giveBack(gate, run);
  gate.builds.delete(event.build);
  gate.effects.push({ kind: "releaseNodes", build: event.build });
  const { result } = event;
  // What they have done they did with what is lost now.
  if (wasPaused && result.kind !== "final") resetDependants(gate, run);
  if (result.kind === "final") {
    // Those of a build that was paused have run already.
    run.childJobs = event.childJobs ?? run.childJobs;
    if (result.result === "SUCCESS" && run.failing !== null) end(gate, run, "FAILURE", run.failing);
    else end(gate, run, result.result, null);
  } else if (run.failing !== null) {
    // What is behind was told so, and does not come back.
    end(gate, run, "FAILURE", run.failing);
  } else if (result.kind === "lost") {
    if (++run.lost > MAX_LOST_EXECUTORS)
      end(gate, run, "RETRY_LIMIT", `its executor was lost ${run.lost} times`);
    else again(gate, run, "its executor was lost");
  } else if (!result.again) {
    end(gate, run, "FAILURE", "its preparation failed, and it asked not to be tried again");
  } else if (run.attempt >= run.job.attempts) {
    end(gate, run, "RETRY_LIMIT", `its preparation failed ${run.attempt} times`);
  } else {
    run.attempt++;
    again(gate, run, "its preparation failed");
  }
}

function again(gate: Gate, run: JobRun, reason: string): void {
  run.state = "waiting";
  run.reason = reason;
  markDirty(gate, run.buildset.item);
}

/** @param reason What `result` does not say. */
export function end(gate: Gate, run: JobRun, result: Result, reason: string | null): void {
  run.state = "ended";
  run.result = result;
  run.reason = reason;
  const { builds } = gate.counters;
  builds[result] = (builds[result] ?? 0) + 1;
  const { buildset } = run;
  markDirty(gate, buildset.item);
  failFast(gate, run);
}

/** In a fail-fast item nothing goes on beside a job that has failed, but this job itself where it still runs. */
function failFast(gate: Gate, run: JobRun): void {
  const { jobs, graph } = run.buildset;
  if (!graph?.failFast || !hasFailed(run) || run.result === "CANCELED") return;
  for (const other of jobs.values()) {
    if (other === run || other.state === "ended" || other.failing !== null) continue;
    withdraw(gate, other);
    end(gate, other, "CANCELED", `job ${run.job.name} failed`);
  }
}

/** A build will fail, though it runs. Told twice, or of one that has ended, it does not count. */
export function onFailing(gate: Gate, { build, detail }: Extract<GateEvent, { kind: "failing" }>): void {
  const run = gate.builds.get(build);
  if (run === undefined || !hasBegun(run) || run.failing !== null) {
    gate.counters.stale++;
    return;
  }
  run.failing = detail;
  run.reason = detail;
  markDirty(gate, run.buildset.item);
  failFast(gate, run);
}

/** Takes back what was asked for a job. */
export function withdraw(gate: Gate, run: JobRun): void {
  const { build, state } = run;
  if (state === "waiting" || state === "ended") return;
  giveBack(gate, run);
  gate.builds.delete(build!);
  if (hasBegun(run)) {
    gate.counters.builds.CANCELED = (gate.counters.builds.CANCELED ?? 0) + 1;
    gate.effects.push({ kind: "cancelBuild", build: build! });
  }
  gate.effects.push({ kind: "releaseNodes", build: build! });
}

export function withdrawAll(gate: Gate, { jobs }: Buildset): void {
  for (const run of jobs.values()) withdraw(gate, run);
}
