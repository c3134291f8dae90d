import type { GateEvent } from "./events.ts";
import { managerOf } from "./managers.ts";
import { type Gate, type Item, markDirty } from "./state.ts";

/* Branches into which nothing is merged until an operator says so. Changes for them are tested all the same. */

/** At a time. Another one is not frozen. */
export const MAX_FROZEN_BRANCHES = 1_000;

export interface FrozenBranch {
  readonly project: string;
  readonly branch: string;
  /** As the operator gave it; may be empty. */
  readonly reason: string;
  /** Who froze it. */
  readonly by: string;
  readonly sinceMs: number;
}

export function keyOf({
  project,
  branch,
}: {
  readonly project: string;
  readonly branch: string | null;
}): string {
  return `${project}\n${branch}`;
}

/** Why an item may not merge yet, in a sentence. */
export function frozenBecause(gate: Gate, { links }: Item): string | null {
  for (const link of links) {
    const frozen = gate.frozenBranches.get(keyOf(link));
    if (frozen === undefined) continue;
    const { project, branch, reason, by } = frozen;
    return `branch ${branch} of ${project} was frozen by ${by}${reason === "" ? "" : `: ${reason}`}`;
  }
  return null;
}

/** What is being merged already cannot be taken back. */
export function onFreezeBranch(gate: Gate, event: Extract<GateEvent, { kind: "freezeBranch" }>): void {
  const { project, branch, reason, by } = event;
  const isKnown = gate.frozenBranches.has(keyOf(event));
  if (!isKnown && gate.frozenBranches.size >= MAX_FROZEN_BRANCHES) return;
  gate.frozenBranches.set(keyOf(event), { project, branch, reason, by, sinceMs: gate.nowMs });
}

export function onThawBranch(gate: Gate, event: Extract<GateEvent, { kind: "thawBranch" }>): void {
  if (!gate.frozenBranches.delete(keyOf(event))) return;
  for (const item of gate.items.values())
    if (managerOf(item.pipeline).merges && item.links.some((link) => keyOf(link) === keyOf(event)))
      markDirty(gate, item);
}
