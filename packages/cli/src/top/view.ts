import { cut, durationText, grouped } from "../terminal/table.ts";
import { type RatedRow, ratedRows, type Sample, totalRate } from "./rates.ts";

/** What is looked at, and how. */
export interface ViewState {
  readonly server: string;
  readonly before: Sample | undefined;
  readonly now: Sample;
  readonly sortBy: SortKey;
  readonly reverse: boolean;
  /** Rows scrolled past. */
  readonly scroll: number;
  readonly paused: boolean;
  /** Why there is nothing newer; absent when all is well. */
  readonly problem?: string | undefined;
}

interface TopColumn {
  readonly key: string;
  readonly title: string;
  readonly width: number;
  readonly value: (row: RatedRow) => number | null;
  readonly text?: (value: number) => string;
}

const one = (value: number) => (value >= 1000 ? grouped(Math.round(value)) : value.toFixed(1));

/** In the order in which they are shown; the last ones go first where the terminal is narrow. */
const COLUMNS = [
  { key: "queued", title: "QUEUED", width: 9, value: (row: RatedRow) => row.queued },
  { key: "running", title: "RUNNING", width: 8, value: (row: RatedRow) => row.running },
  { key: "workers", title: "WORKERS", width: 8, value: (row: RatedRow) => row.workers },
  {
    key: "submissions",
    title: "SUB/S",
    width: 9,
    value: (row: RatedRow) => row.submissionsPerSecond,
    text: one,
  },
  { key: "runs", title: "RUN/S", width: 9, value: (row: RatedRow) => row.runsPerSecond, text: one },
  { key: "ratio", title: "JOIN x", width: 8, value: (row: RatedRow) => row.joinRatio, text: one },
  {
    key: "oldest",
    title: "OLDEST",
    width: 9,
    value: ({ oldestQueuedMs }: RatedRow) => oldestQueuedMs ?? null,
    text: durationText,
  },
  { key: "failed", title: "FAILED", width: 8, value: (row: RatedRow) => row.failed },
  { key: "delayed", title: "DELAYED", width: 9, value: (row: RatedRow) => row.delayed },
  { key: "total", title: "SUBMISSIONS", width: 13, value: (row: RatedRow) => row.submissions },
  { key: "lost", title: "LOST", width: 8, value: (row: RatedRow) => row.lost },
] as const satisfies readonly TopColumn[];

export type SortKey = "name" | (typeof COLUMNS)[number]["key"];

const MIN_NAME_WIDTH = 12;
const INVERSE = "\x1b[7m";
const BOLD = "\x1b[1m";
const PLAIN = "\x1b[0m";
const HEADER_LINES = 4;
const FOOTER_LINES = 1;

/** The columns that fit into a width. */
export function columnsWithin(width: number): readonly TopColumn[] {
  let left = width - MIN_NAME_WIDTH;
  return COLUMNS.filter((column) => {
    left -= column.width;
    return left >= 0;
  });
}

/** The next key to sort by, to the left or right of the present one, among the columns that are shown. */
export function nextSortKey(present: SortKey, step: 1 | -1, width: number): SortKey {
  const keys: SortKey[] = ["name", ...columnsWithin(width).map(({ key }) => key as SortKey)];
  const at = Math.max(0, keys.indexOf(present));
  return keys[(at + step + keys.length) % keys.length]!;
}

/** Rows that fit below the heading. */
export function visibleRows(height: number): number {
  return Math.max(1, height - HEADER_LINES - FOOTER_LINES);
}

/** The whole screen, `height` lines of at most `width` columns. Names in it are escaped. */
export function screenLines(state: ViewState, width: number, height: number, clock: string): string[] {
  const rows = sortedRows(state);
  const space = visibleRows(height);
  const scroll = Math.min(state.scroll, Math.max(0, rows.length - space));
  const shown = rows.slice(scroll, scroll + space);
  const lines = [
    `${BOLD}${cut(titleLine(state, clock, width), width)}${PLAIN}`,
    cut(state.problem ?? totalsLine(state), width),
    "",
    headingLine(state, width),
    ...shown.map((row) => rowLine(row, width)),
  ];
  if (rows.length === 0)
    lines.push(cut("no functions yet: none was submitted to, and no worker offers one", width));
  while (lines.length < height - FOOTER_LINES) lines.push("");
  const more = rows.length > space ? `  rows ${scroll + 1}-${scroll + shown.length} of ${rows.length}` : "";
  lines.push(
    cut(
      `q quit  p ${state.paused ? "go on" : "pause"}  left/right sort  r reverse  up/down scroll${more}`,
      width,
    ),
  );
  return lines.slice(0, height);
}

