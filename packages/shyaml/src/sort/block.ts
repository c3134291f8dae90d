import type { BlockMapping, Entry } from "./tree.ts";

/** An entry of a block mapping cut into lines. All of it together is the source from `from` to `to`. */
export interface Slice {
  readonly entry: Entry;
  /** Blank lines before anything else of it. */
  readonly blank: string;
  /** Lines of comments, and blank ones between them, above the key. */
  readonly lead: string;
  /** Spaces before the key. */
  readonly indent: string;
  /** Where the key begins and where the last line ends, its comments and deeper comments below it included. */
  readonly from: number;
  readonly to: number;
}

/** Comments that mean something only at the top of a file. */
const TOP_ONLY = /^#(?:!|cloud-config\b|cloud-init\b|.*(?:-\*-|\byaml-language-server\s*:|\bvim?:))/;

/** Where the line that holds `offset` begins; a byte order mark is of no line. */
export function lineStart(source: string, offset: number): number {
  const start = source.lastIndexOf("\n", offset - 1) + 1;
  return source.startsWith("\uFEFF", start) ? start + 1 : start;
}

/** Where the line that holds `offset` ends, behind its line break. */
function lineEnd(source: string, offset: number): number {
  const at = source.indexOf("\n", offset);
  return at < 0 ? source.length : at + 1;
}

/** The blank lines at `start`, as far as they end before `to`. */
export function blankLinesAt(source: string, start: number, to: number): string {
  let end = start;
  for (
    let line = triviaAt(source, end);
    line !== undefined && !line.isComment;
    line = triviaAt(source, end)
  ) {
    if (line.end > to || line.end === end) break;
    end = line.end;
  }
  return source.slice(start, end);
}

/** A line that holds no value: blank, or a comment. */
interface Trivia {
  readonly start: number;
  readonly end: number;
  readonly isComment: boolean;
  /** Spaces at its beginning. */
  readonly indent: number;
}

/**
 * Cuts a mapping into its entries.
 * @param floor Offset before which nothing belongs to it, as nothing does from `ceiling` on.
 */
export function slicesOf(
  source: string,
  { entries, indent }: BlockMapping,
  floor: number,
  ceiling: number,
): Slice[] {
  const slices: Slice[] = [];
  let cut = firstCut(source, entries[0]!, indent, floor);
  for (const [i, entry] of entries.entries()) {
    const keyLine = Math.max(lineStart(source, entry.start), cut);
    // A block scalar ends behind its last line break.
    const ended = entry.end > 0 && source[entry.end - 1] === "\n" && entry.end > entry.start;
    const behind = ended ? entry.end : lineEnd(source, entry.end);
    const next = entries[i + 1];
    const until = next === undefined ? ceiling : lineStart(source, next.start);
    const to = ownedUntil(source, behind, until, indent);
    const above = source.slice(cut, keyLine);
    const blank = /^(?:[ \t]*\r?\n)*/.exec(above)![0];
    slices.push({
      entry,
      blank,
      lead: above.slice(blank.length),
      indent: source.slice(keyLine, entry.start),
      from: entry.start,
      to,
    });
    cut = to;
  }
  return slices;
}

/** Where the first entry begins: above it stand its comments, and above those what belongs to the whole. */
function firstCut(source: string, entry: Entry, indent: number, floor: number): number {
  const start = lineStart(source, entry.start);
  if (start < floor || source.slice(start, entry.start).trim() !== "") return entry.start;
  let cut = start;
  while (cut > floor) {
    const above = lineStart(source, cut - 1);
    if (above < floor) break;
    const text = source.slice(above, cut);
    const spaces = text.length - text.trimStart().length;
    if (!text.startsWith("#", spaces) || spaces > indent) break;
    if ((above === 0 || source[above - 1] === "\uFEFF") && TOP_ONLY.test(text)) break;
    cut = above;
  }
  return cut;
}

