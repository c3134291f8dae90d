import type { Entry, Key } from "./tree.ts";

/** Compares two keys: below 0 when the first comes first. */
export type KeyOrder = (one: Key, other: Key) => number;

/** `<<` stands first, since it says what the others add to; then `first`, in its order; then numbers; then the rest. */
export function keyOrder(first: readonly string[]): KeyOrder {
  const ranks = new Map(["<<", ...first].map((key, rank) => [key, rank]));
  const rankOf = ({ text, number }: Key) => ranks.get(text) ?? ranks.size + (number === undefined ? 1 : 0);
  return (one, other) => {
    const byRank = rankOf(one) - rankOf(other);
    if (byRank !== 0) return byRank;
    if (one.number !== undefined && other.number !== undefined && one.number !== other.number) {
      return one.number < other.number ? -1 : 1;
    }
    return compareText(one.text, other.text);
  };
}

/** By code points, as other programs that sort do, and not by UTF-16's units. */
function compareText(one: string, other: string): number {
  if (one === other) return 0;
  let at = 0;
  while (one.charCodeAt(at) === other.charCodeAt(at)) at++;
  const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? -1 : 1;
  const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
  if (isSurrogate(a) !== isSurrogate(b)) return isSurrogate(a) ? 1 : -1;
  return a - b;
}

/** An anchor, or an alias of one. */
export interface Mark {
  readonly offset: number;
  readonly name: string;
  readonly isAnchor: boolean;
}

/** A document's anchors and aliases, in the order of the source. */
export class Marks {
  readonly #marks: readonly Mark[];
  /** How many anchors have the name. */
  readonly #anchors = new Map<string, number>();

  constructor(marks: readonly Mark[]) {
    this.#marks = marks;
    for (const { name, isAnchor } of marks) {
      if (isAnchor) this.#anchors.set(name, (this.#anchors.get(name) ?? 0) + 1);
    }
  }

  /**
   * For each entry the numbers of those that must stay before it: its aliases' anchors, and, where a name is given
   * more than once, everything with that name in the order it has.
   */
  requirements(entries: readonly Entry[]): ReadonlyMap<number, readonly number[]> {
    const required = new Map<number, number[]>();
    const last = new Map<string, number>();
    let at = this.#firstFrom(entries[0]?.start ?? 0);
    for (const [i, { end }] of entries.entries()) {
      for (; at < this.#marks.length && this.#marks[at]!.offset < end; at++) {
        const { name, isAnchor } = this.#marks[at]!;
        const isUnique = (this.#anchors.get(name) ?? 0) < 2;
        const before = last.get(name);
        if (before !== undefined && before !== i) push(required, i, before);
        if (isAnchor || !isUnique) last.set(name, i);
      }
    }
    return required;
  }

  #firstFrom(offset: number): number {
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#marks[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function push(map: Map<number, number[]>, key: number, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/**
 * The numbers of entries in the order they are to stand in. What an entry requires stands right before it, unless it
 * stands earlier anyway.
 */
export function ordered(
  entries: readonly Entry[],
  order: KeyOrder,
  marks: Marks,
): { order: number[]; held: boolean } {
  const sorted = entries.map((_, i) => i).sort((a, b) => order(entries[a]!.key, entries[b]!.key) || a - b);
  const required = marks.requirements(entries);
  if (required.size === 0) return { order: sorted, held: false };
  const placed = new Set<number>();
  const rank = new Map(sorted.map((entry, i) => [entry, i]));
  for (const entry of sorted) {
    const pending = [entry];
    while (pending.length > 0) {
      const next = pending.at(-1)!;
      const missing = placed.has(next)
        ? []
        : (required.get(next) ?? []).filter((other) => !placed.has(other));
      if (missing.length > 0) pending.push(missing.reduce((a, b) => (rank.get(a)! < rank.get(b)! ? a : b)));
      else placed.add(pending.pop()!);
    }
  }
  const result = [...placed];
  return { order: result, held: result.some((entry, i) => entry !== sorted[i]) };
}
