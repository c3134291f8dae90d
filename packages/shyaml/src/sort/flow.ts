import type { FlowMapping } from "./tree.ts";

/** What stands between two entries in braces. */
interface Gap {
  /** Up to where the comment of the line stands, with the comma if it is there. */
  before: string;
  /** The comment on the line of the entry before it, with the blanks before it. */
  trail: string;
  /** The rest without comments. */
  after: string;
  /** Comments above the entry behind it, each with the line break and blanks behind it. */
  lead: string;
}

/**
 * The inside of a mapping in braces with its entries in a new order. Blanks, line breaks and commas stay where they
 * are, and comments come along.
 * @param texts The entries, their own mappings sorted.
 * @returns Nothing where comments stand so that they cannot come along, as between entries of one line.
 */
export function rearranged(
  source: string,
  { entries, start, end }: FlowMapping,
  order: readonly number[],
  texts: readonly string[],
): string | undefined {
  const gaps: Gap[] = [];
  let from = start;
  for (const entry of entries) {
    gaps.push(gapOf(source.slice(from, entry.start)));
    from = entry.end;
  }
  gaps.push(gapOf(source.slice(from, end)));
  const hasBreak = ({ after }: Gap) => after.includes("\n");
  let text = gaps[0]!.before + gaps[0]!.trail + gaps[0]!.after;
  for (const [slot, i] of order.entries()) {
    // The comment behind an entry is in the gap behind it, those above it in the gap before it.
    const [own, behind] = [gaps[slot]!, gaps[slot + 1]!];
    const { lead } = gaps[i]!;
    const { trail } = gaps[i + 1]!;
    if ((lead !== "" && !hasBreak(own)) || (trail !== "" && !hasBreak(behind))) return undefined;
    text += lead + texts[i]! + behind.before + trail + behind.after;
  }
  return text + gaps.at(-1)!.lead;
}

function gapOf(text: string): Gap {
  const [, before, trail = "", rest] =
    /^([^#\n\r]*?)((?:[ \t]*#[^\n\r]*)?)((?:\r?\n[\s\S]*)?)$/.exec(text) ?? [];
  if (before === undefined || rest === undefined) return { before: text, trail: "", after: "", lead: "" };
  const comment = rest.indexOf("#");
  if (comment < 0) return { before, trail, after: rest, lead: "" };
  return { before, trail, after: rest.slice(0, comment), lead: rest.slice(comment) };
}
