import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  Scalar,
} from "yaml";
import type { ShyamlErrorCode } from "../errors.ts";
import type { Limits } from "../limits.ts";
import type { DataNode, Entry, Item, MapNode, ScalarNode, Source, YamlDocument } from "./node.ts";
import { decimalOf } from "./number.ts";

type Fail = (code: ShyamlErrorCode, detail: string, offset: number) => never;

/** Tags that say no more than the value's type does. */
const PLAIN_TAG = /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq))$/;
/** Up to this many keys a search is quicker than a set. */
const FEW_KEYS = 8;

/** What a key is told from others by: its type and value, so that `1` and `"1"` are two keys. */
export function keyIdOf(key: DataNode): string {
  if (key.kind === "scalar") return `${key.tag ?? ""}${key.type === "string" ? "=" : key.type}${key.value}`;
  if (key.kind === "list") return `[${key.items.map(({ node }) => JSON.stringify(keyIdOf(node))).join()}]`;
  const entries = key.entries.map((entry) => JSON.stringify([keyIdOf(entry.key), keyIdOf(entry.node)]));
  return `{${entries.sort().join()}}`;
}

/** The entries of a map by their keys' ids. Of several with one id, which only collections may be, the later ones are numbered. */
export function entriesById({ entries }: MapNode): Map<string, Entry> {
  const byId = new Map<string, Entry>();
  for (const entry of entries) {
    let id = keyIdOf(entry.key);
    while (byId.has(id)) id += "+";
    byId.set(id, entry);
  }
  return byId;
}

/**
 * Makes nodes of the library's, of all documents of one input. Aliases become what they stand for and `<<` is merged;
 * the tree shares what aliases share, and its weight is counted as if it did not.
 */
export class Converter {
  readonly #isYaml11: boolean;
  readonly #keepsComments: boolean;
  readonly #limits: Limits;
  readonly #fail: Fail;
  readonly #place: (offset: number) => { line: number; column: number };
  /** What each anchor stands for; undefined while that is being read. */
  #anchors = new Map<string, { node: DataNode | undefined; weight: number }>();
  /** Values so far, aliases counted in full. */
  #weight = 0;

  constructor(
    options: { readonly yaml11?: boolean; readonly comments?: boolean },
    limits: Limits,
    fail: Fail,
    place: (offset: number) => { line: number; column: number },
  ) {
    this.#isYaml11 = options.yaml11 === true;
    this.#keepsComments = options.comments === true;
    this.#limits = limits;
    this.#fail = fail;
    this.#place = place;
  }

  /** @returns Undefined for what ends before it began: two marks of an end with nothing between them. */
  document(document: Document.Parsed<ParsedNode>, source: Source, index: number): YamlDocument | undefined {
    this.#anchors = new Map();
    const { contents } = document;
    const root = this.#node(contents, document.range?.[0] ?? 0, 0);
    const isEmpty =
      contents === null ||
      (isScalar(contents) && contents.range[0] === contents.range[1] && contents.anchor === undefined);
    if (isEmpty && document.directives.docStart !== true) return undefined;
    const comment = this.#comment(document.commentBefore, document.comment);
    return { source, index, root, isEmpty, ...comment };
  }

  #comment(...parts: readonly (string | null | undefined)[]): { comment?: string } {
    if (!this.#keepsComments) return {};
    const lines = parts.flatMap((part) => (part ? part.split("\n").map((line) => line.trim()) : []));
    const text = lines.filter((line) => line !== "").join("\n");
    return text === "" ? {} : { comment: text };
  }

