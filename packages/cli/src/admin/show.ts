import { byteStringOfText, printable } from "@drover/protocol";
import { UsageError } from "../errors.ts";
import type { Target } from "../server-address.ts";
import { bytesText, type Column, durationText, grouped, tableLines } from "../terminal/table.ts";
import { withAdmin } from "./admin-connection.ts";
import {
  deadLetterRow,
  deadLetterRows,
  type FunctionRow,
  functionRows,
  jobRows,
  joinRatio,
  serverCounts,
} from "./listings.ts";
import { commandLine } from "./operations.ts";

/** Server, format and limit, wherever on the line they were given. */
export interface AdminContext {
  readonly server: Target;
  readonly json: boolean;
  readonly limit: number;
}

/* Listings of Drover's own: a table for people, JSON for programs. Every name in them is escaped. */

const right = (title: string): Column => ({ title, right: true });

export async function showJobs(context: AdminContext, functionName: string | undefined): Promise<void> {
  const limit = checkedLimit(context);
  if (functionName !== undefined) commandLine([functionName]);
  const name = functionName === undefined ? undefined : byteStringOfText(functionName);
  const rows = await withAdmin(context.server, (admin) => jobRows(admin, name, limit));
  if (context.json) return writeJson(rows);
  const columns: Column[] = [
    { title: "HANDLE" },
    { title: "FUNCTION", maxWidth: 40 },
    { title: "UNIQUE", maxWidth: 40 },
    { title: "STATE" },
    { title: "PRIORITY" },
    right("AGE"),
    right("ATTEMPTS"),
    right("SUBMISSIONS"),
    { title: "CLAIM" },
    { title: "WORKER" },
    right("WORKLOAD"),
  ];
  const cells = rows.map((row) => [
    row.handle,
    row.function,
    row.unique === "" ? "-" : row.unique,
    row.state,
    row.priority,
    durationText(row.ageMs),
    grouped(row.attempts),
    grouped(row.submissions),
    row.background ? "background" : "-",
    row.worker ?? "-",
    bytesText(row.workloadBytes),
  ]);
  writeTable(columns, cells, "no jobs");
  if (rows.length === limit) process.stderr.write(`drover: the first ${limit} only; --limit shows more\n`);
}

const FUNCTION_COLUMNS: readonly Column[] = [
  { title: "FUNCTION", maxWidth: 48 },
  right("QUEUED"),
  right("DELAYED"),
  right("RUNNING"),
  right("WORKERS"),
  right("SUBMISSIONS"),
  right("JOINS"),
  right("RUNS"),
  right("JOIN RATIO"),
  right("FAILED"),
  right("LOST"),
];

/** The table of functions, as `drover status` and `drover admin functions` show it. */
export function functionTable(rows: readonly FunctionRow[]): string[] {
  const number = (value: number | null) => (value === null ? "-" : grouped(value));
  return tableLines(
    FUNCTION_COLUMNS,
    rows.map((row) => [
      row.paused ? `${row.name} (paused)` : row.name,
      number(row.queued),
      number(row.delayed),
      number(row.running),
      number(row.workers),
      number(row.submissions),
      number(row.joins),
      number(row.runs),
      joinRatio(row)?.toFixed(1) ?? "-",
      number(row.failed),
      number(row.lost),
    ]),
  );
}

export async function showFunctions({ server, json }: AdminContext): Promise<void> {
  const rows = await withAdmin(server, functionRows);
  if (json) return writeJson(rows.map((row) => ({ ...row, joinRatio: joinRatio(row) })));
  process.stdout.write(rows.length === 0 ? "no functions\n" : `${functionTable(rows).join("\n")}\n`);
}

export async function showCounts({ server, json }: AdminContext): Promise<void> {
  const counts = await withAdmin(server, serverCounts);
  if (counts.size === 0) throw new UsageError("NEEDS_DROVER", `${server} is no Drover: it has no counts`);
  if (json) return writeJson(Object.fromEntries(counts));
  writeTable(
    [{ title: "NAME" }, right("NUMBER")],
    [...counts].map(([name, value]) => [name, grouped(value)]),
    "",
  );
}

export async function showDeadLetters(context: AdminContext): Promise<void> {
  const limit = checkedLimit(context);
  const rows = await withAdmin(context.server, (admin) => deadLetterRows(admin, limit));
  if (context.json) return writeJson(rows);
  const columns: Column[] = [
    { title: "HANDLE" },
    { title: "FUNCTION", maxWidth: 40 },
    { title: "UNIQUE", maxWidth: 40 },
    { title: "REASON", maxWidth: 60 },
    right("ATTEMPTS"),
    { title: "DIED" },
    right("WORKLOAD"),
  ];
  const cells = rows.map((row) => [
    row.handle,
    row.function,
    row.unique === "" ? "-" : row.unique,
    row.reason,
    grouped(row.attempts),
    row.died,
    bytesText(row.workloadBytes),
  ]);
  writeTable(columns, cells, "no dead letters");
}

export async function showDeadLetter({ server }: AdminContext, handle: string): Promise<void> {
  const lines = await withAdmin(server, (admin) => admin.list(commandLine(["deadletter", "show", handle])));
  const row = deadLetterRow(lines[0] ?? "");
  const fields = Object.entries(row).map(([name, value]) => [name, String(value)]);
  for (const [name, value] of fields) process.stdout.write(`${name!.padEnd(14)} ${value}\n`);
  process.stdout.write(`workload       ${printable(lines[1] ?? "").replaceAll("\\x5c", "\\")}\n`);
}

function checkedLimit({ limit }: AdminContext): number {
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new UsageError("OPTION_INVALID", "--limit takes a whole number of at least 1");
}

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function writeTable(columns: readonly Column[], rows: readonly (readonly string[])[], empty: string): void {
  process.stdout.write(rows.length === 0 ? `${empty}\n` : `${tableLines(columns, rows).join("\n")}\n`);
}
