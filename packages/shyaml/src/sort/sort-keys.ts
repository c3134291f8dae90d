import { CST, Parser } from "yaml";
import { arranged, blankLinesAt, canLeadWith, type Planned, slicesOf } from "./block.ts";
import { canRearrange, gapsOf, rearranged } from "./flow.ts";
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
  const documents: CST.Document[] = [];
  for (const token of new Parser().parse(source)) if (token.type === "document") documents.push(token);
  let text = "";
  for (const [i, document] of documents.entries()) {
    sorting.marks = new Marks(marksIn(document));
    const from = i === 0 ? 0 : document.offset;
    const to = documents[i + 1]?.offset ?? source.length;
    const written = sorting.text(mappingsOf(document), from, to, -1, false).render("");
    text += written.text + written.left;
  }
  if (documents.length === 0) text = source;
  return { text, moved: sorting.moved, notes: sorting.notes };
}

/** A mapping, planned, with where it stands in the source. */
interface Part extends Planned {
  readonly start: number;
  readonly end: number;
}

class Sorting {
  readonly #source: string;
  readonly #keyOrder: KeyOrder;
  readonly moved: SortNote[] = [];
  readonly notes: SortNote[] = [];
  marks = new Marks([]);

  constructor(source: string, order: KeyOrder) {
    this.#source = source;
    this.#keyOrder = order;
  }

  /**
   * Settles the order of these mappings, and gives all of the source from `from` to `to`.
   * @param last Where the last value ends that stands in it, to see whether that is the last mapping's.
   */
  text(mappings: readonly Mapping[], from: number, to: number, last: number, isKeeping: boolean): Planned {
    const parts: Part[] = [];
    for (const mapping of mappings) {
      if (mapping.entries.length === 0) continue;
      const floor = parts.at(-1)?.end ?? from;
      parts.push(mapping.style === "block" ? this.#block(mapping, floor, to) : this.#flow(mapping));
    }
    const isTail = parts.length > 0 && mappings.at(-1)?.entries.at(-1)?.end === last;
    return {
      keepsBlankLines: isTail ? parts.at(-1)!.keepsBlankLines : isKeeping,
      render: (blankBehind) => {
        let text = "";
        let left = isTail ? "" : blankBehind;
        let at = from;
        for (const [i, part] of parts.entries()) {
          const end = parts[i + 1]?.start ?? to;
          const blank = part.keepsBlankLines ? blankLinesAt(this.#source, part.end, end) : "";
          const isEnd = isTail && i === parts.length - 1;
          const written = part.render(isEnd ? blank + blankBehind : blank);
          text += this.#source.slice(at, part.start) + written.text;
          left += written.left;
          at = part.end + blank.length;
        }
        return { text: text + this.#source.slice(at, to), left };
      },
    };
  }

  #block(mapping: BlockMapping, floor: number, to: number): Part {
    const { entries, indent } = mapping;
    const slices = slicesOf(this.#source, mapping, floor, to);
    const first = slices[0]!;
    const start = first.from - first.indent.length - first.lead.length - first.blank.length;
    const bodies = slices.map(({ entry, from, to }) =>
      this.text(entry.mappings, from, to, entry.end, entry.keepsBlankLines),
    );
    const order = this.#order(entries, (order) => canLeadWith(slices, order[0]!, indent));
    const end = slices.at(-1)!.to;
    const isOpen = end === this.#source.length && !this.#source.endsWith("\n");
    return {
      start,
      end,
      keepsBlankLines: bodies[order.at(-1)!]!.keepsBlankLines,
      render: (blankBehind) => arranged(slices, bodies, order, indent, isOpen, blankBehind),
    };
  }

  #flow(mapping: FlowMapping): Part {
    const { entries, start, end } = mapping;
    const bodies = entries.map(({ mappings, start, end }) => this.text(mappings, start, end, end, false));
    const gaps = gapsOf(this.#source, mapping);
    const order = this.#order(entries, (order) => canRearrange(gaps, order));
    return {
      start,
      end,
      keepsBlankLines: false,
      render: () => ({
        text: rearranged(
          gaps,
          order,
          bodies.map((body) => body.render("").text),
        ),
        left: "",
      }),
    };
  }

  /** The order that a mapping's entries are to have, or have where they cannot change places. */
  #order(entries: readonly Entry[], isPossible: (order: readonly number[]) => boolean): readonly number[] {
    const { order, held } = ordered(entries, this.#keyOrder, this.marks);
    const { start } = entries[0]!;
    if (held)
      this.notes.push({
        offset: start,
        text: "anchors stay before their aliases, so not all keys are in order",
      });
    const wrong = order.findIndex((entry, slot) => entry !== slot);
    if (wrong < 0) return order;
    if (!isPossible(order)) {
      const text = "keys are left as they are, since comments among them could not move along";
      this.notes.push({ offset: start, text });
      return order.toSorted((a, b) => a - b);
    }
    const [now, then] = [entries[wrong]!, entries[order[wrong]!]!];
    this.moved.push({ offset: now.start, text: `${quoted(then)} belongs before ${quoted(now)}` });
    return order;
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
