interface Entry {
  readonly atMs: number;
  readonly actor: number;
  readonly order: number;
  readonly action: () => void;
}

/** What is to happen, by time; at one time by actor, and of one actor in the order it was planned. */
export class Schedule {
  readonly #heap: Entry[] = [];

  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, actor: number, order: number, action: () => void): void {
    const heap = this.#heap;
    const entry = { atMs, actor, order, action };
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  /** Takes out what is next. */
  take(): () => void {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let below = 2 * at + 1;
        if (below >= heap.length) break;
        if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
        if (!isBefore(heap[below]!, last)) break;
        heap[at] = heap[below]!;
        at = below;
      }
      heap[at] = last;
    }
    return first.action;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs - b.atMs < 0 || (a.atMs === b.atMs && (a.actor - b.actor || a.order - b.order) < 0);
}
