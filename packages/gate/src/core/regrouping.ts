import type { ChangeId } from "./change.ts";
import { cycleObstacle, cycleOf, holdsExactly, isAnyLanding } from "./cycles.ts";
import { termsOf } from "./entering.ts";
import { removeUnmerged } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { offer } from "./offers.ts";
import { note } from "./reasons.ts";
import { type Gate, type Item, itemsOf, liveItem } from "./state.ts";

/* What needs what can change while it is under test: then items are not what they should be, and are made anew. */

/** Whether an item does not hold the changes that belong together now, and was made anew. */
export function regroupIfOutdated(gate: Gate, item: Item): boolean {
  const { pipeline, members, subject, ignoreNeeds } = item;
  if (managerOf(pipeline).needs === "none" || pipeline.rules.ignoreDependencies || subject.kind === "ref")
    return false;
  const cycle = cycleOf(gate, subject.id, ignoreNeeds);
  if (members.length === 1 && cycle.length <= 1) return false;
  // What is merged already merges without them, or comes back.
  if (isAnyLanding(gate, pipeline, cycle)) return false;
  if (!holdsExactly(item, cycle)) reenqueue(gate, item, "what it needs, or what needs it, was changed");
  else {
    const obstacle = cycleObstacle(gate, pipeline, subject.id, cycle);
    if (obstacle === null) return false;
    reenqueue(gate, item, `it ${obstacle}`);
  }
  return true;
}

/** Takes an item out with all that it belongs to, and has all of that enter again as it belongs together now. */
export function reenqueue(gate: Gate, item: Item, why: string): void {
  const { pipeline } = item;
  const items = belongingTo(gate, item);
  const started = new Set<ChangeId>();
  for (const one of items) {
    note(gate, one, `is enqueued again: ${why}`);
    if (one.hasReportedStart) for (const { id } of one.members) started.add(id);
  }
  for (const one of items.toReversed()) removeUnmerged(gate, one, "is enqueued again");
  for (const one of items) for (const { id } of one.members) offer(gate, pipeline, id, termsOf(one));
  for (const id of started) {
    const again = liveItem(gate, pipeline, id);
    if (again?.members.every((member) => started.has(member.id))) again.hasReportedStart = true;
  }
}

/** Items of one pipeline that hold what is in a cycle with it, and in its queue what needs any of that. */
function belongingTo(gate: Gate, item: Item): Item[] {
  const { pipeline, queue } = item;
  const items = new Set([item]);
  const ids = new Set<ChangeId>();
  const take = (id: ChangeId): void => {
    ids.add(id);
    for (const other of itemsOf(gate, id))
      if (other.live && other.pipeline === pipeline && other.landing === null) items.add(other);
  };
  for (const one of items) {
    for (const { id } of one.members) {
      if (ids.has(id)) continue;
      for (const other of cycleOf(gate, id, one.ignoreNeeds)) take(other.id);
      take(id);
      if (managerOf(pipeline).needs !== "ahead") continue;
      for (const needing of gate.changes.needing(id))
        for (const other of itemsOf(gate, needing.id)) if (other.queue === queue) take(needing.id);
    }
  }
  return [...items].sort((a, b) => a.order - b.order);
}