/** Of the lines without values from `start` on, how far those reach that belong to what stands before them. */
function ownedUntil(source: string, start: number, until: number, indent: number): number {
  let owned = start;
  for (let at = start; at < until; ) {
    const line = triviaAt(source, at);
    if (line === undefined) break;
    // A blank line with that many blanks could become part of a text that it gets behind.
    if (line.indent > indent) owned = line.end;
    at = line.end;
  }
  return owned;
}

function triviaAt(source: string, start: number): Trivia | undefined {
  const end = lineEnd(source, start);
  let at = start;
  while (source[at] === " ") at++;
  const indent = at - start;
  while (source[at] === " " || source[at] === "\t" || source[at] === "\r") at++;
  const isComment = source[at] === "#";
  if (!isComment && source[at] !== "\n" && at < source.length) return undefined;
  return { start, end, isComment, indent };
}

/** Something whose order is settled, and that is yet to be written. */
export interface Planned {
  /** Whether blank lines behind it would become part of its last value. */
  readonly keepsBlankLines: boolean;
  /**
   * Writes it. Called once.
   * @param blankBehind Blank lines that stand behind it and would change its last value, to be put before that.
   */
  render(blankBehind: string): Rendered;
}

export interface Rendered {
  readonly text: string;
  /** Of the blank lines those for which it has no place, so that they have to stand before all of it. */
  readonly left: string;
}

/** Whether the first entry can change places. Where a dash stands before it, comments of another come behind the dash. */
export function canLeadWith(slices: readonly Slice[], first: number, indent: number): boolean {
  const isInline = slices[0]!.indent.length < indent;
  const { lead, indent: spaces } = slices[first]!;
  return first === 0 || !isInline || (lead + spaces).startsWith(" ".repeat(indent));
}

/**
 * Writes the entries in a new order, which may be the one they have.
 * @param bodies The entries from their keys to the end of their last lines.
 * @param isOpen Whether the last of them ends without a line break.
 */
export function arranged(
  slices: readonly Slice[],
  bodies: readonly Planned[],
  order: readonly number[],
  indent: number,
  isOpen: boolean,
  blankBehind: string,
): Rendered {
  const lines = order.map((i) => ({ ...slices[i]!, keepsBlankLines: bodies[i]!.keepsBlankLines, text: "" }));
  const top = lines[0]!;
  const bottom = lines.at(-1)!;
  const displaced = lines[order.indexOf(0)]!;
  if (top !== displaced) {
    // Blank lines part an entry from the one before it, and the first has none before it.
    displaced.blank = top.blank + displaced.blank;
    top.blank = "";
  }
  let behind = blankBehind;
  for (const [i, line] of [...lines.entries()].reverse()) {
    const { text, left } = bodies[order[i]!]!.render(behind);
    line.text = text;
    behind = "";
    const before = lines[i - 1];
    const isAsBefore =
      left === "" &&
      before?.to === slices[order[i]!]!.from - line.indent.length - line.lead.length - line.blank.length;
    line.blank += left;
    if (before?.keepsBlankLines !== true || (isAsBefore && before.entry.keepsBlankLines)) continue;
    behind = line.blank;
    line.blank = "";
  }
  if (isOpen && bottom !== lines[order.indexOf(slices.length - 1)]) {
    // The last line of a file has no line break, and whichever comes last now gives it its own.
    const lineBreak = /\r?\n$/.exec(bottom.text)![0];
    lines[order.indexOf(slices.length - 1)]!.text += lineBreak;
    bottom.text = bottom.text.slice(0, -lineBreak.length);
  }
  const isInline = slices[0]!.indent.length < indent;
  let left = "";
  if (isInline && top.blank !== "") {
    const place = lines.find((_, i) => i > 0 && !lines[i - 1]!.keepsBlankLines);
    if (place === undefined) left = top.blank;
    else place.blank = top.blank + place.blank;
    top.blank = "";
  }
  if (isInline && top !== displaced) {
    const whole = top.lead + top.indent;
    displaced.indent = " ".repeat(indent);
    top.lead = top.lead.slice(indent);
    top.indent = whole.slice(indent + top.lead.length);
  }
  return { text: lines.map((line) => line.blank + line.lead + line.indent + line.text).join(""), left };
}
