/* Escapes of terminals in a console: colours are kept as names of styles, all else that is no text is left out. */

/** Text of one look. `looks`: names of styles, with spaces between. */
export interface Span {
  readonly text: string;
  readonly looks: string;
}

interface Pen {
  readonly colour: string;
  readonly isBold: boolean;
  readonly isFaint: boolean;
}

const PLAIN: Pen = { colour: "", isBold: false, isFaint: false };
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

const ESC = "\u001b";
/**
 * Control sequences; commands to the operating system, which end with BEL or ST or the line; other escapes; and control characters
 * but the tabulator.
 */
const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\u001b\[([0-9;:<=>?]*)[ -/]*([@-~])?|\u001b[\]P^_X][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;

/** A line as it is shown. */
export function spansOf(line: string): Span[] {
  const spans: Span[] = [];
  drawn(line, (text, pen) => spans.push({ text, looks: looksOf(pen) }));
  return spans;
}

/** The escape that begins a line as this one ends, which may be in the middle of a colour; empty when it is not. */
export function carriedOf(line: string): string {
  if (!line.includes(ESC)) return "";
  const { colour, isBold, isFaint } = drawn(line, () => {});
  const codes = [
    ...(isBold ? ["1"] : []),
    ...(isFaint ? ["2"] : []),
    ...(colour === "" ? [] : [String(30 + COLOURS.indexOf(colour))]),
  ];
  return codes.length === 0 ? "" : `${ESC}[${codes.join(";")}m`;
}

/** @returns the pen at its end. */
function drawn(line: string, take: (text: string, pen: Pen) => void): Pen {
  let pen = PLAIN;
  let from = 0;
  for (const match of line.matchAll(ESCAPES)) {
    if (match.index > from) take(line.slice(from, match.index), pen);
    from = match.index + match[0].length;
    if (match[2] === "m") pen = penAfter(pen, match[1] ?? "");
  }
  if (from < line.length) take(line.slice(from), pen);
  return pen;
}

function penAfter(before: Pen, parameters: string): Pen {
  let pen = before;
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === 0) pen = PLAIN;
    else if (code === 1) pen = { ...pen, isBold: true };
    else if (code === 2) pen = { ...pen, isFaint: true };
    else if (code === 22) pen = { ...pen, isBold: false, isFaint: false };
    else if (code >= 30 && code <= 37) pen = { ...pen, colour: COLOURS[code - 30]! };
    else if (code >= 90 && code <= 97) pen = { ...pen, colour: COLOURS[code - 90]! };
    else if (code === 39) pen = { ...pen, colour: "" };
    // 256 colours and true ones, of which none is drawn, have arguments.
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : codes[i + 1] === 2 ? 4 : 0;
  }
  return pen;
}

function looksOf({ colour, isBold, isFaint }: Pen): string {
  return [
    ...(colour === "" ? [] : [`ansi-${colour}`]),
    ...(isBold ? ["bold"] : []),
    ...(isFaint ? ["faint"] : []),
  ].join(" ");
}
