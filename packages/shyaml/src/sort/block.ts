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
 * @param floor Offset before which nothing belongs to it.
 */
export function slicesOf(source: string, { entries, indent }: BlockMapping, floor: number): Slice[] {
  const slices: Slice[] = [];
  let cut = firstCut(source, entries[0]!, indent, floor);
  for (const [i, entry] of entries.entries()) {
    const keyLine = Math.max(lineStart(source, entry.start), cut);
    // A block scalar ends behind its last line break.
    const ended = entry.end > 0 && source[entry.end - 1] === "\n" && entry.end > entry.start;
    const behind = ended ? entry.end : lineEnd(source, entry.end);
    const next = entries[i + 1];
    const until = next === undefined ? source.length : lineStart(source, next.start);
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

/**
 * The entries' lines in a new order, which differs from the one they have.
 * @param body An entry's text from its key to the end, its own mappings sorted.
 * @returns Nothing where comments stand so that they cannot come along.
 */
export function arranged(
  slices: readonly Slice[],
  order: readonly number[],
  indent: number,
  body: (slice: Slice) => string,
): string | undefined {
  const first = slices[0]!;
  const isInline = first.indent.length < indent;
  const texts = slices.map(body);
  const breakOfLast = /\r?\n$/.exec(texts.at(-1)!)?.[0] ?? "";
  const lines = order.map((i) => ({ ...slices[i]!, text: texts[i]! }));
  if (breakOfLast === "") {
    // The last line of a file has no line break, and whichever comes last now gives it its own.
    const last = lines.at(-1)!;
    const given = /\r?\n$/.exec(last.text)![0];
    const was = lines[order.indexOf(slices.length - 1)]!;
    was.text += given;
    last.text = last.text.slice(0, -given.length);
  }
  // Blank lines part an entry from the one before it, and the first has none before it.
  const top = lines[0]!;
  const displaced = lines[order.indexOf(0)]!;
  if (top !== displaced) {
    displaced.blank = top.blank + displaced.blank;
    top.blank = "";
  }
  for (let i = lines.length - 1; i > 0; i--) {
    const [line, before] = [lines[i]!, lines[i - 1]!];
    if (line.blank === "" || !before.entry.keepsBlankLines) continue;
    if (isUnmoved(order, i)) continue;
    before.blank += line.blank;
    line.blank = "";
  }
  if (isInline && top !== displaced) {
    const prefix = " ".repeat(indent);
    const whole = top.lead + top.indent;
    if (!whole.startsWith(prefix)) return undefined;
    displaced.indent = prefix;
    top.lead = top.lead.slice(indent);
    top.indent = whole.slice(indent + top.lead.length);
  }
  return lines.map(({ blank, lead, indent, text }) => blank + lead + indent + text).join("");
}

/** Whether an entry stands behind the same one as before. */
function isUnmoved(order: readonly number[], i: number): boolean {
  return order[i] === order[i - 1]! + 1;
}
