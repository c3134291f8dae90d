/** Something that is due at a time. Lives in at most one `TimerHeap`. */
export interface Timer {
  /** Milliseconds on the heap's clock. */
  atMs: number;
  /** Place in the heap; -1 while in none. */
  heapIndex: number;
  /** Breaks ties: what was added first is due first. */
  order: number;
}

/** Timers by time: add, delete and move in O(log n), the earliest in O(1). Knows nothing of what is due. */
export class TimerHeap<T extends Timer> {
  readonly #items: T[] = [];
  #order = 0;

  get size(): number {
    return this.#items.length;
  }

  /** Time of the earliest timer; `Infinity` when there is none. */
  get nextMs(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#items[0]!.atMs;
  }

  /** Adds a timer, or moves the one that is there. */
  set(timer: T, atMs: number): void {
    timer.atMs = atMs;
    if (timer.heapIndex < 0) {
      timer.order = this.#order++;
      timer.heapIndex = this.#items.length;
      this.#items.push(timer);
      this.#up(timer.heapIndex);
    } else {
      this.#down(this.#up(timer.heapIndex));
    }
  }

  delete(timer: T): void {
    const index = timer.heapIndex;
    if (index < 0) return;
    timer.heapIndex = -1;
    const last = this.#items.pop()!;
    if (last === timer) return;
    this.#items[index] = last;
    last.heapIndex = index;
    this.#down(this.#up(index));
  }

  /** Takes out the earliest timer if it is due at `nowMs`. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#items[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.delete(first);
    return first;
  }

  #up(start: number): number {
    const items = this.#items;
    const timer = items[start]!;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = items[parent]!;
      if (!isBefore(timer, above)) break;
      items[index] = above;
      above.heapIndex = index;
      index = parent;
    }
    items[index] = timer;
    timer.heapIndex = index;
    return index;
  }

  #down(start: number): void {
    const items = this.#items;
    const timer = items[start]!;
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1]!, items[child]!)) child++;
      const below = items[child]!;
      if (!isBefore(below, timer)) break;
      items[index] = below;
      below.heapIndex = index;
      index = child;
    }
    items[index] = timer;
    timer.heapIndex = index;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
