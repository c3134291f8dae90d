import type { ChangeKind } from "../diff/change.ts";
import type { DiffReport, DocumentDiff } from "../diff/compare.ts";
import { pathText } from "../diff/path.ts";
import { changeLines, documentLines, kindText, linesOf, placeText } from "./change-lines.ts";
import { summaryText } from "./terminal.ts";
import { visible } from "./value.ts";

/** The least cap: room for the summary, and for what is left out to be told. */
export const MIN_MARKDOWN_CHARS = 1_000;
/** The part of the cap that the table of documents may take. */
const TABLE_SHARE = 1 / 3;
/** Kept free for what is said of what is left out. */
const RESERVE = 200;

/**
 * A report for a comment on a change: a table, then each document folded. Never longer than `maxChars`: what does not fit
 * is counted, and all that was opened is closed.
 */
export function markdownText(report: DiffReport, maxChars: number): string {
  if (report.documents.length === 0) return "No differences.\n";
  const out = new Capped(Math.max(maxChars, MIN_MARKDOWN_CHARS) - RESERVE);
  out.add(`**${summaryText(report)}**\n\n| document | differences | |\n|---|--:|---|\n`);
  const tableEnd = Math.floor(maxChars * TABLE_SHARE);
  let rows = 0;
  for (const diff of report.documents) {
    const row = tableRow(diff);
    if (out.length + row.length > tableEnd || !out.add(row)) break;
    rows++;
  }
  if (rows < report.documents.length) out.add(`| … ${report.documents.length - rows} more documents | | |\n`);
  out.add("\n");
  let shown = 0;
  for (const diff of report.documents) {
    if (!addDocument(out, diff)) break;
    shown++;
  }
  const hidden = report.documents.length - shown;
  let text = out.text;
  if (hidden > 0) text += `… ${hidden} more ${hidden === 1 ? "document differs" : "documents differ"}.\n\n`;
  for (const note of report.notes) {
    const line = `- ${inline(note)}\n`;
    if (text.length + line.length <= maxChars) text += line;
  }
  return text;
}

/** Text that never grows beyond its limit. */
class Capped {
  text = "";
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.text.length;
  }

  /** @returns False, and adds nothing, where there is no room for the text and `more` after it. */
  add(text: string, more = 0): boolean {
    if (this.text.length + text.length + more > this.#max) return false;
    this.text += text;
    return true;
  }
}

function tableRow(diff: DocumentDiff): string {
  const { status, changes } = diff;
  const counts = new Map<ChangeKind, number>();
  for (const { kind } of changes) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  const what = status === "changed" ? kinds : [status, kinds].filter((text) => text !== "").join(": ");
  return `| ${inline(diff.name)} | ${Math.max(1, changes.length)} | ${what} |\n`;
}

/** @returns False where not even the beginning has room. */
function addDocument(out: Capped, diff: DocumentDiff): boolean {
  const lines = bodyOf(diff);
  const longest = Math.max(0, ...lines.map((line) => longestRun(line)));
  const fence = "`".repeat(Math.max(3, longest + 1));
  const places = [diff.before, diff.after].flatMap((side) => (side === undefined ? [] : [placeText(side)]));
  const title = `${escapeHtml(visible(diff.name))} <i>${escapeHtml(places.join(" → "))}</i>`;
  const end = `${fence}\n\n</details>\n\n`;
  const closing = end.length + "… 1234567890 more lines\n".length;
  if (!out.add(`<details><summary>${title}</summary>\n\n${fence}diff\n`, closing)) return false;
  let shown = 0;
  for (const line of lines) {
    if (!out.add(`${line}\n`, closing)) break;
    shown++;
  }
  if (shown < lines.length) out.add(`… ${lines.length - shown} more lines\n`);
  out.add(end);
  return true;
}

function bodyOf(diff: DocumentDiff): string[] {
  if (diff.changes.length === 0) return documentLines(diff).map(({ sign, text }) => `${sign} ${text}`);
  return diff.changes.flatMap((change) => {
    const { before, after } = linesOf(change, diff);
    const lines = [before, after].filter((line) => line !== undefined).join(" → ");
    return [
      `@@ ${visible(pathText(change.path))} @@ ${kindText(change)}, line ${lines}`,
      ...changeLines(change).map(({ sign, text }) => `${sign} ${text}`),
    ];
  });
}

function longestRun(line: string): number {
  return Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Text in which Markdown finds nothing of its own. */
function inline(text: string): string {
  return escapeHtml(visible(text)).replace(/[\\`*_[\]|#@~]/g, (char) => `&#${char.charCodeAt(0)};`);
}
