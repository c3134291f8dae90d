import { align } from "../diff/align.ts";
import type { Change } from "../diff/change.ts";
import type { DocumentDiff } from "../diff/compare.ts";
import type { Subject } from "../diff/documents.ts";
import { placeOf } from "../document/node.ts";
import { blockLines, isBlock, valueLines, visible } from "./value.ts";

/** A line of a difference: gone, new, or there to be read with them. */
export interface DiffLine {
  readonly sign: "-" | "+" | " ";
  readonly text: string;
}

/** Equal lines of a text that are shown around those that differ. */
const CONTEXT = 2;

const KINDS: Readonly<Record<Change["kind"], string>> = {
  added: "added",
  removed: "removed",
  modified: "changed",
  type: "type changed",
  moved: "moved",
  order: "order changed",
  comment: "comment changed",
};

/** What happened, in a word or two, and why if that is known. */
export function kindText(change: Change): string {
  return change.note === undefined ? kindAlone(change) : `${kindAlone(change)}: ${visible(change.note)}`;
}

function kindAlone(change: Change): string {
  if (change.kind !== "moved") return KINDS[change.kind];
  const segment = change.path.at(-1);
  return segment?.kind === "item" ? `moved from ${segment.before} to ${segment.after}` : KINDS.moved;
}

/** What stands on both sides. Nothing for a move, whose value is the same. */
export function changeLines(change: Change): DiffLine[] {
  const { before, after, kind, comments, order } = change;
  if (kind === "moved") return [];
  if (comments !== undefined)
    return [...commentLines("-", comments.before), ...commentLines("+", comments.after)];
  if (order !== undefined) {
    const line = (sign: "-" | "+", items: readonly string[]): DiffLine => ({
      sign,
      text: `[${items.map(visible).join(", ")}]`,
    });
    return [line("-", order.before), line("+", order.after)];
  }
  const [a, b] = [before?.node, after?.node];
  if (a?.kind === "scalar" && b?.kind === "scalar" && a.type === "string" && b.type === "string") {
    if (isBlock(a.text) && isBlock(b.text)) {
      const lines = textLines(a.text, b.text);
      if (lines.length > 0) return lines;
    }
  }
  const signed = (sign: "-" | "+", lines: readonly string[]) =>
    lines.map((text): DiffLine => ({ sign, text }));
  return [...signed("-", a ? valueLines(a) : []), ...signed("+", b ? valueLines(b) : [])];
}

function commentLines(sign: "-" | "+", comment: string | undefined): DiffLine[] {
  return (comment?.split("\n") ?? []).map((line) => ({ sign, text: `# ${visible(line)}` }));
}

/** What differs in two texts of several lines, with some equal lines around it. */
function textLines(before: string, after: string): DiffLine[] {
  const [a, b] = [blockLines(before), blockLines(after)];
  const numbers = new Map<string, number>();
  const numbered = (lines: readonly string[]) =>
    lines.map((line) => {
      const known = numbers.get(line) ?? numbers.size;
      numbers.set(line, known);
      return known;
    });
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  for (const [toI, toJ] of [...align(numbered(a), numbered(b)), [a.length, b.length] as const]) {
    while (i < toI) lines.push({ sign: "-", text: visible(a[i++]!) });
    while (j < toJ) lines.push({ sign: "+", text: visible(b[j++]!) });
    if (i < a.length) lines.push({ sign: " ", text: visible(a[i]!) });
    [i, j] = [toI + 1, toJ + 1];
  }
  if (before.endsWith("\n") !== after.endsWith("\n")) {
    const [sign, last] = after.endsWith("\n") ? (["-", a] as const) : (["+", b] as const);
    lines.push({ sign, text: `(no end of line after ${JSON.stringify(visible(last.at(-1)!))})` });
  }
  return withContext(lines);
}

function withContext(lines: readonly DiffLine[]): DiffLine[] {
  const shown: DiffLine[] = [];
  let hidden = 0;
  const close = () => {
    if (hidden > 0) shown.push({ sign: " ", text: `… ${hidden} equal ${hidden === 1 ? "line" : "lines"}` });
    hidden = 0;
  };
  lines.forEach((line, at) => {
    const isNear = lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ sign }) => sign !== " ");
    if (!isNear) hidden++;
    else {
      close();
      shown.push(line);
    }
  });
  close();
  return shown;
}

/** Lines of a document that is only on one side. */
export function documentLines({ before, after }: DocumentDiff): DiffLine[] {
  const sign = before === undefined ? "+" : "-";
  return valueLines((before ?? after)!.root).map((text) => ({ sign, text }));
}

/** The line of each side of a change, from 1. */
export function linesOf(change: Change, diff: DocumentDiff): { before?: number; after?: number } {
  return {
    ...(change.before === undefined ? {} : { before: lineAt(diff.before!, change.before.start) }),
    ...(change.after === undefined ? {} : { after: lineAt(diff.after!, change.after.start) }),
  };
}

export function lineAt(subject: Subject, offset: number): number {
  return placeOf(subject.document.source, offset).line;
}

/** `a.yaml:12`: where a document begins. */
export function placeText(subject: Subject): string {
  return `${visible(subject.document.source.name)}:${lineAt(subject, subject.root.start)}`;
}