/** The same as plain text, without anything that only a terminal understands. */
export function plainLines(state: ViewState, width: number, clock: string): string[] {
  const heading = cells(
    "FUNCTION",
    columnsWithin(width).map((column) => column.title.padStart(column.width)),
    width,
  );
  return [
    titleLine(state, clock, width),
    totalsLine(state),
    "",
    heading.trimEnd(),
    ...sortedRows(state).map((row) => rowLine(row, width)),
  ];
}

function titleLine({ server, now, paused }: ViewState, clock: string, width: number): string {
  const left = `drover top  ${server}  ${now.version}${paused ? "  PAUSED" : ""}`;
  return `${left}${clock.padStart(Math.max(2 + clock.length, width - left.length))}`;
}

function totalsLine({ before, now }: ViewState): string {
  const { counts } = now;
  if (counts.size === 0) return "not a Drover server: rates and joins are not known";
  const n = (name: string) => grouped(counts.get(name) ?? 0);
  const rate = (name: string) => {
    const value = totalRate(before, now, name);
    return value === null ? "-" : one(value);
  };
  const runs = counts.get("runs") ?? 0;
  const ratio = runs === 0 ? "-" : one((counts.get("submissions") ?? 0) / runs);
  return (
    `peers ${n("peers")}  jobs ${n("jobs")}  submissions ${rate("submissions")}/s  ` +
    `runs ${rate("runs")}/s  joins ${rate("joins")}/s  join ratio ${ratio}` +
    (counts.has("waiting") ? `  waiting ${n("waiting")}  dead letters ${n("deadLetters")}` : "")
  );
}

function headingLine({ sortBy, reverse }: ViewState, width: number): string {
  const mark = (key: string, text: string): string => {
    if (key !== sortBy) return text;
    const word = text.trim();
    const arrow = reverse ? "^" : "v";
    // The mark stands in the space before the title, so that columns stay where they are.
    return text.startsWith(" ")
      ? `${text.slice(0, text.length - word.length - 1)}${INVERSE}${arrow}${word}${PLAIN}`
      : `${INVERSE}${word}${arrow}${PLAIN}${text.slice(word.length + 1)}`;
  };
  const columns = columnsWithin(width);
  const nameWidth = width - columns.reduce((sum, column) => sum + column.width, 0);
  const name = mark("name", "FUNCTION".padEnd(nameWidth));
  return name + columns.map((column) => mark(column.key, column.title.padStart(column.width))).join("");
}

function rowLine(row: RatedRow, width: number): string {
  const name = row.paused ? `${row.name} (paused)` : row.name;
  return cells(
    name,
    columnsWithin(width).map((column) => {
      const value = column.value(row);
      const text = value === null ? "-" : (column.text ?? grouped)(value);
      return cut(text, column.width - 1).padStart(column.width);
    }),
    width,
  );
}

function cells(name: string, others: readonly string[], width: number): string {
  const rest = others.join("");
  const nameWidth = width - rest.length;
  return cut(name, nameWidth - 1).padEnd(nameWidth) + rest;
}

/** Largest first, except for names; equal ones by name. */
function sortedRows({ before, now, sortBy, reverse }: ViewState): RatedRow[] {
  const column = COLUMNS.find(({ key }) => key === sortBy);
  const byName = (a: RatedRow, b: RatedRow) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const order = (a: RatedRow, b: RatedRow) => {
    const difference = column === undefined ? 0 : (column.value(b) ?? -1) - (column.value(a) ?? -1);
    return difference === 0 ? byName(a, b) : difference;
  };
  const rows = ratedRows(before, now).sort(order);
  return reverse ? rows.reverse() : rows;
}
