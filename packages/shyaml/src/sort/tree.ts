import { CST } from "yaml";

/*
 * What of a document can be sorted: its mappings, with where their entries stand in the source. Offsets end before what
 * they name.
 */

export interface Entry {
  /** Where the key begins, with its anchor, its tag or `?`. */
  readonly start: number;
  /** Where the value ends, without what trails it on its line. */
  readonly end: number;
  readonly key: Key;
  /** Whether blank lines behind it would become part of its value, as they do behind `|+`. */
  readonly keepsBlankLines: boolean;
  /** The mappings of its value that are in no other mapping of it. */
  readonly mappings: readonly Mapping[];
}

export interface BlockMapping {
  readonly style: "block";
  /** Spaces before its keys. */
  readonly indent: number;
  readonly entries: readonly Entry[];
}

export interface FlowMapping {
  readonly style: "flow";
  readonly entries: readonly Entry[];
  /** Where it begins behind its brace, and ends before the other. */
  readonly start: number;
  readonly end: number;
}

export type Mapping = BlockMapping | FlowMapping;

/** A key as it is ordered. */
export interface Key {
  /** Its value; of a key that is no scalar its source. */
  readonly text: string;
  /** Set where it is a plain whole number. */
  readonly number?: bigint;
}

/** The outermost mappings of a document, in the order of the source. */
export function mappingsOf(document: CST.Document): Mapping[] {
  return mappingsIn(document.value);
}

/** The outermost mappings of a value. A stack instead of recursion, for values are as deep as they like to be. */
function mappingsIn(value: CST.Token | null | undefined): Mapping[] {
  const found: Mapping[] = [];
  const pending = [value];
  while (pending.length > 0) {
    const token = pending.pop();
    if (token?.type === "block-map") found.push(blockMapping(token));
    else if (token?.type === "flow-collection" && token.start.type === "flow-map-start") {
      found.push(flowMapping(token));
    } else if (token?.type === "block-seq" || token?.type === "flow-collection") {
      for (const item of token.items.toReversed()) pending.push(item.value);
    }
  }
  return found;
}

function blockMapping(token: CST.BlockMap): BlockMapping {
  const entries = token.items.filter(isEntry).map(entryOf);
  return { style: "block", indent: token.indent, entries };
}

function flowMapping(token: CST.FlowCollection): FlowMapping {
  const entries = token.items.filter(isEntry).map(entryOf);
  const start = token.start.offset + 1;
  return { style: "flow", entries, start, end: token.end[0]?.offset ?? start };
}

function isTrivia(token: CST.SourceToken): boolean {
  return token.type === "space" || token.type === "comment" || token.type === "newline";
}

function lastCore(tokens: readonly CST.SourceToken[]): number {
  return tokens.findLastIndex((token) => !isTrivia(token));
}

/** Besides entries a mapping in the tree holds what stands between and behind them. */
function isEntry(item: CST.CollectionItem): boolean {
  const hasCore = item.start.some((token) => !isTrivia(token) && token.type !== "comma");
  return hasCore || item.key !== undefined || (item.sep !== undefined && item.sep.length > 0);
}

function entryOf(item: CST.CollectionItem): Entry {
  const core = item.start.find((token) => !isTrivia(token) && token.type !== "comma");
  const start = core?.offset ?? item.key?.offset ?? item.sep![0]!.offset;
  const { value } = item;
  return {
    start,
    end: endOf(item) ?? start,
    key: keyOf(item.key),
    keepsBlankLines: keepsBlankLines(value),
    mappings: mappingsIn(value),
  };
}

/** Where the last of an item that is no blank and no comment ends. */
function endOf(item: CST.CollectionItem): number | undefined {
  const { start, key, sep = [], value } = item;
  const inValue = value && valueEnd(value);
  if (inValue !== undefined) return inValue;
  const behind = sep[lastCore(sep)];
  if (behind !== undefined) return behind.offset + behind.source.length;
  const inKey = key ? valueEnd(key) : undefined;
  if (inKey !== undefined) return inKey;
  const before = start[lastCore(start)];
  return before === undefined ? undefined : before.offset + before.source.length;
}

function valueEnd(value: CST.Token): number | undefined {
  let token: CST.Token = value;
  for (;;) {
    if (token.type === "block-map" || token.type === "block-seq") {
      const items: readonly CST.CollectionItem[] = token.items;
      const last: CST.CollectionItem | undefined = items.findLast(isEntry);
      if (last === undefined) return undefined;
      if (last.value?.type !== "block-map" && last.value?.type !== "block-seq") return endOf(last);
      token = last.value;
    } else if (token.type === "flow-collection") {
      const close = token.end[0];
      return close === undefined ? undefined : close.offset + close.source.length;
    } else if (token.type === "block-scalar") {
      const header = token.props.at(-1)!;
      return header.offset + (header as CST.SourceToken).source.length + token.source.length;
    } else {
      return "source" in token ? token.offset + token.source.length : undefined;
    }
  }
}

function keepsBlankLines(value: CST.Token | undefined): boolean {
  let token = value;
  while (token?.type === "block-map" || token?.type === "block-seq") {
    const items: readonly CST.CollectionItem[] = token.items;
    token = items.findLast(isEntry)?.value;
  }
  return (
    token?.type === "block-scalar" &&
    token.props.some((part) => part.type === "block-scalar-header" && part.source.includes("+"))
  );
}

function keyOf(token: CST.Token | null | undefined): Key {
  if (!token) return { text: "" };
  const scalar = CST.isScalar(token) ? CST.resolveAsScalar(token, false) : null;
  const text = scalar?.value ?? CST.stringify(token);
  return token.type === "scalar" && /^-?[0-9]+$/.test(text) ? { text, number: BigInt(text) } : { text };
}
