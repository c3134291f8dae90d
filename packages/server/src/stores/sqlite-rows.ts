import { byteString } from "@drover/protocol";
import type { StoredJob } from "../core/index.ts";
import { StoreError } from "./store.ts";

/* What SQLite gives and takes: rows and errors. */

/** A row as SQLite gives it. Names, keys and the like are bytes, as on the wire. */
export interface Row {
  readonly id: number;
  readonly fn: Uint8Array;
  readonly key: Uint8Array;
  readonly workload: Uint8Array;
  readonly priority: number;
  readonly due_ms: number;
  readonly reducer: Uint8Array;
  readonly traceparent: string;
  readonly linger_ms: number;
  readonly attempts: number;
  readonly submitted_ms: number;
  readonly reason: string;
  readonly died_ms: number;
}

export function jobOf(row: Row): StoredJob {
  const { id, workload, traceparent, attempts, reason } = row;
  return {
    id,
    fn: textOf(row.fn),
    key: textOf(row.key),
    workload,
    priority: row.priority as StoredJob["priority"],
    dueMs: row.due_ms,
    reducer: textOf(row.reducer),
    traceparent,
    lingerMs: row.linger_ms,
    attempts,
    submittedMs: row.submitted_ms,
    reason,
    diedMs: row.died_ms,
  };
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function textOf(bytes: Uint8Array): string {
  return bytes.length === 0 ? "" : byteString(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

export const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code of an error, if it is one of its. */
export function resultOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** An error of a file in the words of stores. */
export function failure(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const result = resultOf(error);
  const code = result === SQLITE_CORRUPT || result === SQLITE_NOTADB ? "STORE_DAMAGED" : "STORE_UNAVAILABLE";
  return new StoreError(code, `${path}: ${(error as Error).message}`);
}
