import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Fired, StoredJob } from "../core/index.ts";
import { sqliteFile } from "./open.ts";
import { failure, jobOf, type Row } from "./sqlite-rows.ts";
import { checkVersion } from "./sqlite-schema.ts";
import { StoreError } from "./store.ts";

/** Rows that are read at a time. */
export const CHUNK_ROWS = 5000;

/** What a store held at one moment, while its server goes on. */
export interface Snapshot {
  readonly count: number;
  /** Handles below this one were given, or may have been. */
  readonly nextId: number;
  /** When each schedule fired last. */
  readonly fired: readonly Fired[];
  /** All jobs in the order of their ids. To be read once. */
  jobs(): AsyncIterable<readonly StoredJob[]>;
  close(): Promise<void>;
}

/** A schedule as both databases give it. */
export interface FiredRow {
  readonly name: string;
  readonly fired_ms: number | string;
}

export function firedOf({ name, fired_ms }: FiredRow): Fired {
  return { schedule: name, atMs: Number(fired_ms) };
}

/**
 * Looks into a store, whoever has it.
 * @param name `sqlite:FILE` or `postgres://…`
 * @param server Whose jobs are meant, in a database of several servers.
 * @throws StoreError
 */
export async function openSnapshot(name: string, server = hostname()): Promise<Snapshot> {
  const file = sqliteFile(name);
  if (file !== undefined) return openSqlite(file);
  return (await import("./postgres-snapshot.ts")).openPostgresSnapshot(name, server);
}

async function openSqlite(file: string): Promise<Snapshot> {
  const path = resolve(file);
  if (!existsSync(path)) throw new StoreError("STORE_UNAVAILABLE", `${path} does not exist`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
    checkVersion(db, path);
    // From the first look on, one state of the file, whatever its server writes.
    db.exec("BEGIN");
    const number = (sql: string) => (db!.prepare(sql).get() as { n: number }).n;
    const count = number("SELECT count(*) AS n FROM jobs");
    const nextId = number("SELECT next_id AS n FROM server");
    const schedules = db.prepare("SELECT name, fired_ms FROM schedules").all() as unknown as FiredRow[];
    const select = db.prepare("SELECT * FROM jobs WHERE id > ? ORDER BY id LIMIT ?");
    return {
      count,
      nextId,
      fired: schedules.map(firedOf),
      async *jobs() {
        for (let after = -1; ; ) {
          let jobs: StoredJob[];
          try {
            jobs = (select.all(after, CHUNK_ROWS) as unknown as Row[]).map(jobOf);
          } catch (error) {
            throw failure(error, path);
          }
          if (jobs.length === 0) return;
          yield jobs;
          after = jobs.at(-1)!.id;
        }
      },
      close: async () => db!.close(),
    };
  } catch (error) {
    db?.close();
    throw failure(error, path);
  }
}
