import type { ItemView } from "@drover/gate/api";

/* How a queue's tree is drawn beside its list: in lanes, which lead from each item to those that build on it. */

/** What is drawn in the row of an item. Lanes count from 0, which begins at the branch itself. */
export interface Twig {
  readonly lane: number;
  /** The lane that its line leaves for a lane of its own; `null`: it goes on in that of the item ahead. */
  readonly leaves: number | null;
  /** Its lane goes on below. */
  readonly isBuiltOn: boolean;
  /** Other lanes that pass. */
  readonly passing: readonly number[];
}

/** Id of the branch that the first items stand on. */
const TRUNK = -1;

/**
 * The last item that stands on another goes on in its lane; those before it, which are out of the way, get lanes of their own.
 * @returns One for each item, in their order.
 */
export function twigsOf(items: readonly ItemView[]): Twig[] {
  const known = new Set<number>([TRUNK]);
  const aheadOf = items.map(({ id, itemAhead }) => {
    const ahead = itemAhead !== null && known.has(itemAhead) ? itemAhead : TRUNK;
    known.add(id);
    return ahead;
  });
  /** Items behind each that are still to be drawn. */
  const left = new Map<number, number>();
  for (const ahead of aheadOf) left.set(ahead, (left.get(ahead) ?? 0) + 1);
  const laneOf = new Map<number, number>([[TRUNK, 0]]);
  const used = [true];
  return items.map(({ id }, at) => {
    const ahead = aheadOf[at]!;
    const from = laneOf.get(ahead)!;
    const leftOfAhead = left.get(ahead)! - 1;
    left.set(ahead, leftOfAhead);
    let lane = from;
    if (leftOfAhead > 0) {
      lane = from + 1;
      while (used[lane]) lane++;
    }
    const passing = used.flatMap((isUsed, other) => (isUsed && other !== lane ? [other] : []));
    const isBuiltOn = (left.get(id) ?? 0) > 0;
    used[lane] = isBuiltOn;
    laneOf.set(id, lane);
    return { lane, leaves: lane === from ? null : from, isBuiltOn, passing };
  });
}
