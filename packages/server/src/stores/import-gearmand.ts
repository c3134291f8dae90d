import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StoredJob } from "../core/index.ts";
import type { Progress } from "./backup.ts";
import { openStore } from "./open.ts";
import { failure } from "./sqlite-rows.ts";
import { NO_CHANGES, StoreError } from "./store.ts";

const CHUNK_ROWS = 5000;

/** A row of gearmand's. Its priorities have the numbers of ours. */
interface Row {
  readonly unique_key: string | null;
  readonly function_name: string | null;
  readonly priority: number;
  readonly data: Uint8Array | string | null;
  /** In seconds; 0 = now. */
  readonly when_to_run: number;
}

/**
 * Adds the jobs of gearmand's `libsqlite3` queue to a store, which no server may have meanwhile. The file stays as it is.
 * @param table gearmand's `--libsqlite3-table`.
 * @returns how many.
 * @throws StoreError
 */
export async function importGearmandSqlite(
  file: string,
  to: { readonly store: string; readonly server?: string | undefined },
  table = "gearman_queue",
  progress: Progress = () => {},
): Promise<number> {
  const path = resolve(file);
  if (!existsSync(path)) throw new StoreError("STORE_UNAVAILABLE", `${path} does not exist`);
  if (!/^\w+$/.test(table)) throw new StoreError("STORE_DAMAGED", `${table} is no name of a table`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
    db.exec("BEGIN");
    const { n: total } = db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
    const store = await openStore(to.store, to.server);
    try {
      const nowMs = Date.now();
      const first = await store.reserve(nowMs * 1000, total);
      const sql = `SELECT unique_key, function_name, priority, data, when_to_run FROM ${table} ORDER BY rowid`;
      let puts: StoredJob[] = [];
      let done = 0;
      progress(0, total);
      for (const row of db.prepare(sql).iterate() as unknown as Iterable<Row>) {
        puts.push(jobOf(row, first + done + puts.length, nowMs));
        if (puts.length < CHUNK_ROWS) continue;
        await store.commit({ ...NO_CHANGES, puts });
        done += puts.length;
        puts = [];
        progress(done, total);
      }
      await store.commit({ ...NO_CHANGES, puts });
      progress(total, total);
      return total;
    } finally {
      await store.close();
    }
  } catch (error) {
    throw failure(error, path);
  } finally {
    db?.close();
  }
}

function jobOf(row: Row, id: number, nowMs: number): StoredJob {
  const { data, priority } = row;
  return {
    id,
    fn: byteStringOf(row.function_name),
    key: byteStringOf(row.unique_key),
    workload: typeof data === "string" ? Buffer.from(data) : (data ?? new Uint8Array(0)),
    priority: priority === 0 || priority === 2 ? priority : 1,
    dueMs: row.when_to_run * 1000 > nowMs ? row.when_to_run * 1000 : 0,
    reducer: "",
    traceparent: "",
    lingerMs: -1,
    attempts: 0,
    submittedMs: nowMs,
    reason: "",
    diedMs: 0,
  };
}

/** gearmand writes its names' bytes as text. */
function byteStringOf(text: string | null): string {
  return Buffer.from(text ?? "").toString("latin1");
}
