import { advanceJobs } from "./builds.ts";
import { prepare, resetTree, resolveBlocked } from "./buildsets.ts";
import type { Change, ChangeId } from "./change.ts";
import { termsOf } from "./entering.ts";
import type { ReportKind } from "./events.ts";
import { frozenBecause } from "./frozen-branches.ts";
import { offerTriggered } from "./inner-triggers.ts";
import { haveAllEnded } from "./job-graph.ts";
import { dirtyFollowers, remove, removeUnmerged, report, resizeWindow } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { itemAheadOf, missingNeed, needsOf } from "./needs.ts";
import { dropMember, offer, retryIntents } from "./offers.ts";
import { tellRequiring } from "./providing.ts";
import { isHead, type Queue } from "./queue.ts";
import { isHolding, note, ofMember, ownFailure, subjectName } from "./reasons.ts";
import { regroupIfOutdated } from "./regrouping.ts";
import { type Buildset, type Gate, type Item, itemsOf, liveAhead, markDirty, ownLinks } from "./state.ts";
import { shrunk } from "./window.ts";

/** Far more than any step can take; reached only by a mistake in here, which must not hang the process. */
const MAX_ROUNDS = 100_000;

/** Looks at what is dirty until nothing changes any more. */
export function settle(gate: Gate): void {
  const offered = new Set<string>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    offerTriggered(gate, offered);
    retryIntents(gate);
    const queues = [...gate.dirtyQueues].sort((a, b) => a.serial - b.serial);
    if (queues.length === 0 && gate.triggered.length === 0) return;
    gate.dirtyQueues.clear();
    for (const queue of queues) pass(gate, queue);
  }
  throw new Error("bug: the gate does not settle");
}

/** One way through a queue from head to tail, along the items that something has changed for. */
function pass(gate: Gate, { items }: Queue): void {
  for (let i = 0; i < items.length; ) {
    const item = items[i]!;
    if (item.isDirty) {
      item.isDirty = false;
      visit(gate, item);
    }
    if (items[i] === item) i++;
  }
}

/** Decides about one item, with everything ahead of it decided. */
function visit(gate: Gate, item: Item): void {
  tellRequiring(gate, item);
  // A merge that was asked for cannot be taken back.
  if (item.landing !== null) return;
  if (!item.live) {
    if (item.itemsBehind.size === 0) remove(gate, item);
    // What it is in a cycle with may have changed, which is for the live one to see.
    for (const behind of item.itemsBehind) markDirty(gate, behind);
    return;
  }
  if (regroupIfOutdated(gate, item)) return;
  if (!mayStay(gate, item)) return;
  const failingNeed = failingNeedOf(gate, item);
  if (failingNeed !== null) {
    // Nothing starts again for what will have to leave anyway.
    if (item.buildset !== null) resetTree(gate, item, failingNeed);
    item.isDirty = false;
    setFailing(gate, item, failingNeed);
  } else {
    reparent(gate, item);
    if (item.active) {
      prepare(gate, item);
      resolveBlocked(gate, item);
      reportStart(gate, item);
    }
    advanceJobs(gate, item);
    setFailing(gate, item, ownFailure(item));
  }
  refreshHold(gate, item);
  if (isHead(item) && isDone(item)) finish(gate, item);
}

/** In a dependent pipeline: a change that may not merge any more leaves, and is told why. */
function mayStay(gate: Gate, item: Item): boolean {
  const { members, pipeline } = item;
  if (!managerOf(pipeline).merges) return true;
  let unapproved: ChangeId | null = null;
  for (const member of members) {
    if (member.kind !== "change") continue;
    const change = gate.changes.get(member.id);
    const outdated = outdatedBecause(member, change);
    if (outdated !== null) {
      dropMember(gate, item, member.id, outdated);
      return false;
    }
    if (!change!.isApproved) unapproved ??= member.id;
  }
  const reason =
    unapproved === null ? missingNeed(gate, item) : ofMember(item, unapproved, "is not approved any more");
  if (reason === null) return true;
  note(gate, item, `left the pipeline: it ${reason}`);
  report(gate, item, "failure", `${subjectName(item)} ${reason}`);
  removeUnmerged(gate, item, unapproved === null ? "lost what it needs" : reason);
  if (unapproved === null) return false;
  // The others of its cycle wait for the approval.
  for (const { id } of members) if (id !== unapproved) offer(gate, pipeline, id, termsOf(item));
  return false;
}

function outdatedBecause(member: Change, now: Change | undefined): string | null {
  if (now === undefined) return "is not known any more";
  if (now.revision !== member.revision) return "has a newer revision";
  if (now.state === "open") return null;
  return now.state === "merged" ? "was merged by somebody else" : "was abandoned";
}

