import { DatabaseSync, type StatementSync } from "node:sqlite";
import { parentPort } from "node:worker_threads";
import type { Commit, Fired, StoredJob } from "../core/index.ts";
import { PACKED_COLUMNS, type Packed, type PackedRow, packRows, unpack } from "./packed.ts";
import { bytesOf, failure, resultOf, SQLITE_BUSY } from "./sqlite-rows.ts";
import { migrate } from "./sqlite-schema.ts";
import { StoreError, type StoreErrorCode } from "./store.ts";

/* The thread that has the SQLite file: one call after another, each with one answer. */

export type Call =
  | { readonly what: "open"; readonly path: string }
  | { readonly what: "load"; readonly after: number; readonly limit: number }
  | { readonly what: "count" }
  | { readonly what: "fired" }
  | { readonly what: "reserve"; readonly wanted: number; readonly count: number }
  | { readonly what: "commit"; readonly commit: Omit<Commit, "puts">; readonly puts: Packed }
  | { readonly what: "close" };

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: StoreErrorCode; readonly detail: string };

class Database {
  readonly #db: DatabaseSync;
  /** Held open in a transaction for as long as this process lives: whoever wants the store, too, cannot have it. */
  readonly #lock: DatabaseSync;
  readonly #put: StatementSync;
  readonly #change: StatementSync;
  readonly #delete: StatementSync;
  readonly #fire: StatementSync;
  readonly #load: StatementSync;

  constructor(path: string) {
    this.#lock = lock(path);
    try {
      this.#db = new DatabaseSync(path, { timeout: 10_000 });
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000");
      migrate(this.#db, path);
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.#put = this.#db.prepare(`INSERT OR REPLACE INTO jobs
      (id, fn, key, workload, priority, due_ms, reducer, traceparent, linger_ms, attempts, submitted_ms, reason, died_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#change = this.#db.prepare(
      "UPDATE jobs SET priority = ?, due_ms = ?, attempts = ?, reason = ?, died_ms = ? WHERE id = ?",
    );
    this.#fire = this.#db.prepare("INSERT OR REPLACE INTO schedules (name, fired_ms) VALUES (?, ?)");
    this.#delete = this.#db.prepare("DELETE FROM jobs WHERE id = ?");
    this.#load = this.#db.prepare(`SELECT ${PACKED_COLUMNS} FROM jobs WHERE id > ? ORDER BY id LIMIT ?`);
    this.#load.setReturnArrays(true);
  }

  load(after: number, limit: number): Packed {
    return packRows(this.#load.all(after, limit) as unknown as PackedRow[]);
  }

  count(): number {
    return this.#number("SELECT count(*) AS n FROM jobs");
  }

  fired(): Fired[] {
    const sql = "SELECT name, fired_ms FROM schedules";
    const rows = this.#db.prepare(sql).all() as unknown as { name: string; fired_ms: number }[];
    return rows.map(({ name, fired_ms }) => ({ schedule: name, atMs: fired_ms }));
  }

  reserve(wanted: number, count: number): number {
    const first = Math.max(wanted, this.#number("SELECT next_id AS n FROM server"));
    this.#db.prepare("UPDATE server SET next_id = ?").run(first + count);
    return first;
  }

  commit({ puts, changes, deletes, fired }: Commit): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      for (const job of puts) this.#insert(job);
      for (const { id, priority, dueMs, attempts, reason, diedMs } of changes) {
        this.#change.run(priority, dueMs, attempts, reason, diedMs, id);
      }
      for (const id of deletes) this.#delete.run(id);
      for (const { schedule, atMs } of fired) this.#fire.run(schedule, atMs);
      this.#db.exec("COMMIT");
    } catch (error) {
      // SQLite may have rolled back by itself, as when the disk is full.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#db.close();
    this.#lock.close();
  }

  #insert(job: StoredJob): void {
    const { id, priority, dueMs, traceparent, lingerMs, attempts, submittedMs, reason, diedMs } = job;
    this.#put.run(
      id,
      bytesOf(job.fn),
      bytesOf(job.key),
      job.workload,
      priority,
      dueMs,
      bytesOf(job.reducer),
      traceparent,
      lingerMs,
      attempts,
      submittedMs,
      reason,
      diedMs,
    );
  }

  #number(sql: string): number {
    return (this.#db.prepare(sql).get() as { n: number }).n;
  }
}

/** @throws StoreError when another server has it. */
function lock(path: string): DatabaseSync {
  const held = new DatabaseSync(`${path}-lock`);
  try {
    held.exec("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    return held;
  } catch (error) {
    held.close();
    if (resultOf(error) !== SQLITE_BUSY) throw error;
    throw new StoreError("STORE_IN_USE", `${path} is the store of another server that runs`);
  }
}

let path = "";
let database: Database | undefined;

function answer(call: Call): unknown {
  switch (call.what) {
    case "open":
      path = call.path;
      database = new Database(path);
      return undefined;
    case "load":
      return database!.load(call.after, call.limit);
    case "fired":
      return database!.fired();
    case "count":
      return database!.count();
    case "reserve":
      return database!.reserve(call.wanted, call.count);
    case "commit":
      return database!.commit({ ...call.commit, puts: unpack(call.puts) });
    case "close":
      return database!.close();
  }
}

parentPort!.on("message", (call: Call) => {
  let result: Answer;
  try {
    result = { ok: true, value: answer(call) };
  } catch (error) {
    const { code, detail } = failure(error, path);
    result = { ok: false, code, detail };
  }
  const packed = result.ok && call.what === "load" ? (result.value as Packed) : undefined;
  parentPort!.postMessage(result, packed === undefined ? [] : [packed.numbers.buffer, packed.bytes.buffer]);
});
