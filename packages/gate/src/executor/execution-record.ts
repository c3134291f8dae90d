import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessTrail } from "./processes.ts";

/** What stands on the disk of an execution besides its log: enough to end what it left, and to know when it may go. */
export interface ExecutionRecord {
  readonly build: string;
  readonly job: string;
  readonly startedMs: number;
  readonly endedMs: number | null;
  /** Log and artifacts. */
  readonly bytes: number;
  readonly trail: ProcessTrail;
  readonly work: string;
  /** Its workspace is kept. Absent: it is not. */
  readonly held?: HeldRecord | null;
}

/** A workspace that is kept. */
export interface HeldRecord {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly bytes: number;
}

/** Written beside and renamed, so that it is whole whenever the process ends. */
export function writeRecord(folder: string, record: ExecutionRecord): void {
  const path = join(folder, "execution.json");
  try {
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** @param folder Of the execution. @returns `undefined` when there is none, or none that can be read. */
export function readRecord(folder: string): ExecutionRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "execution.json"), "utf8")) as ExecutionRecord;
  } catch {
    return undefined;
  }
}

export function isDiskFull(error: unknown): boolean {
  const { code, message, stderr } = error as { code?: unknown; message?: string; stderr?: string };
  return code === "ENOSPC" || /No space left on device/.test(`${message} ${stderr}`);
}
