import type { Change, ChangeId } from "./change.ts";
import { type Gate, itemsOf, markDirty } from "./state.ts";

/** Looks again at everything that may depend on a change: its items, those that need it, and what waits for it. */
export function touch(gate: Gate, id: ChangeId): void {
  for (const item of itemsOf(gate, id)) markDirty(gate, item);
  for (const needing of gate.changes.needing(id))
    for (const item of itemsOf(gate, needing.id)) markDirty(gate, item);
  gate.intents.touch(id);
}

export function needsDiffer(a: Change, b: Change): boolean {
  if (a.needs.length !== b.needs.length) return true;
  return a.needs.some((need, i) => {
    const other = b.needs[i]!;
    return (
      need.source !== other.source ||
      need.change !== other.change ||
      need.revision !== other.revision ||
      (need.change === null && need.problem !== other.problem)
    );
  });
}
