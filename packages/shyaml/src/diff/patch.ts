import { keyIdOf } from "../document/convert.ts";
import type { DataNode, ListNode, MapNode } from "../document/node.ts";
import { fieldShape, itemShape, type Shape, UNKNOWN } from "../kube/shape.ts";
import { jsonKey } from "../render/json-text.ts";
import { Interner } from "./interner.ts";
import { type MatchingOptions, matchItems, movedOf } from "./items.ts";
import { escapePointer } from "./path.ts";

/** An operation of RFC 6902. */
export type PatchOperation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: DataNode }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move"; readonly from: string; readonly path: string };

/**
 * The JSON Patch (RFC 6902) that makes `after` of `before`, the order of lists included. It is applied and its result
 * compared before it is returned. Both are in the form of `jsonForm`.
 */
export function patchOf(
  before: DataNode,
  after: DataNode,
  options: Omit<MatchingOptions, "interner" | "ignoreOrder"> = {},
  shape: Shape = UNKNOWN,
): PatchOperation[] {
  const interner = new Interner();
  const writer = new PatchWriter({ ...options, interner });
  writer.compare(before, after, "", shape);
  if (interner.idOf(applyPatch(before, writer.operations)) !== interner.idOf(after))
    throw new Error("the patch does not make the second document of the first");
  return writer.operations;
}

class PatchWriter {
  readonly operations: PatchOperation[] = [];
  readonly #options: MatchingOptions;

  constructor(options: MatchingOptions) {
    this.#options = options;
  }

  compare(before: DataNode, after: DataNode, path: string, shape: Shape): void {
    const { interner } = this.#options;
    if (interner.idOf(before) === interner.idOf(after)) return;
    if (before.kind === "map" && after.kind === "map" && before.tag === after.tag)
      this.#maps(before, after, path, shape);
    else if (before.kind === "list" && after.kind === "list" && before.tag === after.tag)
      this.#lists(before, after, path, shape);
    else this.operations.push({ op: "replace", path, value: after });
  }

  #maps(before: MapNode, after: MapNode, path: string, shape: Shape): void {
    const others = new Map(after.entries.map((entry) => [keyIdOf(entry.key), entry]));
    const kept = before.entries.filter(({ key }) => others.has(keyIdOf(key)));
    for (const { key } of before.entries) {
      if (!others.has(keyIdOf(key))) this.operations.push({ op: "remove", path: memberOf(path, key) });
    }
    for (const { key, node } of kept) {
      const other = others.get(keyIdOf(key))!;
      others.delete(keyIdOf(key));
      this.compare(node, other.node, memberOf(path, key), fieldShape(shape, jsonKey(key, path, {})));
    }
    for (const { key, node } of others.values())
      this.operations.push({ op: "add", path: memberOf(path, key), value: node });
  }

  /** Removes from the end, then puts each item before its successor, from the end as well. */
  #lists(before: ListNode, after: ListNode, path: string, shape: Shape): void {
    const { pairs, removed } = matchItems(before, after, shape, this.#options);
    // The places that items of `after` have at this moment; an item that is not there yet has none.
    const gone = new Set(removed);
    const target = new Map(pairs.map(([i, j]) => [i, j]));
    const working = before.items.flatMap((_, i) => (gone.has(i) ? [] : [target.get(i)!]));
    for (const i of [...removed].sort((a, b) => b - a))
      this.operations.push({ op: "remove", path: `${path}/${i}` });
    // Not those that the matching names: in a set order means nothing to a reader, but the result is to be equal.
    const moves = new Set([...movedOf(pairs)].map(([, j]) => j));
    const present = new Set(working);
    for (let j = after.items.length - 1; j >= 0; j--) {
      const isNew = !present.has(j);
      if (!isNew && !moves.has(j)) continue;
      if (!isNew) {
        const from = working.indexOf(j);
        working.splice(from, 1);
        const to = successor(working, j, after.items.length);
        working.splice(to, 0, j);
        if (from !== to) this.operations.push({ op: "move", from: `${path}/${from}`, path: `${path}/${to}` });
      } else {
        const to = successor(working, j, after.items.length);
        working.splice(to, 0, j);
        this.operations.push({ op: "add", path: `${path}/${to}`, value: after.items[j]!.node });
      }
    }
    for (const [i, j] of pairs) {
      this.compare(before.items[i]!.node, after.items[j]!.node, `${path}/${j}`, itemShape(shape));
    }
  }
}

