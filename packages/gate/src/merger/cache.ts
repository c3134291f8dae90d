import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Kept } from "../config/kept.ts";
import type { Conflict } from "./tree-answer.ts";

/** What became of a step. */
export type StepResult =
  | { readonly kind: "merged"; readonly commit: string }
  | ({ readonly kind: "conflict" } & Conflict);

/** Results that are at hand without a look at the file. */
const MAX_RECENT = 2_000;

/** Results that are remembered; then the older tenth goes. */
export const MAX_REMEMBERED = 200_000;

/**
 * What steps became, by everything that decides it, so that it is right whenever it is found, in this process or in a later
 * one. It is a file that may be lost: one that is broken is made anew, and a row that is broken is not there.
 */
export class MergeCache {
  readonly #limit: number;
  /** Asked for again by every item behind. */
  readonly #recent: Kept<StepResult>;
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  #rows: number;

  /** @param file Default: nothing outlives this process. */
  constructor(file = ":memory:", limit = MAX_REMEMBERED) {
    this.#limit = limit;
    this.#recent = new Kept(Math.min(MAX_RECENT, limit));
    this.#db = openOrRebuild(file);
    this.#find = this.#db.prepare("SELECT result, digest FROM steps WHERE key = ?");
    this.#insert = this.#db.prepare("INSERT OR REPLACE INTO steps (key, result, digest) VALUES (?, ?, ?)");
    const { n } = this.#db.prepare("SELECT count(*) AS n FROM steps").get() as { n: number };
    this.#rows = n;
  }

  find(key: Uint8Array): StepResult | undefined {
    const recent = this.#recent.find(nameOf(key));
    if (recent !== undefined) return recent;
    try {
      const row = this.#find.get(key) as { result: string; digest: Uint8Array } | undefined;
      if (row === undefined || !digestOf(key, row.result).equals(row.digest)) return undefined;
      return this.#keep(key, JSON.parse(row.result) as StepResult);
    } catch {
      return undefined;
    }
  }

  remember(key: Uint8Array, result: StepResult): void {
    const text = JSON.stringify(result);
    this.#keep(key, result);
    try {
      this.#insert.run(key, text, digestOf(key, text));
      if (++this.#rows <= this.#limit) return;
      const keep = Math.floor(this.#limit * 0.9);
      this.#db
        .prepare("DELETE FROM steps WHERE id <= (SELECT id FROM steps ORDER BY id DESC LIMIT 1 OFFSET ?)")
        .run(keep);
      this.#rows = keep;
    } catch {
      // A full disk, say. It is worked out again when it is asked for again.
    }
  }

  /** What is in the way of a merge may be long, and is not asked for again. */
  #keep(key: Uint8Array, result: StepResult): StepResult {
    return result.kind === "merged" ? this.#recent.keep(nameOf(key), result, 1) : result;
  }

  close(): void {
    this.#db.close();
  }
}

function openOrRebuild(file: string): DatabaseSync {
  try {
    return open(file);
  } catch (error) {
    // What another process has locked, or what may not be written, is not broken.
    if (/locked|busy|readonly|unable to open/i.test((error as Error).message)) return open(":memory:");
    for (const end of ["", "-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
    return open(file);
  }
}

function open(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 10_000 });
  try {
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const { quick_check: health } = db.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (health !== "ok") throw new Error(health);
    db.exec(`CREATE TABLE IF NOT EXISTS steps (
      id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, result TEXT NOT NULL, digest BLOB NOT NULL) STRICT`);
    db.prepare("SELECT id, key, result, digest FROM steps LIMIT 1").get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

function digestOf(key: Uint8Array, result: string): Buffer {
  return createHash("sha256").update(key).update(result).digest();
}
