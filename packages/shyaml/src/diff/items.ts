import { type DataNode, isNull, type ListNode, type ScalarNode, valueAt } from "../document/node.ts";
import { absentMeans, itemShape, type Shape } from "../kube/shape.ts";
import { align, longestRising, type Match } from "./align.ts";
import type { Interner } from "./interner.ts";
import { pairAlike, similarity } from "./similarity.ts";

/** How the items of two lists belong together. */
export interface Matching {
  /** In the order of the first list. */
  readonly pairs: readonly Match[];
  readonly removed: readonly number[];
  readonly added: readonly number[];
  /** Pairs that stand elsewhere among the others: the fewest that have to be moved. Empty where order means nothing. */
  readonly moved: ReadonlySet<Match>;
  /** The fields by which the items were told apart; else their place was. */
  readonly fields?: readonly string[];
  /** Whether nothing but the values suggested these fields. */
  readonly isGuess?: boolean;
}

export interface MatchingOptions {
  readonly interner: Interner;
  /** Fields that tell items apart, to be tried before `name`, `key` and `id`. */
  readonly identifiers?: readonly string[];
  /** Lists with equal items in another order are equal. */
  readonly ignoreOrder?: boolean;
}

/** Fields that tell items of unknown lists apart, as people name them. */
const USUAL: readonly string[] = ["name", "key", "id", "metadata.name"];
/** Fields of an item that are tried after the usual ones. */
const MAX_GUESSES = 20;

export function matchItems(
  before: ListNode,
  after: ListNode,
  shape: Shape,
  options: MatchingOptions,
): Matching {
  const { list } = shape;
  if (list?.type === "map") {
    for (const fields of list.keys) {
      const matching = byFields(before, after, fields, itemShape(shape), options);
      if (matching !== undefined) return matching;
    }
  }
  if (list === undefined) {
    const guessed = byUsualField(before, after, options);
    if (guessed !== undefined) return guessed;
  }
  // Where several pairings are as good, the same one is taken in both directions.
  if (options.interner.hashOf(before) > options.interner.hashOf(after)) {
    return mirrored(matchUnknown(after, before, list, options));
  }
  return matchUnknown(before, after, list, options);
}

function mirrored(matching: Matching): Matching {
  const swapped = new Map(matching.pairs.map((pair) => [pair, [pair[1], pair[0]] as Match]));
  return {
    ...matching,
    pairs: [...swapped.values()].sort(([i], [j]) => i - j),
    removed: matching.added,
    added: matching.removed,
    moved: new Set([...matching.moved].map((pair) => swapped.get(pair)!)),
  };
}

function matchUnknown(
  before: ListNode,
  after: ListNode,
  list: Shape["list"],
  options: MatchingOptions,
): Matching {
  if (list === undefined) {
    const guessed = byUniqueField(before, after, options);
    if (guessed !== undefined) return guessed;
  }
  if (list?.type === "set") return byPlace(before, after, "nothing", options);
  return byPlace(before, after, options.ignoreOrder === true ? "likeness" : "order", options);
}

function byUsualField(before: ListNode, after: ListNode, options: MatchingOptions): Matching | undefined {
  for (const field of [...(options.identifiers ?? []), ...USUAL]) {
    const matching = byFields(before, after, [field], {}, options);
    if (matching !== undefined && before.items.length + after.items.length > 0) {
      return { ...matching, isGuess: true };
    }
  }
  return undefined;
}

/** The field that pairs the most items, if that is half of them or more. */
function byUniqueField(before: ListNode, after: ListNode, options: MatchingOptions): Matching | undefined {
  const first = before.items[0]?.node;
  if (first?.kind !== "map" || before.items.length < 2 || after.items.length < 2) return undefined;
  const needed = Math.min(before.items.length, after.items.length) / 2;
  let best: Matching | undefined;
  for (const { key, node } of first.entries.slice(0, MAX_GUESSES)) {
    if (key.kind !== "scalar" || key.type !== "string" || node.kind !== "scalar") continue;
    const matching = byFields(before, after, [key.text], {}, options);
    if (matching === undefined || matching.pairs.length < needed) continue;
    if (best === undefined || matching.pairs.length > best.pairs.length) best = matching;
  }
  return best === undefined ? undefined : { ...best, isGuess: true };
}