/** Where the item behind `j` stands. */
function successor(working: readonly number[], j: number, length: number): number {
  return j + 1 === length ? working.length : working.indexOf(j + 1);
}

function memberOf(path: string, key: DataNode): string {
  return `${path}/${escapePointer(jsonKey(key, path, {}))}`;
}

/** Applies a patch as RFC 6902 says; nodes of `root` stay as they are. */
export function applyPatch(root: DataNode, operations: readonly PatchOperation[]): DataNode {
  let result = thawed(root);
  for (const operation of operations) {
    if (operation.op === "move") {
      const node = take(result, operation.from);
      put(result, operation.path, node, false);
    } else if (operation.op === "remove") take(result, operation.path);
    else if (operation.path === "") result = thawed(operation.value);
    else put(result, operation.path, thawed(operation.value), operation.op === "replace");
  }
  return result;
}

/** A copy that may be changed, and shares nothing. */
function thawed(node: DataNode): DataNode {
  if (node.kind === "list")
    return { ...node, items: node.items.map((item) => ({ node: thawed(item.node) })) };
  if (node.kind === "map") {
    return { ...node, entries: node.entries.map((entry) => ({ key: entry.key, node: thawed(entry.node) })) };
  }
  return node;
}

function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The collection that a pointer's last step is about. */
function parentOf(root: DataNode, pointer: string): { parent: DataNode; last: string } {
  const path = steps(pointer);
  const last = path.pop();
  if (last === undefined) throw new Error("a patch cannot remove or move a document");
  let parent = root;
  for (const step of path) {
    const next =
      parent.kind === "list"
        ? parent.items[Number(step)]?.node
        : entriesOf(parent)[entryAt(parent, step)]?.node;
    if (next === undefined) throw new Error(`nothing is at ${pointer}`);
    parent = next;
  }
  return { parent, last };
}

function entriesOf(node: DataNode): { key: DataNode; node: DataNode }[] {
  return node.kind === "map" ? (node.entries as { key: DataNode; node: DataNode }[]) : [];
}

function entryAt(node: DataNode, name: string): number {
  return entriesOf(node).findIndex(({ key }) => key.kind === "scalar" && jsonKey(key, "", {}) === name);
}

/** Takes out what is at a pointer. */
function take(root: DataNode, pointer: string): DataNode {
  const { parent, last } = parentOf(root, pointer);
  const entries = parent.kind === "list" ? (parent.items as { node: DataNode }[]) : entriesOf(parent);
  const [taken] = entries.splice(parent.kind === "list" ? Number(last) : entryAt(parent, last), 1);
  if (taken === undefined) throw new Error(`nothing is at ${pointer}`);
  return taken.node;
}

function put(root: DataNode, pointer: string, node: DataNode, replaces: boolean): void {
  const { parent, last } = parentOf(root, pointer);
  if (parent.kind === "list") {
    const at = last === "-" ? parent.items.length : Number(last);
    (parent.items as { node: DataNode }[]).splice(at, replaces ? 1 : 0, { node });
    return;
  }
  const entries = entriesOf(parent);
  const at = entryAt(parent, last);
  if (at >= 0) entries[at] = { key: entries[at]!.key, node };
  else {
    const key: DataNode = { kind: "scalar", type: "string", text: last, value: last, start: 0 };
    entries.push({ key, node });
  }
}