/** Why the failure of what an item needs is its own. */
function failingNeedOf(gate: Gate, item: Item): string | null {
  if (!managerOf(item.pipeline).merges) return null;
  for (const need of needsOf(gate, item)) {
    const needed = itemAheadOf(gate, item, need);
    if (needed !== null && needed.failing !== null) return `needs ${subjectName(needed)}, which is failing`;
  }
  return null;
}

/** Hangs an item under the nearest one ahead that is not failing. What it was tested on was the wrong assumption. */
function reparent(gate: Gate, item: Item): void {
  const assumed = liveAhead(item);
  const right = item.queue.nearestNonFailing(item);
  if (assumed === right) return;
  const why =
    assumed === null
      ? `${subjectName(right!)} is ahead of it again`
      : `${subjectName(assumed)} ahead of it is failing`;
  resetTree(gate, item, why);
  item.queue.move(item, right);
  item.isDirty = false;
}

function setFailing(gate: Gate, item: Item, failing: string | null): void {
  const turned = (failing === null) !== (item.failing === null);
  if (failing !== null && failing !== item.failing) note(gate, item, `is failing: ${failing}`);
  item.failing = failing;
  if (!turned) return;
  const { queue, members } = item;
  dirtyFollowers(gate, queue, queue.indexOf(item) + 1);
  for (const behind of item.itemsBehind) markDirty(gate, behind);
  for (const member of members)
    for (const { id } of gate.changes.needing(member.id))
      for (const other of itemsOf(gate, id)) if (other.queue === queue) markDirty(gate, other);
}

function refreshHold(gate: Gate, item: Item): void {
  const holds = isHolding(item);
  if (holds === item.holds) return;
  item.holds = holds;
  for (const behind of item.itemsBehind) markDirty(gate, behind);
}

/** Told once, when it is known for the first time that there is something to run. */
function reportStart(gate: Gate, item: Item): void {
  const { buildset } = item;
  if (item.hasReportedStart || buildset?.state !== "ready" || buildset.jobs.size === 0) return;
  item.hasReportedStart = true;
  report(gate, item, "start", `${subjectName(item)} is being tested`);
}

/** Nothing of its buildset is still to come. */
function isDone({ buildset }: Item): boolean {
  if (buildset === null) return false;
  if (buildset.state === "conflict") return true;
  if (buildset.isRefreezing) return false;
  return buildset.state === "broken" || (buildset.state === "ready" && haveAllEnded(buildset.jobs));
}

/** What is told of a failure that was not a job's. */
const FAILURES: Partial<Record<Buildset["state"], ReportKind>> = {
  conflict: "merge-conflict",
  broken: "config-error",
};

/** An item that is done, with nothing ahead of it, merges or leaves. */
function finish(gate: Gate, item: Item): void {
  const { queue, pipeline, failing } = item;
  const buildset = item.buildset!;
  const { merges } = managerOf(pipeline);
  if (buildset.state === "ready" && buildset.jobs.size === 0) {
    note(gate, item, "left the pipeline: it has no jobs here");
    report(gate, item, "no-jobs", `${subjectName(item)} has no jobs in this pipeline`);
    removeUnmerged(gate, item, "has no jobs here");
  } else if (failing !== null) {
    const what = FAILURES[buildset.state] ?? "failure";
    note(gate, item, `failed: ${failing}`);
    report(gate, item, what, `${subjectName(item)} failed: ${failing}`);
    removeUnmerged(gate, item, "failed");
    if (merges) resizeWindow(gate, queue, shrunk(queue.window, pipeline.rules.window));
  } else if (!merges) {
    note(gate, item, "succeeded");
    report(gate, item, "success", `${subjectName(item)} passed`);
    remove(gate, item);
  } else if (!gate.isPaused && frozenBecause(gate, item) === null) {
    land(gate, item);
  }
}

export function landEffect(item: Item): Gate["effects"][number] {
  const { pipeline, id } = item;
  const buildset = item.buildset!;
  const { chain } = buildset;
  const steps = ownLinks(buildset).map((link, i, own) => {
    const { base, commit } = buildset.steps[chain.length - own.length + i]!;
    return { link, base, commit };
  });
  return { kind: "land", buildset: buildset.id, item: id, pipeline: pipeline.rules.name, steps };
}

function land(gate: Gate, item: Item): void {
  item.landing = { isStale: false, leave: null };
  note(gate, item, "passed, and is being merged");
  gate.effects.push(landEffect(item));
}
