import { withdraw, withdrawAll } from "./builds.ts";
import type { GateEffect, GateEvent } from "./events.ts";
import { faultsOf, hasFailed } from "./job-graph.ts";
import type { FrozenJob, JobGraph } from "./layout.ts";
import { note, subjectName } from "./reasons.ts";
import { type Buildset, type Gate, type Item, type JobRun, markDirty, memberOf } from "./state.ts";

/*
 * The life of a buildset: a chain is frozen, merged, its jobs are frozen, and they run. A reset throws it away, and with
 * it everything that still comes back for it.
 */

/** How often a merge that could not be tried is tried again before that counts against the item. */
export const MAX_MERGE_ERRORS = 5;
/** Milliseconds before the first of these; each next one waits as long again. */
export const MERGE_RETRY_MS = 2_000;
/** How often an item behind may find that an item which merged does not. */
export const MAX_DISPUTES = 3;

/** Gives an item what it needs to be tested: a chain that from now on stays as it is. */
export function prepare(gate: Gate, item: Item): void {
  if (item.buildset !== null) return;
  const id = ++gate.last.buildset;
  const chain = item.queue.chainOf(item).flatMap(({ links }) => links);
  const buildset: Buildset = {
    id,
    item,
    chain,
    state: "merging",
    steps: [],
    detail: null,
    blockedBy: 0,
    mergeErrors: 0,
    retryAtMs: 0,
    problems: [],
    graph: null,
    jobs: new Map(),
    isRefreezing: false,
    layout: gate.layout.version,
  };
  item.buildset = buildset;
  gate.buildsets.set(id, buildset);
  if (chain.length > 0) gate.effects.push({ kind: "merge", buildset: id, chain });
  else freeze(gate, buildset);
}

export function freezeEffect(buildset: Buildset): GateEffect {
  const { id, item, chain, steps, layout } = buildset;
  const { subject, members, pipeline } = item;
  const { name } = pipeline.rules;
  return { kind: "freeze", buildset: id, pipeline: name, subject, members, chain, steps, layout };
}

function freeze(gate: Gate, buildset: Buildset): void {
  buildset.state = "freezing";
  buildset.layout = gate.layout.version;
  gate.effects.push(freezeEffect(buildset));
}

/**
 * Has a buildset's jobs frozen by a new layout. Builds whose jobs are still there go on, and what was wrong may be right now.
 */
export function refreeze(gate: Gate, buildset: Buildset): void {
  // What merges already was tested by what was right then.
  if (buildset.item.landing !== null) return;
  if (buildset.state !== "ready" && buildset.state !== "freezing" && buildset.state !== "broken") return;
  buildset.isRefreezing = buildset.state !== "freezing";
  buildset.layout = gate.layout.version;
  gate.effects.push(freezeEffect(buildset));
}

export function onMerged(gate: Gate, { buildset: id, result }: Extract<GateEvent, { kind: "merged" }>): void {
  const buildset = gate.buildsets.get(id);
  if (buildset?.state !== "merging" && buildset?.state !== "retrying") {
    gate.counters.stale++;
    return;
  }
  // An answer is as good when it was given up on.
  if (buildset.state === "retrying" && result.kind === "error") return;
  gate.retrying.delete(buildset);
  const { item } = buildset;
  const firstOwn = buildset.chain.length - item.links.length;
  markDirty(gate, item);
  if (result.kind === "merged" && result.steps.length === buildset.chain.length) {
    buildset.steps = result.steps;
    freeze(gate, buildset);
  } else if (result.kind === "conflict" && result.link >= firstOwn) {
    buildset.state = "conflict";
    buildset.detail = result.detail;
  } else if (result.kind === "conflict") {
    buildset.state = "blocked";
    buildset.blockedBy = Math.max(0, result.link);
    buildset.detail = result.detail;
  } else {
    const detail = result.kind === "error" ? result.detail : "the merger answered for another chain";
    retryLater(gate, buildset, detail);
  }
  // Those behind may wait for how this ends.
  for (const behind of item.queue.items) if (behind.buildset?.state === "blocked") markDirty(gate, behind);
}

function retryLater(gate: Gate, buildset: Buildset, detail: string): void {
  buildset.detail = detail;
  if (++buildset.mergeErrors > MAX_MERGE_ERRORS) {
    buildset.state = "conflict";
    buildset.detail = `it could not be tried ${buildset.mergeErrors} times: ${detail}`;
    return;
  }
  buildset.state = "retrying";
  buildset.retryAtMs = gate.nowMs + MERGE_RETRY_MS * buildset.mergeErrors;
  gate.retrying.add(buildset);
}

/** Tries merges again whose time has come. */
export function retryMerges(gate: Gate): void {
  for (const buildset of gate.retrying) {
    if (buildset.retryAtMs > gate.nowMs) continue;
    gate.retrying.delete(buildset);
    buildset.state = "merging";
    gate.effects.push({ kind: "merge", buildset: buildset.id, chain: buildset.chain });
  }
}

/**
 * A change ahead does not merge, says the merger. If its item is not live, nobody but this one can tell. If its item is
 * gone, or its own merge said otherwise, the two saw different branches, and the older answer is thrown away.
 */
