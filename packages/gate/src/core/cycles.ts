import type { Change, ChangeId } from "./change.ts";
import type { KnownChanges } from "./known-changes.ts";
import { isOutdated } from "./needs.ts";
import { queueKey } from "./project-queues.ts";
import { type Gate, type Item, itemsOf, type Pipeline } from "./state.ts";

/*
 * Changes that need each other, directly or by way of others. Where their queue allows it they are one item: tested
 * together and merged together, or not at all.
 */

/** What an open change needs that is open, and not an older revision of it: that one is part of its own commits. */
function openNeeds(
  changes: KnownChanges,
  { id, needs }: Change,
  ignoreNeeds: readonly string[],
): { readonly needed: Change; readonly isParent: boolean }[] {
  return needs.flatMap((need) => {
    const needed = need.change === null ? undefined : changes.get(need.change);
    if (needed?.state !== "open" || needed.id === id || ignoreNeeds.includes(need.source)) return [];
    return isOutdated(need, needed) ? [] : [{ needed, isParent: need.revision !== null }];
  });
}

/**
 * A change and those that it is in a cycle with, in the order in which they merge. Nearly always it is alone.
 * @param ignoreNeeds Sources of dependencies that do not count.
 */
export function cycleOf({ changes }: Gate, id: ChangeId, ignoreNeeds: readonly string[]): readonly Change[] {
  const change = changes.get(id);
  if (change === undefined) return [];
  if (change.needs.length === 0 || changes.needing(id).length === 0) return [change];
  if (ignoreNeeds.length > 0)
    return inMergeOrder(changes, findCycle(changes, change, ignoreNeeds), ignoreNeeds);
  let found = changes.cycles.get(id);
  if (found === undefined) {
    found = inMergeOrder(changes, findCycle(changes, change, []), []).map((one) => one.id);
    for (const one of found) changes.cycles.set(one, found);
  }
  return found.map((one) => changes.get(one)!);
}

/** What can be reached from a change and reaches it. */
function findCycle(changes: KnownChanges, start: Change, ignoreNeeds: readonly string[]): Set<Change> {
  const below = new Set([start]);
  const users = new Map<Change, Change[]>();
  for (const change of below) {
    for (const { needed } of openNeeds(changes, change, ignoreNeeds)) {
      below.add(needed);
      const list = users.get(needed);
      if (list === undefined) users.set(needed, [change]);
      else list.push(change);
    }
  }
  const cycle = new Set([start]);
  for (const change of cycle) for (const user of users.get(change) ?? []) cycle.add(user);
  return cycle;
}

/**
 * Beginning with the one that was told first, each after what it needs as far as that can be; and always after its parents
 * in git, whose commits are part of it.
 */
function inMergeOrder(changes: KnownChanges, cycle: Set<Change>, ignoreNeeds: readonly string[]): Change[] {
  if (cycle.size === 1) return [...cycle];
  const parents = new Map<Change, Change[]>();
  const below = new Map<Change, Change[]>();
  for (const change of cycle) {
    const needs = openNeeds(changes, change, ignoreNeeds).filter(({ needed }) => cycle.has(needed));
    below.set(
      change,
      needs.map(({ needed }) => needed),
    );
    parents.set(
      change,
      needs.filter(({ isParent }) => isParent).map(({ needed }) => needed),
    );
  }
  const [first] = changes.inOrder(cycle);
  const left = new Set<Change>();
  const seen = new Set([first!]);
  const path = [{ change: first!, next: 0 }];
  for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
    const needed = below.get(at.change)![at.next++];
    if (needed === undefined) left.add(path.pop()!.change);
    else if (!seen.has(needed)) {
      seen.add(needed);
      path.push({ change: needed, next: 0 });
    }
  }
  const ordered: Change[] = [];
  while (left.size > 0) {
    const next = [...left].find((change) => !parents.get(change)!.some((parent) => left.has(parent)));
    // Commits do not contain each other; if it were told that they do, any order would be as good.
    const taken = next ?? left.values().next().value!;
    left.delete(taken);
    ordered.push(taken);
  }
  return ordered;
}

/** Begins every reason that is a cycle. */
export const NEEDS_ITSELF = "needs itself: ";

/** Why these changes cannot be one item; the end of a sentence that begins with the one that is asked about. */
export function cycleObstacle(
  gate: Gate,
  pipeline: Pipeline,
  id: ChangeId,
  cycle: readonly Change[],
): string | null {
  if (cycle.length === 1) return null;
  const said = NEEDS_ITSELF + ringOf(gate.changes, gate.changes.get(id)!).join(" needs ");
  const key = queueKey(pipeline, cycle[0]!);
  if (cycle.some((change) => queueKey(pipeline, change) !== key))
    return `${said}, and changes of a cycle have to share a queue`;
  const queue = pipeline.rules.queues.get(cycle[0]!.project);
  if (queue?.allowsCycles === true) return null;
  const where =
    queue === undefined ? "its project is in no queue that allows" : `queue ${queue.name} does not allow`;
  return `${said}, and ${where} that (allow-circular-dependencies)`;
}

/** The shortest way from a change of a cycle back to itself. */
function ringOf(changes: KnownChanges, start: Change): ChangeId[] {
  const cameFrom = new Map<Change, Change>();
  const reached = new Set([start]);
  for (const change of reached) {
    for (const { needed } of openNeeds(changes, change, [])) {
      if (needed === start) {
        const ring = [start.id];
        for (let at: Change | undefined = change; at !== undefined; at = cameFrom.get(at)) ring.push(at.id);
        return ring.reverse();
      }
      if (!reached.has(needed)) cameFrom.set(needed, change);
      reached.add(needed);
    }
  }
  return [start.id];
}

/** Whether an item holds exactly these changes, at whatever revisions. */
export function holdsExactly({ members }: Item, changes: readonly Change[]): boolean {
  return (
    members.length === changes.length && members.every(({ id }) => changes.some((change) => change.id === id))
  );
}

/** Whether one of these is being merged: what is asked for cannot be taken back, and waits for the answer. */
export function isAnyLanding(gate: Gate, pipeline: Pipeline, changes: readonly Change[]): boolean {
  return changes.some(({ id }) => {
    for (const item of itemsOf(gate, id))
      if (item.pipeline === pipeline && item.landing !== null) return true;
    return false;
  });
}
