import type { Change, ChangeId, Dependency } from "./change.ts";
import { type Gate, type Item, itemsOf, memberOf, revisionOf } from "./state.ts";

/* What a change says it needs, and what came of that. */

/** It is built on a revision that is not the current one any more. */
export function isOutdated({ revision }: Dependency, needed: Change): boolean {
  return revision !== null && revision !== needed.revision;
}

/** Why what is needed cannot be had by any queue; the end of a sentence. */
export function needObstacle(gate: Gate, need: Dependency): string | null {
  if (need.change === null) return `depends on ${need.source}: ${need.problem ?? "there is no such change"}`;
  const needed = gate.changes.get(need.change);
  if (needed === undefined)
    return `depends on ${need.source}: ${need.problem ?? `${need.change} is not known`}`;
  if (isOutdated(need, needed))
    return `is built on revision ${need.revision} of ${need.change}, of which ${needed.revision} is the current one`;
  return needed.state === "abandoned" ? `needs ${need.change}, which was abandoned` : null;
}

/**
 * What an item of a dependent pipeline lacks to stay in its queue: what it needs must be merged, or ahead and current.
 * @returns The end of a sentence, or `null`.
 */
export function missingNeed(gate: Gate, item: Item): string | null {
  for (const need of needsOf(gate, item)) {
    const obstacle = needObstacle(gate, need);
    if (obstacle !== null) return obstacle;
    if (gate.changes.get(need.change!)!.state === "merged") continue;
    if (itemAheadOf(gate, item, need) === null)
      return item.lostNeed ?? `needs ${need.change}, which is not ahead of it`;
  }
  return null;
}

/** What the members of an item need of others, as they say it now. */
export function needsOf(gate: Gate, item: Item): Dependency[] {
  const { members, ignoreNeeds } = item;
  return members.flatMap(({ id }) =>
    (gate.changes.get(id)?.needs ?? []).filter(({ source, change, revision }) => {
      if (ignoreNeeds.includes(source)) return false;
      const other = change === null || change === id ? undefined : memberOf(item, change);
      return other === undefined || (revision !== null && revision !== revisionOf(other));
    }),
  );
}

/** The item, ahead in the same queue, of what an item needs. */
export function itemAheadOf(gate: Gate, item: Item, need: Dependency): Item | null {
  for (const other of itemsOf(gate, need.change ?? "")) {
    if (other.live && other.queue === item.queue && other.order < item.order) return other;
  }
  return null;
}

/** Open changes that one needs, directly or not, those of its cycle among them; no more than `most` of them. */
export function openNeeds(
  { changes }: Gate,
  id: ChangeId,
  ignoreNeeds: readonly string[],
  most: number,
): ChangeId[] {
  const found = new Set([id]);
  for (const one of found) {
    for (const { change, source } of changes.get(one)?.needs ?? []) {
      if (found.size > most) break;
      if (change === null || ignoreNeeds.includes(source)) continue;
      if (changes.get(change)?.state === "open") found.add(change);
    }
  }
  found.delete(id);
  return [...found];
}