/** Undefined where an item lacks a field or two items have the same. */
function byFields(
  before: ListNode,
  after: ListNode,
  fields: readonly string[],
  shape: Shape,
  { interner, ignoreOrder }: MatchingOptions,
): Matching | undefined {
  const places = identitiesOf(before, fields, shape, interner);
  if (places === undefined) return undefined;
  const others = identitiesOf(after, fields, shape, interner);
  if (others === undefined) return undefined;
  const pairs: Match[] = [];
  const removed: number[] = [];
  for (const [id, i] of places) {
    const j = others.get(id);
    if (j === undefined) removed.push(i);
    else pairs.push([i, j]);
  }
  const added = [...others].filter(([id]) => !places.has(id)).map(([, j]) => j);
  return { pairs, removed, added, moved: ignoreOrder === true ? new Set() : movedOf(pairs), fields };
}

function identitiesOf(
  list: ListNode,
  fields: readonly string[],
  shape: Shape,
  interner: Interner,
): Map<string, number> | undefined {
  const places = new Map<string, number>();
  for (const [i, { node }] of list.items.entries()) {
    let id = "";
    let present = 0;
    for (const field of fields) {
      const value = fieldAt(node, field);
      const absent = absentMeans(shape, field);
      // Kubernetes takes null for what is not there.
      if (value !== undefined && !(absent !== undefined && isNull(value))) {
        if (value.kind !== "scalar") return undefined;
        id += `${interner.idOf(value)},`;
        present++;
      } else if (typeof absent === "string") id += `${interner.idOf(stringNode(absent))},`;
      else return undefined;
    }
    if (present === 0 || places.has(id)) return undefined;
    places.set(id, i);
  }
  return places;
}

function stringNode(text: string): ScalarNode {
  return { kind: "scalar", type: "string", text, value: text, start: 0 };
}

/** The value at a path of keys with dots between them. */
export function fieldAt(node: DataNode, field: string): DataNode | undefined {
  const whole = valueAt(node, field);
  if (whole !== undefined || !field.includes(".")) return whole;
  return field.split(".").reduce<DataNode | undefined>((at, key) => valueAt(at, key), node);
}

/** @param rest What pairs items that are not equal: their order, how alike they are wherever they stand, or nothing. */
function byPlace(
  before: ListNode,
  after: ListNode,
  rest: "order" | "likeness" | "nothing",
  { interner }: MatchingOptions,
): Matching {
  const a = before.items.map(({ node }) => interner.idOf(node));
  const b = after.items.map(({ node }) => interner.idOf(node));
  const aligned = align(a, b);
  const elsewhere = sameElsewhere(a, b, aligned);
  const pairs = [...aligned, ...elsewhere];
  const usedA = new Set(pairs.map(([i]) => i));
  const usedB = new Set(pairs.map(([, j]) => j));
  const alike = (i: number, j: number) => similarity(before.items[i]!.node, after.items[j]!.node, interner);
  let [fromA, fromB] = [0, 0];
  const fences = rest === "order" ? aligned : [];
  for (const [toA, toB] of rest === "nothing" ? [] : [...fences, [a.length, b.length] as Match]) {
    const left = range(fromA, toA).filter((i) => !usedA.has(i));
    const right = range(fromB, toB).filter((j) => !usedB.has(j));
    pairs.push(...pairAlike(left, right, alike));
    [fromA, fromB] = [toA + 1, toB + 1];
  }
  pairs.sort(([i], [j]) => i - j);
  const [pairedA, pairedB] = [new Set(pairs.map(([i]) => i)), new Set(pairs.map(([, j]) => j))];
  return {
    pairs,
    removed: range(0, a.length).filter((i) => !pairedA.has(i)),
    added: range(0, b.length).filter((j) => !pairedB.has(j)),
    moved: rest === "order" ? movedOf(pairs) : new Set(),
  };
}

/** Equal values that stand at other places than those that were aligned. */
function sameElsewhere(a: readonly number[], b: readonly number[], aligned: readonly Match[]): Match[] {
  const [usedA, usedB] = [new Set(aligned.map(([i]) => i)), new Set(aligned.map(([, j]) => j))];
  const places = new Map<number, number[]>();
  b.forEach((id, j) => {
    if (usedB.has(j)) return;
    const known = places.get(id);
    if (known === undefined) places.set(id, [j]);
    else known.push(j);
  });
  for (const known of places.values()) known.reverse();
  return a.flatMap((id, i): Match[] => {
    const j = usedA.has(i) ? undefined : places.get(id)?.pop();
    return j === undefined ? [] : [[i, j]];
  });
}

/** The fewest pairs that have to move for the rest to be in order. */
export function movedOf(pairs: readonly Match[]): ReadonlySet<Match> {
  const kept = longestRising(pairs.map(([, j]) => j));
  return new Set(pairs.filter((_, at) => !kept.has(at)));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
