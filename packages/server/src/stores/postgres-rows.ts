import pg from "pg";
import type { StoredJob } from "../core/index.ts";

/* What PostgreSQL gives and takes: connections and rows. */

/** For connecting, and for a statement: then the database counts as lost. */
const TIMEOUT_MS = 10_000;

/** A row as the driver gives it: 64-bit numbers as text. */
export interface Row {
  readonly id: string;
  readonly fn: Buffer;
  readonly key: Buffer;
  readonly workload: Buffer;
  readonly priority: number;
  readonly due_ms: string;
  readonly reducer: Buffer;
  readonly traceparent: string;
  readonly linger_ms: string;
  readonly attempts: number;
  readonly submitted_ms: string;
  readonly reason: string;
  readonly died_ms: string;
}

/** A connection that can be used. @param onLost Told when it cannot any more. */
export async function connect(
  url: string,
  onLost: (client: pg.Client) => void = () => {},
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "drover",
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    keepAlive: true,
  });
  client.on("error", () => onLost(client));
  client.on("end", () => onLost(client));
  await client.connect();
  // Acknowledged means on disk, whatever the database's own setting is.
  await client.query("SET synchronous_commit = on");
  return client;
}

export function jobOf(row: Row): StoredJob {
  const { traceparent, attempts, reason } = row;
  return {
    id: Number(row.id),
    fn: row.fn.toString("latin1"),
    key: row.key.toString("latin1"),
    workload: row.workload,
    priority: row.priority as StoredJob["priority"],
    dueMs: Number(row.due_ms),
    reducer: row.reducer.toString("latin1"),
    traceparent,
    lingerMs: Number(row.linger_ms),
    attempts,
    submittedMs: Number(row.submitted_ms),
    reason,
    diedMs: Number(row.died_ms),
  };
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** The address without what is secret in it. */
export function shownUrl(url: string): string {
  const { username, host, pathname } = new URL(url);
  return `postgres://${username === "" ? "" : `${username}@`}${host}${pathname}`;
}
