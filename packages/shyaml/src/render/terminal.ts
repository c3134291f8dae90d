import { styleText } from "node:util";
import { countsOf, type DiffReport, type DocumentDiff } from "../diff/compare.ts";
import { pathText } from "../diff/path.ts";
import { changeLines, type DiffLine, documentLines, kindText, linesOf, placeText } from "./change-lines.ts";
import { visible } from "./value.ts";

export interface TerminalOptions {
  readonly color?: boolean;
  /** Columns to wrap at. Default: none, nothing is wrapped. */
  readonly width?: number;
  /** Lines shown of one value; 0 shows all. Default 0. */
  readonly maxValueLines?: number;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const INDENT = "    ";

/** A report for people. Empty when nothing differs. */
export function terminalText(report: DiffReport, options: TerminalOptions = {}): string {
  if (report.documents.length === 0) return "";
  const paint: Paint = (style, text) =>
    options.color === true ? styleText(style, text, { validateStream: false }) : text;
  const lines = report.documents.flatMap((diff) => [...documentBlock(diff, options, paint), ""]);
  lines.push(paint("bold", summaryText(report)));
  for (const note of report.notes) lines.push(...wrapped(`note: ${visible(note)}`, options.width, "  "));
  return `${lines.join("\n")}\n`;
}

function documentBlock(diff: DocumentDiff, options: TerminalOptions, paint: Paint): string[] {
  const { status, before, after, similarity } = diff;
  const name = visible(diff.name);
  const place = [before, after].flatMap((side) => (side === undefined ? [] : [placeText(side)])).join(" → ");
  const what =
    status === "renamed"
      ? `${name} renamed, ${Math.round(similarity! * 100)} % alike`
      : status === "changed"
        ? name
        : `${name} ${status}`;
  const lines = [spread(paint("bold", what), what.length, place, options.width, paint)];
  if (status === "added" || status === "removed") {
    lines.push(...signed(documentLines(diff), options, paint));
    return lines;
  }
  for (const change of diff.changes) {
    const path = visible(pathText(change.path));
    const { before: a, after: b } = linesOf(change, diff);
    const numbers = a === undefined ? `+${b}` : b === undefined ? `-${a}` : `${a} → ${b}`;
    const title = `  ${path}  ${kindText(change)}`;
    lines.push(
      spread(`  ${paint("cyan", path)}  ${kindText(change)}`, title.length, numbers, options.width, paint),
    );
    lines.push(...signed(changeLines(change), options, paint));
  }
  return lines;
}

/** Text on the left, and on the right where there is room for both. */
function spread(
  left: string,
  leftWidth: number,
  right: string,
  width: number | undefined,
  paint: Paint,
): string {
  const room = (width ?? 0) - leftWidth - right.length;
  return `${left}${" ".repeat(Math.max(2, room))}${paint("dim", right)}`;
}

function signed(lines: readonly DiffLine[], options: TerminalOptions, paint: Paint): string[] {
  const max = options.maxValueLines ?? 0;
  const shown = max === 0 ? lines : lines.slice(0, max);
  const out = shown.flatMap(({ sign, text }) =>
    wrapped(`${INDENT}${sign} ${text}`, options.width, `${INDENT}  `).map((line) =>
      sign === " " ? paint("dim", line.trimEnd()) : paint(sign === "-" ? "red" : "green", line),
    ),
  );
  if (shown.length < lines.length)
    out.push(paint("dim", `${INDENT}… ${lines.length - shown.length} more lines`));
  return out;
}

/** Lines of at most `width` columns; those that go on are indented. */
function wrapped(line: string, width: number | undefined, indent: string): string[] {
  if (width === undefined || line.length <= width || width < indent.length + 10) return [line];
  const lines: string[] = [];
  for (let rest = line, margin = ""; rest !== ""; margin = indent) {
    let room = width - margin.length;
    // A character of two halves stays whole.
    if (/[\ud800-\udbff]/.test(rest[room - 1] ?? "")) room--;
    lines.push(`${margin}${rest.slice(0, room)}`);
    rest = rest.slice(room);
  }
  return lines;
}

/** `3 differences in 2 of 5 documents`. */
export function summaryText(report: DiffReport): string {
  const { total } = countsOf(report);
  const differences = `${total} ${total === 1 ? "difference" : "differences"}`;
  const documents = `${report.compared} ${report.compared === 1 ? "document" : "documents"}`;
  return `${differences} in ${report.documents.length} of ${documents}`;
}