  #node(value: unknown, offset: number, depth: number): DataNode {
    if (isAlias(value)) {
      const anchor = this.#anchors.get(value.source);
      const start = value.range?.[0] ?? offset;
      if (anchor === undefined)
        return this.#fail("YAML_INVALID", `no anchor &${value.source} stands before its alias`, start);
      if (anchor.node === undefined)
        return this.#fail("ALIAS_RECURSIVE", `*${value.source} stands inside of what it stands for`, start);
      this.#weigh(anchor.weight, start);
      return anchor.node;
    }
    const { anchor, range } = (value ?? {}) as ParsedNode & { anchor?: string };
    const start = range?.[0] ?? offset;
    const before = this.#weight;
    this.#weigh(1, start);
    const entry = { node: undefined as DataNode | undefined, weight: 0 };
    if (anchor !== undefined) this.#anchors.set(anchor, entry);
    const node = this.#value(value, start, depth);
    entry.node = node;
    entry.weight = this.#weight - before;
    return node;
  }

  #weigh(weight: number, offset: number): void {
    this.#weight += weight;
    if (this.#weight > this.#limits.maxNodes)
      this.#fail(
        "LIMIT_EXCEEDED",
        `more than ${this.#limits.maxNodes} values, aliases as they expand`,
        offset,
      );
  }

  #value(value: unknown, start: number, depth: number): DataNode {
    if (isScalar(value)) return this.#scalar(value, start);
    const { maxDepth } = this.#limits;
    if (value !== null && depth >= maxDepth)
      return this.#fail("LIMIT_EXCEEDED", `collections stand more than ${maxDepth} deep`, start);
    if (isMap(value)) {
      const tag = tagOf(value.tag);
      return { kind: "map", entries: this.#entries(value.items as Pair[], start, depth), start, ...tag };
    }
    if (isSeq(value)) {
      const items = (value.items as unknown[]).map((item): Item => {
        // Of an `!!omap`.
        if (isPair(item))
          return { node: { kind: "map", entries: this.#entries([item], start, depth + 1), start } };
        const { commentBefore, comment } = (item ?? {}) as Scalar;
        const node = this.#node(item, start, depth + 1);
        return this.#keepsComments ? { node, ...this.#comment(commentBefore, comment) } : { node };
      });
      return { kind: "list", items, start, ...tagOf(value.tag) };
    }
    return { kind: "scalar", type: "null", text: "null", value: "", start };
  }

  #entries(pairs: readonly Pair[], start: number, depth: number): Entry[] {
    const entries: Entry[] = [];
    const merged: { at: number; node: DataNode; offset: number }[] = [];
    const ids: string[] = [];
    const known = pairs.length > FEW_KEYS ? new Map<string, number>() : undefined;
    for (const pair of pairs) {
      const key = this.#node(pair.key, start, depth + 1);
      const node = this.#node(pair.value, key.start, depth + 1);
      if (isMergeKey(pair.key) && isMergeable(node)) {
        merged.push({ at: entries.length, node, offset: key.start });
        continue;
      }
      const id = keyIdOf(key);
      const at = known === undefined ? ids.indexOf(id) : (known.get(id) ?? -1);
      // Of keys that are collections YAML's own test suite has two that are equal.
      if (at >= 0 && key.kind === "scalar")
        this.#duplicate(entries[at]!.key as ScalarNode, pair.key as ParsedNode | null, key.start);
      if (known === undefined) ids.push(id);
      else known.set(id, entries.length);
      if (!this.#keepsComments) entries.push({ key, node });
      else {
        const of = pair.key as Scalar | null;
        const to = pair.value as Scalar | null;
        const comment = this.#comment(of?.commentBefore, of?.comment, to?.commentBefore, to?.comment);
        entries.push({ key, node, ...comment });
      }
    }
    return merged.length === 0 ? entries : this.#merge(entries, merged);
  }

  #duplicate(first: ScalarNode, again: ParsedNode | null, start: number): never {
    const { line, column } = this.#place(first.start);
    const offset = again?.range?.[0] ?? start;
    return this.#fail(
      "KEY_DUPLICATE",
      `key ${JSON.stringify(first.text)} stands here again, first at line ${line}, column ${column}`,
      offset,
    );
  }

  /** The map's own keys come first, then those of the merged maps, the earlier one first. */
  #merge(own: readonly Entry[], merged: readonly { at: number; node: DataNode; offset: number }[]): Entry[] {
    const known = new Set(own.map(({ key }) => keyIdOf(key)));
    const entries: Entry[] = [];
    let at = 0;
    for (const merge of merged) {
      entries.push(...own.slice(at, merge.at));
      at = merge.at;
      const maps = merge.node.kind === "list" ? merge.node.items.map(({ node }) => node) : [merge.node];
      for (const map of maps) {
        if (map.kind !== "map") continue;
        for (const entry of map.entries) {
          const id = keyIdOf(entry.key);
          if (known.has(id)) continue;
          known.add(id);
          entries.push(entry);
        }
      }
    }
    return [...entries, ...own.slice(at)];
  }

  #scalar(scalar: Scalar, start: number): ScalarNode {
    const { value } = scalar;
    const source = scalar.source ?? "";
    const tag = tagOf(scalar.tag);
    const make = (type: ScalarNode["type"], text: string, canonical: string): ScalarNode => ({
      kind: "scalar",
      type,
      text,
      value: canonical,
      start,
      ...tag,
    });
    if (typeof value === "string") return make("string", value, value);
    if (value === null) return make("null", source === "" ? "null" : source, "");
    if (typeof value === "boolean") return make("bool", source, String(value));
    // Kubernetes' reader leaves numbers to the base of 60, such as 22:00, to YAML 1.1.
    const isText = this.#isYaml11 && source.includes(":");
    if ((typeof value === "bigint" || typeof value === "number") && !isText) {
      const text = this.#isYaml11 ? yaml11Number(source, value) : source;
      return make("number", text, decimalOf(text));
    }
    // `<<` as an ordinary key, `!!binary`, and dates and times of YAML 1.1.
    return make("string", source, source);
  }
}

/** A number of YAML 1.1 (`0777`, `1_000`) as YAML 1.2 has it. */
function yaml11Number(source: string, value: bigint | number): string {
  if (/^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$/.test(source)) return source;
  if (typeof value === "number" && !Number.isFinite(value)) return source;
  if (typeof value === "number" && /^[-+]?[0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?$/.test(source))
    return source.replaceAll("_", "");
  return String(value);
}

function tagOf(tag: string | undefined): { tag?: string } {
  if (tag === undefined || PLAIN_TAG.test(tag)) return {};
  return { tag: tag.replace(/^tag:yaml\.org,2002:/, "!!") };
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.source === "<<" && key.tag === undefined;
}

function isMergeable(node: DataNode): boolean {
  if (node.kind === "map") return true;
  return (
    node.kind === "list" && node.items.length > 0 && node.items.every(({ node: { kind } }) => kind === "map")
  );
}
