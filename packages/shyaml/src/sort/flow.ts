import type { FlowMapping } from "./tree.ts";

/** What stands between two entries in braces. */
export interface Gap {
  /** Up to where the comment of the line stands, with the comma if it is there. */
  before: string;
  /** The comment on the line of the entry before it, with the blanks before it. */
  trail: string;
  /** The rest without comments. */
  after: string;
  /** Comments above the entry behind it, each with the line break and blanks behind it. */
  lead: string;
}

/** The gaps of a mapping in braces: before its first entry, between two, behind the last. */
export function gapsOf(source: string, { entries, start, end }: FlowMapping): Gap[] {
  const gaps: Gap[] = [];
  let from = start;
  for (const entry of entries) {
    gaps.push(gapOf(source.slice(from, entry.start)));
    from = entry.end;
  }
  gaps.push(gapOf(source.slice(from, end)));
  return gaps;
}

/** Whether comments can come along with their entries, which they cannot to a place within a line. */
export function canRearrange(gaps: readonly Gap[], order: readonly number[]): boolean {
  const hasBreak = ({ after }: Gap) => after.includes("\n");
  return order.every((entry, slot) => {
    const { lead } = gaps[entry]!;
    const { trail } = gaps[entry + 1]!;
    return (lead === "" || hasBreak(gaps[slot]!)) && (trail === "" || hasBreak(gaps[slot + 1]!));
  });
}

/**
 * The inside of a mapping in braces with its entries in a new order. Blanks, line breaks and commas stay where they
 * are, and comments come along: those on an entry's line from the gap behind it, those above it from the gap before.
 */
export function rearranged(gaps: readonly Gap[], order: readonly number[], texts: readonly string[]): string {
  let text = gaps[0]!.before + gaps[0]!.trail + gaps[0]!.after;
  for (const [slot, entry] of order.entries()) {
    const behind = gaps[slot + 1]!;
    text += gaps[entry]!.lead + texts[entry]! + behind.before + gaps[entry + 1]!.trail + behind.after;
  }
  return text + gaps.at(-1)!.lead;
}

function gapOf(text: string): Gap {
  const lineBreak = text.search(/\r?\n/);
  const line = lineBreak < 0 ? text : text.slice(0, lineBreak);
  const rest = text.slice(line.length);
  const hash = line.indexOf("#");
  const before = hash < 0 ? line : line.slice(0, hash).trimEnd();
  const comment = rest.indexOf("#");
  const after = comment < 0 ? rest : rest.slice(0, comment);
  return { before, trail: line.slice(before.length), after, lead: rest.slice(after.length) };
}
