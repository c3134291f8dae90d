import { DatabaseSync, type StatementSync } from "node:sqlite";
import { HeldFile } from "./held-file.ts";

/** One version of one part's tables; applied once, in order. */
export interface Migration {
  /** `forge 1`: the part and its version. */
  readonly name: string;
  readonly sql: string;
}

export type GateStoreErrorCode = "GATE_STORE_UNUSABLE" | "GATE_STORE_NEWER" | "GATE_STORE_IN_USE";

/** The gate's database cannot be had. */
export class GateStoreError extends Error {
  override readonly name = "GateStoreError";
  readonly code: GateStoreErrorCode;

  constructor(code: GateStoreErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/**
 * The SQLite file in which the gate keeps everything but repositories, logs and artifacts. It is written from one thread and
 * synchronously: what a call has returned from is on the disk, with everything else of its transaction.
 */
export class GateDatabase {
  readonly db: DatabaseSync;
  readonly path: string;
  readonly #lock: HeldFile;
  /** By their text: only texts of the program go here, of which there are few. */
  readonly #prepared = new Map<string, StatementSync>();
  #depth = 0;
  #after: (() => void)[] = [];
  /** Of what is on the disk, in the order in which it got there. */
  readonly #due: (() => void)[] = [];
  #isFollowingUp = false;

  /** @throws GateStoreError */
  constructor(path: string, migrations: readonly Migration[]) {
    this.path = path;
    this.#lock = lock(path);
    try {
      this.db = new DatabaseSync(path, { timeout: 10_000 });
      this.db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
      this.#migrate(migrations);
    } catch (error) {
      this.#lock.release();
      if (error instanceof GateStoreError) throw error;
      throw new GateStoreError("GATE_STORE_UNUSABLE", `${path}: ${(error as Error).message}`);
    }
  }

  /** Runs `change` in one transaction; inside another it is part of that one. */
  transaction<T>(change: () => T): T {
    if (this.#depth > 0) return change();
    this.db.exec("BEGIN IMMEDIATE");
    this.#depth++;
    let value: T;
    try {
      value = change();
      this.db.exec("COMMIT");
    } catch (error) {
      this.#after = [];
      if (this.db.isTransaction) this.db.exec("ROLLBACK");
      throw error;
    } finally {
      this.#depth--;
    }
    this.#due.push(...this.#after.splice(0));
    this.#followUp();
    return value;
  }

  /** What follows from a transaction may have another one made, whose turn comes after all that follows from this one. */
  #followUp(): void {
    if (this.#isFollowingUp) return;
    this.#isFollowingUp = true;
    try {
      for (let act = this.#due.shift(); act !== undefined; act = this.#due.shift()) act();
    } finally {
      this.#isFollowingUp = false;
    }
  }

  /**
   * Calls `act` when the transaction that is under way is on the disk, and not at all when it fails. Where that transaction is
   * made by such an act, those that were to be called before have their turn first.
   */
  afterCommit(act: () => void): void {
    if (this.#depth === 0) act();
    else this.#after.push(act);
  }

  /**
   * A statement that is prepared once. For what is run again and again and read at once: whoever goes through the rows one by
   * one would lose them when it is run again.
   */
  prepared(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.db.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }

  close(): void {
    this.db.close();
    this.#lock.release();
  }

  #migrate(migrations: readonly Migration[]): void {
    this.transaction(() => {
      this.db.exec("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) WITHOUT ROWID, STRICT");
      const rows = this.db.prepare("SELECT name FROM migrations").all() as { name: string }[];
      const done = new Set(rows.map(({ name }) => name));
      for (const { name, sql } of migrations) {
        if (done.delete(name)) continue;
        this.db.exec(sql);
        this.db.prepare("INSERT INTO migrations (name) VALUES (?)").run(name);
      }
      if (done.size === 0) return;
      throw new GateStoreError(
        "GATE_STORE_NEWER",
        `${this.path} was written by a newer Drover (${[...done].join(", ")}); use that one`,
      );
    });
  }
}

/** A second file, held for as long as this process lives: two gates on one database would both merge. */
function lock(path: string): HeldFile {
  let held: HeldFile | undefined;
  try {
    held = HeldFile.take(`${path}.lock`);
  } catch (error) {
    throw new GateStoreError("GATE_STORE_UNUSABLE", `${path}: ${(error as Error).message}`);
  }
  if (held === undefined)
    throw new GateStoreError("GATE_STORE_IN_USE", `another process runs the gate of ${path}`);
  return held;
}