export function resolveBlocked(gate: Gate, item: Item): void {
  const { buildset } = item;
  if (buildset?.state !== "blocked") return;
  const link = buildset.chain[buildset.blockedBy]!;
  const culprit = item.queue.chainOf(item).find((ahead) => memberOf(ahead, link.change) !== undefined);
  if (culprit === undefined) {
    resetTree(gate, item, `${link.change} ahead of it has merged`);
    prepare(gate, item);
  } else if (!culprit.live) {
    buildset.state = "conflict";
    buildset.detail = `${link.change}, which it needs: ${buildset.detail}`;
  } else if (culprit.landing !== null) {
    // Its answer decides; a refusal resets this one, too.
  } else if (culprit.buildset?.state === "freezing" || culprit.buildset?.state === "ready") {
    if (++culprit.disputes <= MAX_DISPUTES) {
      resetTree(gate, culprit, `${subjectName(item)} behind it found that it does not merge any more`);
      return;
    }
    const { detail } = buildset;
    withdrawAll(gate, culprit.buildset);
    culprit.buildset.jobs.clear();
    culprit.buildset.state = "conflict";
    culprit.buildset.detail = detail;
    markDirty(gate, culprit);
  }
}

export function onFrozen(gate: Gate, event: Extract<GateEvent, { kind: "frozen" }>): void {
  const buildset = gate.buildsets.get(event.buildset);
  const isOld = event.layout !== undefined && event.layout !== buildset?.layout;
  if (buildset === undefined || isOld || !(buildset.state === "freezing" || buildset.isRefreezing)) {
    gate.counters.stale++;
    return;
  }
  const { item } = buildset;
  markDirty(gate, item);
  buildset.isRefreezing = false;
  const { result } = event;
  if (result.kind === "graph") {
    const faults = faultsOf(result.graph);
    if (faults.length === 0) {
      setGraph(gate, buildset, result.graph);
      return;
    }
    const { project, branch } = item.subject;
    const where = { project, branch: branch ?? "", file: "", line: null };
    buildset.problems = faults.map((message) => ({ ...where, message }));
  } else {
    buildset.problems = result.problems;
  }
  withdrawAll(gate, buildset);
  buildset.jobs.clear();
  buildset.graph = null;
  buildset.state = "broken";
}

/**
 * Jobs that were there before keep their builds and results; those that are gone do not count any more. What only
 * followed from other jobs is worked out again, and so is what a job gets that requires something else now and does not run.
 */
function setGraph(gate: Gate, buildset: Buildset, graph: JobGraph): void {
  const before = new Map(buildset.jobs);
  buildset.jobs.clear();
  for (const job of graph.jobs) {
    const known = before.get(job.name);
    before.delete(job.name);
    const run: JobRun = known === undefined ? fresh(buildset, job) : { ...known, job };
    if (known !== undefined && isToCome(known) && !requireSame(known.job, job)) {
      withdraw(gate, known);
      Object.assign(run, fresh(buildset, job), { attempt: known.attempt, lost: known.lost });
    }
    if (run.build !== null && gate.builds.get(run.build) === known) gate.builds.set(run.build, run);
    buildset.jobs.set(job.name, run);
  }
  for (const gone of before.values()) withdraw(gate, gone);
  buildset.problems = [];
  buildset.graph = graph;
  buildset.state = "ready";
  const runs = [...buildset.jobs.values()];
  const staysCancelled = graph.failFast && runs.some((run) => hasFailed(run) && run.result !== "CANCELED");
  for (const { job, result } of runs) {
    const follows = result === "SKIPPED" || (result === "CANCELED" && !staysCancelled);
    if (follows) buildset.jobs.set(job.name, fresh(buildset, job));
  }
}

function isToCome({ state }: JobRun): boolean {
  return state === "waiting" || state === "queued" || state === "granted";
}

function requireSame({ requires: a = [] }: FrozenJob, { requires: b = [] }: FrozenJob): boolean {
  return a.length === b.length && a.every((tag) => b.includes(tag));
}

function fresh(buildset: Buildset, job: JobRun["job"]): JobRun {
  return {
    job,
    buildset,
    state: "waiting",
    build: null,
    attempt: 0,
    lost: 0,
    result: null,
    reason: null,
    childJobs: null,
    failing: null,
    held: [],
    providers: null,
  };
}

/** Throws away a buildset and all that runs for it. What still comes back for it is stale. */
export function discard(gate: Gate, item: Item): void {
  const { buildset } = item;
  if (buildset === null) return;
  withdrawAll(gate, buildset);
  gate.buildsets.delete(buildset.id);
  gate.retrying.delete(buildset);
  item.buildset = null;
}

/** Throws away the buildsets of an item and of all that hang below it. Each gets a new one when it is looked at. */
export function resetTree(gate: Gate, root: Item, reason: string): void {
  for (const item of root.queue.treeOf(root)) {
    markDirty(gate, item);
    if (item.buildset === null) continue;
    discard(gate, item);
    item.resets++;
    item.resetReason = reason;
    gate.counters.resets++;
    note(gate, item, `was reset: ${reason}`);
  }
}
