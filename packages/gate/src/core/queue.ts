import { type Item, liveAhead, type Pipeline } from "./state.ts";

/**
 * The items of projects that are gated together, as a list and as a tree. The list is the order of arrival and says who
 * is inside of the window. The tree says on top of what each item is tested: a line while all is well, and after a
 * failure the items behind hang under the nearest one ahead that is not failing.
 *
 * An item ahead in the tree is also ahead in the list.
 */
export class Queue {
  /** In the order in which queues came to be. */
  readonly serial: number;
  readonly key: string;
  readonly name: string;
  readonly branch: string | null;
  readonly pipeline: Pipeline;
  /** Ascending by `order`. */
  readonly items: Item[] = [];
  /** Items from the head that are worked on; 0 = all. */
  window: number;

  constructor(
    serial: number,
    pipeline: Pipeline,
    key: string,
    name: string,
    branch: string | null,
    window: number,
  ) {
    this.serial = serial;
    this.pipeline = pipeline;
    this.key = key;
    this.name = name;
    this.branch = branch;
    this.window = window;
  }

  indexOf(item: Item): number {
    let low = 0;
    let high = this.items.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const { order } = this.items[middle]!;
      if (order === item.order) return middle;
      if (order < item.order) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** At the tail, behind the item that was there. */
  append(item: Item): void {
    const tail = this.items.at(-1) ?? null;
    item.queue = this;
    item.itemAhead = tail;
    tail?.itemsBehind.add(item);
    item.active = this.window === 0 || this.items.length < this.window;
    this.items.push(item);
  }

  /** Takes an item out. Those behind it hang under what was ahead of it; what that means for them is not decided here. */
  remove(item: Item): void {
    this.items.splice(this.indexOf(item), 1);
    this.#handOver(item);
    item.itemAhead?.itemsBehind.delete(item);
    item.itemAhead = null;
  }

  /** Hangs an item, and it alone, under another one. */
  move(item: Item, to: Item | null): void {
    this.#handOver(item);
    item.itemAhead?.itemsBehind.delete(item);
    item.itemAhead = to;
    to?.itemsBehind.add(item);
  }

  /** Puts the items from a place on into another order, in a line, as if they had come so. */
  reorder(from: number, items: readonly Item[]): void {
    const orders = items.map(({ order }) => order).sort((a, b) => a - b);
    for (const item of items) {
      item.itemAhead?.itemsBehind.delete(item);
      item.itemsBehind.clear();
    }
    this.items.splice(from, items.length, ...items);
    items.forEach((item, at) => {
      item.order = orders[at]!;
      item.itemAhead = this.items[from + at - 1] ?? null;
      item.itemAhead?.itemsBehind.add(item);
    });
  }

  #handOver({ itemAhead, itemsBehind }: Item): void {
    for (const behind of itemsBehind) {
      behind.itemAhead = itemAhead;
      itemAhead?.itemsBehind.add(behind);
    }
    itemsBehind.clear();
  }

  /** The nearest live item ahead in the list that is not failing: what an item should be tested on top of. */
  nearestNonFailing(item: Item): Item | null {
    for (let i = this.indexOf(item) - 1; i >= 0; i--) {
      const ahead = this.items[i]!;
      if (ahead.live && ahead.failing === null) return ahead;
    }
    return null;
  }

  /** An item and all that hang below it, in the order of the list. */
  treeOf(item: Item): Item[] {
    if (item.itemsBehind.size === 0) return [item];
    const tree = new Set([item]);
    for (let i = this.indexOf(item) + 1; i < this.items.length; i++) {
      const behind = this.items[i]!;
      if (behind.itemAhead !== null && tree.has(behind.itemAhead)) tree.add(behind);
    }
    return [...tree];
  }

  /** From the head of its branch of the tree to the item itself. */
  chainOf(item: Item): Item[] {
    const chain: Item[] = [];
    for (let link: Item | null = item; link !== null; link = link.itemAhead) chain.push(link);
    return chain.reverse();
  }

  /** Applies the window to the list. @returns Items that came into it or left it. */
  refreshActive(): Item[] {
    const changed: Item[] = [];
    this.items.forEach((item, i) => {
      const active = this.window === 0 || i < this.window;
      if (item.active === active) return;
      item.active = active;
      changed.push(item);
    });
    return changed;
  }
}

/** At the head of its branch of the tree: nothing stands between it and its branch. */
export function isHead(item: Item): boolean {
  return liveAhead(item) === null;
}
