import { keyIdOf } from "../document/convert.ts";
import type { DataNode } from "../document/node.ts";
import type { Match } from "./align.ts";
import type { Interner } from "./interner.ts";

/** Items that are less alike than this are two items, not one that changed. */
const ALIKE = 0.3;
/** Comparisons of items with each other, in one gap between equal ones; beyond, they are paired by their order. */
const MAX_COMPARISONS = 10_000;

/** How much of two values is the same, 0 to 1. Quick: looks one level deep. */
export function similarity(a: DataNode, b: DataNode, interner: Interner): number {
  if (interner.idOf(a) === interner.idOf(b)) return 1;
  if (a.kind === "scalar" && b.kind === "scalar") return a.type === b.type ? sharedText(a.text, b.text) : 0;
  if (a.kind === "list" && b.kind === "list") {
    const counts = new Map<number, number>();
    for (const { node } of a.items)
      counts.set(interner.idOf(node), (counts.get(interner.idOf(node)) ?? 0) + 1);
    let shared = 0;
    for (const { node } of b.items) {
      const left = counts.get(interner.idOf(node)) ?? 0;
      if (left > 0) shared++;
      counts.set(interner.idOf(node), left - 1);
    }
    return shared / Math.max(a.items.length, b.items.length, 1);
  }
  if (a.kind !== "map" || b.kind !== "map") return 0;
  const values = new Map(a.entries.map(({ key, node }) => [keyIdOf(key), interner.idOf(node)]));
  let shared = 0;
  for (const { key, node } of b.entries) {
    const id = values.get(keyIdOf(key));
    if (id !== undefined) shared += id === interner.idOf(node) ? 1 : 0.25;
  }
  return shared / Math.max(a.entries.length, b.entries.length, 1);
}

/** The part of two texts that they begin and end with in common. */
function sharedText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < shorter - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  return (head + tail) / Math.max(a.length, b.length, 1);
}

/** Pairs items that are alike, in their order. One and one are a pair however they differ. */
export function pairAlike(
  before: readonly number[],
  after: readonly number[],
  alike: (i: number, j: number) => number,
): Match[] {
  if (before.length === 0 || after.length === 0) return [];
  if (before.length === 1 && after.length === 1) return [[before[0]!, after[0]!]];
  if (before.length * after.length > MAX_COMPARISONS) {
    return before.slice(0, after.length).map((i, at): Match => [i, after[at]!]);
  }
  const width = after.length + 1;
  const best = new Float64Array((before.length + 1) * width);
  const scores = new Float64Array(before.length * after.length);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const score = alike(before[i]!, after[j]!);
      scores[i * after.length + j] = score >= ALIKE ? score : 0;
      const paired = score >= ALIKE ? score + best[(i + 1) * width + j + 1]! : 0;
      best[i * width + j] = Math.max(paired, best[(i + 1) * width + j]!, best[i * width + j + 1]!);
    }
  }
  const pairs: Match[] = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    const score = scores[i * after.length + j]!;
    if (score > 0 && best[i * width + j] === score + best[(i + 1) * width + j + 1]!) {
      pairs.push([before[i++]!, after[j++]!]);
    } else if (best[i * width + j] === best[(i + 1) * width + j]!) i++;
    else j++;
  }
  return pairs;
}

/** How many scalars a value has. */
export function leavesOf(node: DataNode): number {
  if (node.kind === "scalar") return 1;
  const nodes = node.kind === "list" ? node.items : node.entries;
  return nodes.reduce((sum, child) => sum + leavesOf(child.node), 0);
}

/** How many scalars two values have in common, at the same places. */
export function sharedLeaves(a: DataNode, b: DataNode, interner: Interner): number {
  if (interner.idOf(a) === interner.idOf(b)) return leavesOf(a);
  if (a.kind === "list" && b.kind === "list") {
    return a.items.reduce((sum, { node }, i) => {
      const other = b.items[i]?.node;
      return other === undefined ? sum : sum + sharedLeaves(node, other, interner);
    }, 0);
  }
  if (a.kind !== "map" || b.kind !== "map") return 0;
  const values = new Map(b.entries.map(({ key, node }) => [keyIdOf(key), node]));
  return a.entries.reduce((sum, { key, node }) => {
    const other = values.get(keyIdOf(key));
    return other === undefined ? sum : sum + sharedLeaves(node, other, interner);
  }, 0);
}
