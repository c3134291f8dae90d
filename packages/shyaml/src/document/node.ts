/*
 * Documents as they are compared: values with their text and their place, without the style they are written in.
 * An alias is the very node of its anchor, so a tree may share parts; the loader sees to it that it has no cycles.
 */

/** A number keeps its text, so that nothing is lost of it; `-0`, `1e3` and `0x1F` are numbers as well. */
export type ScalarType = "null" | "bool" | "number" | "string";

export interface ScalarNode {
  readonly kind: "scalar";
  readonly type: ScalarType;
  /** A string's value; of the other types the text in the source. */
  readonly text: string;
  /** The value of a number as a decimal number in its only form; see `decimalOf`. Of a bool `true` or `false`. */
  readonly value: string;
  readonly tag?: string;
  /** Offset in the source. */
  readonly start: number;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly Item[];
  readonly tag?: string;
  readonly start: number;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: readonly Entry[];
  readonly tag?: string;
  readonly start: number;
}

export type DataNode = ScalarNode | ListNode | MapNode;

/** An item of a list. */
export interface Item {
  readonly node: DataNode;
  /** Lines of comments before and behind it. Only where comments were asked for. */
  readonly comment?: string;
}

/** A key of a map with its value. */
export interface Entry {
  readonly key: DataNode;
  readonly node: DataNode;
  readonly comment?: string;
}

/** One document of an input. */
export interface YamlDocument {
  readonly source: Source;
  /** Its number in the input, from 0. */
  readonly index: number;
  readonly root: DataNode;
  /** Whether anything stands in it; an empty document is null. */
  readonly isEmpty: boolean;
  /** Comments that belong to no value. */
  readonly comment?: string;
}

/** An input, and where its lines begin. */
export interface Source {
  readonly name: string;
  readonly lineStarts: readonly number[];
}

/** A loaded input. */
export interface LoadedFile {
  readonly source: Source;
  readonly documents: readonly YamlDocument[];
}

/** Line and column of an offset, from 1. */
export function placeOf(source: Source, offset: number): { file: string; line: number; column: number } {
  const { lineStarts } = source;
  let low = 0;
  let high = lineStarts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (lineStarts[middle]! <= offset) low = middle;
    else high = middle;
  }
  return { file: source.name, line: low + 1, column: offset - (lineStarts[low] ?? 0) + 1 };
}

/** The value of a key. Only of keys that are strings. */
export function valueAt(node: DataNode | undefined, key: string): DataNode | undefined {
  if (node?.kind !== "map") return undefined;
  for (const entry of node.entries) {
    if (entry.key.kind === "scalar" && entry.key.type === "string" && entry.key.text === key)
      return entry.node;
  }
  return undefined;
}

/** The text at a path of keys, where a string is. */
export function stringAt(node: DataNode | undefined, ...keys: readonly string[]): string | undefined {
  let at = node;
  for (const key of keys) at = valueAt(at, key);
  return at?.kind === "scalar" && at.type === "string" ? at.text : undefined;
}

export function isNull(node: DataNode): boolean {
  return node.kind === "scalar" && node.type === "null";
}

/** Whether it is a map or a list in which nothing stands. */
export function isEmptyCollection(node: DataNode): boolean {
  if (node.kind === "scalar") return false;
  return (node.kind === "map" ? node.entries : node.items).length === 0;
}
