import { entriesById, keyIdOf } from "../document/convert.ts";
import {
  type DataNode,
  type Entry,
  type Item,
  isNull,
  type ListNode,
  type MapNode,
} from "../document/node.ts";
import { sameQuantity } from "../kube/quantity.ts";
import { fieldShape, itemShape, type Shape, UNKNOWN } from "../kube/shape.ts";
import type { Match } from "./align.ts";
import type { Change, Side } from "./change.ts";
import { fieldAt, type Matching, type MatchingOptions, matchItems } from "./items.ts";
import type { Path, Segment } from "./path.ts";
import { generalPathText } from "./path.ts";

export interface ChangeOptions extends MatchingOptions {
  /** Reports comments that differ. */
  readonly comments?: boolean;
  /** Quantities at places that hold them are compared by what they are worth: `1000m` is `1`. */
  readonly quantities?: boolean;
}

/** How the items of a list were paired, where nothing but their values said so. */
export interface Guess {
  /** The list's, without what tells items apart: that may be secret, and all of one kind are one guess. */
  readonly path: string;
  readonly fields: readonly string[];
}

/** Among as many pairs as this a few that moved are told one by one; else the list's order is told as one change. */
const MAX_MOVES_TOLD = 3;

/** What differs between two values. */
export class ChangeFinder {
  readonly changes: Change[] = [];
  readonly guesses: Guess[] = [];
  readonly #options: ChangeOptions;

  constructor(options: ChangeOptions) {
    this.#options = options;
  }

  /** @param shape What is known of the place. */
  compare(before: Side, after: Side, path: Path = [], shape: Shape = UNKNOWN): void {
    const { interner, quantities } = this.#options;
    const [a, b] = [before.node, after.node];
    if (interner.idOf(a) === interner.idOf(b)) return;
    if (a.kind === "map" && b.kind === "map" && a.tag === b.tag) this.#maps(a, b, path, shape);
    else if (a.kind === "list" && b.kind === "list" && a.tag === b.tag)
      this.#lists(a, b, before, after, path, shape);
    else {
      const isSame =
        quantities === true && shape.quantity === true && sameQuantity(quantityOf(a), quantityOf(b));
      if (!isSame) this.changes.push({ kind: isOfOneType(a, b) ? "modified" : "type", path, before, after });
    }
  }

  #maps(before: MapNode, after: MapNode, path: Path, shape: Shape): void {
    const others = entriesById(after);
    for (const [id, entry] of entriesById(before)) {
      const other = others.get(id);
      const name = nameOf(entry.key);
      const at: Path = [...path, { kind: "key", name }];
      if (other === undefined) this.changes.push({ kind: "removed", path: at, before: sideOf(entry) });
      else {
        others.delete(id);
        this.#comments(entry, other, sideOf(entry), sideOf(other), at);
        this.compare(sideOf(entry), sideOf(other), at, fieldShape(shape, name));
      }
    }
    for (const entry of others.values()) {
      this.changes.push({
        kind: "added",
        path: [...path, { kind: "key", name: nameOf(entry.key) }],
        after: sideOf(entry),
      });
    }
  }

  #lists(a: ListNode, b: ListNode, before: Side, after: Side, path: Path, shape: Shape): void {
    const matching = matchItems(a, b, shape, this.#options);
    const { pairs, removed, added, moved, fields, isGuess } = matching;
    if (isGuess === true) this.guesses.push({ path: generalPathText(path), fields: fields! });
    const segment = (places: { before?: number; after?: number }): Path => [
      ...path,
      itemSegment(a, b, fields, places),
    ];
    const tellsOrder = moved.size > MAX_MOVES_TOLD || (moved.size > 1 && moved.size * 2 >= pairs.length);
    if (tellsOrder) {
      const order = {
        before: labels(
          a,
          pairs.map(([i]) => i),
          fields,
        ),
        after: afterOrder(b, matching),
      };
      this.changes.push({ kind: "order", path, before, after, order });
    }
    for (const i of removed) {
      this.changes.push({ kind: "removed", path: segment({ before: i }), before: itemSide(a.items[i]!) });
    }
    for (const pair of pairs) {
      const [i, j] = pair;
      const [one, other] = [a.items[i]!, b.items[j]!];
      const at = segment({ before: i, after: j });
      const sides: [Side, Side] = [itemSide(one), itemSide(other)];
      if (moved.has(pair) && !tellsOrder)
        this.changes.push({ kind: "moved", path: at, before: sides[0], after: sides[1] });
      this.#comments(one, other, ...sides, at);
      this.compare(...sides, at, itemShape(shape));
    }
    for (const j of added) {
      this.changes.push({ kind: "added", path: segment({ after: j }), after: itemSide(b.items[j]!) });
    }
  }

  #comments(one: Item, other: Item, before: Side, after: Side, path: Path): void {
    if (this.#options.comments !== true || one.comment === other.comment) return;
    const comments = { before: one.comment, after: other.comment };
    this.changes.push({ kind: "comment", path, before, after, comments });
  }
}

function sideOf({ key, node }: Entry): Side {
  return { node, start: key.start };
}

function itemSide({ node }: Item): Side {
  return { node, start: node.start };
}

/** A key as paths show it. */
export function nameOf(key: DataNode): string {
  if (key.kind !== "scalar") return keyIdOf(key);
  return key.type === "null" ? "null" : key.text;
}

function itemSegment(
  a: ListNode,
  b: ListNode,
  fields: readonly string[] | undefined,
  places: { before?: number; after?: number },
): Segment {
  if (fields === undefined) return { kind: "item", ...places };
  const node = places.before === undefined ? b.items[places.after!]!.node : a.items[places.before]!.node;
  const match = fields.flatMap((field): [string, string][] => {
    const value = fieldAt(node, field);
    // One of several fields that is null is as if it were not there.
    if (value?.kind !== "scalar" || (isNull(value) && fields.length > 1)) return [];
    return [[field, value.text]];
  });
  return { kind: "item", ...places, match };
}

function labels(list: ListNode, places: readonly number[], fields: readonly string[] | undefined): string[] {
  return places.map((place) => {
    const { node } = list.items[place]!;
    if (fields === undefined) return node.kind === "scalar" ? node.text : `[${place}]`;
    const values = fields.map((field) => fieldAt(node, field));
    return values.flatMap((value) => (value?.kind === "scalar" ? [value.text] : [])).join("/");
  });
}

function afterOrder(list: ListNode, { pairs, fields }: Matching): string[] {
  const places = pairs.map(([, j]: Match) => j).sort((i, j) => i - j);
  return labels(list, places, fields);
}

function isOfOneType(a: DataNode, b: DataNode): boolean {
  if (a.tag !== b.tag || a.kind !== b.kind) return false;
  return a.kind !== "scalar" || b.kind !== "scalar" || a.type === b.type;
}

function quantityOf(node: DataNode): string | undefined {
  return node.kind === "scalar" && (node.type === "string" || node.type === "number") ? node.text : undefined;
}
