import { printable } from "@drover/protocol";
import type { AdminConnection } from "./admin-connection.ts";
import { AdminRefused } from "./admin-connection.ts";

/** One function as the server counts it; names are escaped. Absent numbers are those that gearmand does not know. */
export interface FunctionRow {
  readonly name: string;
  readonly queued: number;
  readonly delayed: number | null;
  readonly running: number;
  readonly workers: number;
  readonly submissions: number | null;
  readonly joins: number | null;
  readonly runs: number | null;
  readonly completed: number | null;
  readonly failed: number | null;
  readonly lost: number | null;
  readonly paused: boolean;
}

export interface JobRow {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly state: string;
  readonly priority: string;
  readonly ageMs: number;
  readonly attempts: number;
  readonly submissions: number;
  readonly background: boolean;
  /** Id of the worker's connection. */
  readonly worker: string | null;
  readonly workloadBytes: number;
}

export interface DeadLetterRow {
  readonly handle: string;
  readonly function: string;
  readonly unique: string;
  readonly reason: string;
  readonly attempts: number;
  readonly died: string;
  readonly workloadBytes: number;
}

/** Submissions per execution: what joining saved. */
export function joinRatio({ submissions, runs }: FunctionRow): number | null {
  return submissions === null || runs === null || runs === 0 ? null : submissions / runs;
}

/** All functions; from a server that is no Drover as much as it tells. */
export async function functionRows(admin: AdminConnection): Promise<FunctionRow[]> {
  let lines: string[];
  try {
    lines = await admin.list("functions");
  } catch (error) {
    if (error instanceof AdminRefused && error.unknownCommand) return plainRows(admin);
    throw error;
  }
  return lines.map((line) => {
    const cells = line.split("\t");
    const n = (i: number) => Number(cells[i]);
    return {
      name: safe(cells[0]!),
      queued: n(1),
      delayed: n(2),
      running: n(3),
      workers: n(4),
      submissions: n(5),
      joins: n(6),
      runs: n(7),
      completed: n(8),
      failed: n(9),
      lost: n(10),
      paused: cells[11] === "paused",
    };
  });
}

async function plainRows(admin: AdminConnection): Promise<FunctionRow[]> {
  const lines = await admin.list("status");
  return lines.map((line) => {
    // A name may hold tabs; the numbers are the last three.
    const cells = line.split("\t");
    const [total, running, workers] = cells.slice(-3).map(Number);
    return {
      name: printable(cells.slice(0, -3).join("\t")),
      queued: total! - running!,
      delayed: null,
      running: running!,
      workers: workers!,
      submissions: null,
      joins: null,
      runs: null,
      completed: null,
      failed: null,
      lost: null,
      paused: false,
    };
  });
}

/** @param functionName As the server has it, a byte string. */
export async function jobRows(
  admin: AdminConnection,
  functionName: string | undefined,
  limit: number,
): Promise<JobRow[]> {
  const words = functionName === undefined ? "jobs" : `jobs ${functionName} ${limit}`;
  const lines = await admin.list(words);
  return lines.slice(0, limit).map((line) => {
    const cells = line.split("\t").map(safe);
    return {
      handle: cells[0]!,
      function: cells[1]!,
      unique: cells[2]!,
      state: cells[3]!,
      priority: cells[4]!,
      ageMs: Number(cells[5]),
      attempts: Number(cells[6]),
      submissions: Number(cells[7]),
      background: cells[8] === "background",
      worker: cells[9] === "-" ? null : cells[9]!,
      workloadBytes: Number(cells[10]),
    };
  });
}

export async function deadLetterRows(admin: AdminConnection, limit: number): Promise<DeadLetterRow[]> {
  const lines = await admin.list(`deadletters ${limit}`);
  return lines.map(deadLetterRow);
}

export function deadLetterRow(line: string): DeadLetterRow {
  const cells = line.split("\t").map(safe);
  return {
    handle: cells[0]!,
    function: cells[1]!,
    unique: cells[2]!,
    reason: cells[3]!,
    attempts: Number(cells[4]),
    died: cells[5]!,
    workloadBytes: Number(cells[6]),
  };
}

/** Totals and levels of the server by name; empty for a server that is no Drover. */
export async function serverCounts(admin: AdminConnection): Promise<ReadonlyMap<string, number>> {
  try {
    const lines = await admin.list("counts");
    return new Map(
      lines.map((line) => {
        const [name, value] = line.split("\t");
        return [safe(name!), Number(value)] as const;
      }),
    );
  } catch (error) {
    if (error instanceof AdminRefused && error.unknownCommand) return new Map();
    throw error;
  }
}

/** Escapes once more what should be escaped already: the server at the other end may be any. */
function safe(cell: string): string {
  return printable(cell).replaceAll("\\x5c", "\\");
}
