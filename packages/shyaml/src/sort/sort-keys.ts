import { CST, Parser } from "yaml";
import { arranged, type Slice, slicesOf } from "./block.ts";
import { rearranged } from "./flow.ts";
import { type KeyOrder, keyOrder, type Mark, Marks, ordered } from "./order.ts";
import { type BlockMapping, type Entry, type FlowMapping, type Mapping, mappingsOf } from "./tree.ts";

export interface SortOptions {
  /** Keys that come before all others, in this order, in every mapping. Default: none. */
  readonly first?: readonly string[];
}

/** Something that whoever sorts may want to know. */
export interface SortNote {
  /** Offset in the source. */
  readonly offset: number;
  readonly text: string;
}

export interface Sorted {
  readonly text: string;
  /** Entries that stood where they are not to, each with the key it now stands behind or before. */
  readonly moved: readonly SortNote[];
  /** What could not stand where its key would have it. */
  readonly notes: readonly SortNote[];
}

/**
 * Sorts the keys of every mapping of every document by moving pieces of the source: no value is printed anew, so that
 * nothing changes but the order. Comments above a key and behind it move with it, and so do blank lines. Anchors stay
 * before their aliases.
 *
 * `source` has to be valid; that the result says the same is for the caller to see (`sameData`).
 */
export function sortKeys(source: string, { first = [] }: SortOptions = {}): Sorted {
  const sorting = new Sorting(source, keyOrder(first));
  let text = "";
  let at = 0;
  for (const token of new Parser().parse(source)) {
    if (token.type !== "document") continue;
    sorting.marks = new Marks(marksIn(token));
    const [replaced, until] = sorting.within(mappingsOf(token), at, source.length, at);
    text += replaced;
    at = until;
  }
  return { text: text + source.slice(at), moved: sorting.moved, notes: sorting.notes };
}

class Sorting {
  readonly #source: string;
  readonly #order: KeyOrder;
  readonly moved: SortNote[] = [];
  readonly notes: SortNote[] = [];
  marks = new Marks([]);

  constructor(source: string, order: KeyOrder) {
    this.#source = source;
    this.#order = order;
  }

  /**
   * The source from `from` on with these mappings sorted, as far as the last of them reaches.
   * @param floor Offset before which no comment belongs to a mapping.
   */
  within(
    mappings: readonly Mapping[],
    from: number,
    to: number,
    floor: number,
  ): [text: string, until: number] {
    let text = "";
    let at = from;
    for (const mapping of mappings) {
      if (mapping.entries.length === 0) continue;
      const [start, sorted, end] =
        mapping.style === "block" ? this.#block(mapping, Math.max(at, floor)) : this.#flow(mapping);
      text += this.#source.slice(at, start) + sorted;
      at = Math.min(end, to);
    }
    return [text, at];
  }

  #block(mapping: BlockMapping, floor: number): [start: number, text: string, end: number] {
    const slices = slicesOf(this.#source, mapping, floor);
    const first = slices[0]!;
    const start = first.from - first.indent.length - first.lead.length - first.blank.length;
    const end = slices.at(-1)!.to;
    const body = ({ entry, from, to }: Slice) => this.#replaced(entry.mappings, from, to);
    const order = this.#arrange(mapping.entries);
    const text = order && arranged(slices, order, mapping.indent, body);
    if (order !== undefined && text === undefined) this.#leave(mapping);
    return [
      start,
      text ?? slices.map((slice) => slice.blank + slice.lead + slice.indent + body(slice)).join(""),
      end,
    ];
  }

  #flow(mapping: FlowMapping): [start: number, text: string, end: number] {
    const { entries, start, end } = mapping;
    const order = this.#arrange(entries);
    const texts = entries.map((entry) => this.#replaced(entry.mappings, entry.start, entry.end));
    const text = order && rearranged(this.#source, mapping, order, texts);
    if (order !== undefined && text === undefined) this.#leave(mapping);
    if (text !== undefined) return [start, text, end];
    let kept = "";
    let at = start;
    for (const [i, entry] of entries.entries()) {
      kept += this.#source.slice(at, entry.start) + texts[i];
      at = entry.end;
    }
    return [start, kept + this.#source.slice(at, end), end];
  }

  #replaced(mappings: readonly Mapping[], from: number, to: number): string {
    const [text, until] = this.within(mappings, from, to, from);
    return text + this.#source.slice(until, to);
  }

  /** The order of a mapping's entries, if it is not the one they have. */
  #arrange(entries: readonly Entry[]): readonly number[] | undefined {
    const { order, held } = ordered(entries, this.#order, this.marks);
    if (held) {
      this.notes.push({
        offset: entries[0]!.start,
        text: "anchors stay before their aliases, so not all keys are in order",
      });
    }
    const wrong = order.findIndex((entry, slot) => entry !== slot);
    if (wrong < 0) return undefined;
    const [now, then] = [entries[wrong]!, entries[order[wrong]!]!];
    this.moved.push({ offset: now.start, text: `${quoted(then)} belongs before ${quoted(now)}` });
    return order;
  }

  #leave(mapping: Mapping): void {
    this.moved.pop();
    this.notes.push({
      offset: mapping.entries[0]!.start,
      text: "keys are left as they are, since comments among them could not move along",
    });
  }
}

const quoted = ({ key }: Entry): string =>
  JSON.stringify(key.text.length > 60 ? `${key.text.slice(0, 60)}…` : key.text);

/** The anchors and aliases of a document, those in keys too. */
function marksIn(document: CST.Document): Mark[] {
  const marks: Mark[] = [];
  const see = (token: CST.Token | null | undefined) => {
    if (token?.type === "anchor")
      marks.push({ offset: token.offset, name: token.source.slice(1), isAnchor: true });
    if (token?.type === "alias")
      marks.push({ offset: token.offset, name: token.source.slice(1), isAnchor: false });
    if (token?.type === "block-scalar") token.props.forEach(see);
  };
  CST.visit(document, ({ start, key, sep, value }) => {
    start.forEach(see);
    see(key);
    sep?.forEach(see);
    see(value);
  });
  return marks.sort((one, other) => one.offset - other.offset);
}
