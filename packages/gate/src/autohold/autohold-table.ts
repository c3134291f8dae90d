import { compileRegex } from "../config/regex.ts";
import {
  type AutoholdWish,
  type BuildId,
  type BuildsetId,
  mostSpecific,
  type Subject,
} from "../core/index.ts";
import type { GateDatabase, Migration } from "../store/database.ts";

/** How long a workspace is held where nobody says otherwise, in milliseconds: a day. */
export const DEFAULT_HOLD_MS = 86_400_000;
/** How long it is held at most: a week. */
export const MAX_HOLD_MS = 7 * 86_400_000;
/** Builds that one request is for at most. */
export const MAX_HELD_BUILDS = 100;
/** Requests at a time. */
export const MAX_AUTOHOLDS = 1_000;

/** Tables of what is to be held and what is. Times are milliseconds since 1970. */
export const AUTOHOLD_MIGRATIONS: readonly Migration[] = [
  {
    name: "autohold 1",
    sql: `
CREATE TABLE gate_autoholds (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  change_id TEXT,
  ref TEXT,
  reason TEXT NOT NULL,
  asked_by TEXT NOT NULL,
  -- builds that are still to be held
  count INTEGER NOT NULL,
  hold_ms INTEGER NOT NULL,
  made_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE gate_held_workspaces (
  execution TEXT PRIMARY KEY,
  executor TEXT NOT NULL,
  autohold INTEGER NOT NULL,
  build INTEGER NOT NULL,
  buildset INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  -- 0: its executor is to let it go
  is_wanted INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
`,
  },
];

export interface Autohold extends AutoholdWish {
  readonly id: number;
  readonly reason: string;
  readonly askedBy: string;
  /** Builds that are still to be held. */
  readonly count: number;
  /** How long each is held. */
  readonly holdMs: number;
  readonly madeMs: number;
}

/** A workspace that is held for a request. */
export interface HeldBuild {
  readonly execution: string;
  /** Which one holds it. */
  readonly executor: string;
  readonly autohold: number;
  /** The first of the builds that the execution was for. */
  readonly build: BuildId;
  readonly buildset: BuildsetId;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Which builds are to keep their workspaces when they fail, and which have. */
export class AutoholdTable {
  readonly #db: Pick<GateDatabase, "db" | "transaction">;

  constructor(db: Pick<GateDatabase, "db" | "transaction">) {
    this.#db = db;
  }

  /** @returns `undefined` when there are `MAX_AUTOHOLDS` already. */
  add(autohold: Omit<Autohold, "id">): Autohold | undefined {
    const { project, job, change, ref, reason, askedBy, count, holdMs, madeMs } = autohold;
    if (this.list().length >= MAX_AUTOHOLDS) return undefined;
    const { lastInsertRowid } = this.#db.db
      .prepare(
        `INSERT INTO gate_autoholds (project, job, change_id, ref, reason, asked_by, count, hold_ms, made_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(project, job, change, ref, reason, askedBy, count, holdMs, madeMs);
    return { ...autohold, id: Number(lastInsertRowid) };
  }

  /** Oldest first, those among them that wait only for what they hold to be let go. */
  list(): Autohold[] {
    return this.#db.db
      .prepare("SELECT * FROM gate_autoholds ORDER BY id")
      .all()
      .map((row) => ({
        id: row.id as number,
        project: row.project as string,
        job: row.job as string,
        change: row.change_id as string | null,
        ref: row.ref as string | null,
        reason: row.reason as string,
        askedBy: row.asked_by as string,
        count: row.count as number,
        holdMs: row.hold_ms as number,
        madeMs: row.made_ms as number,
      }));
  }

  /** The one that a build is for, of those that have something left to hold. */
  forBuild(job: string, subject: Subject): Autohold | undefined {
    const left = this.list().filter(({ count }) => count > 0);
    return mostSpecific(left, { job, subject }, (pattern, text) => {
      const regex = compileRegex(pattern);
      return typeof regex !== "string" && regex.matches(text);
    });
  }

  /**
   * Counts a build whose workspace is kept, if its execution does not count already. Where others were sooner it is to be let go.
   * @returns Whether it is held.
   */
  hold(held: HeldBuild): boolean {
    const { execution, executor, autohold, build, buildset, sinceMs, untilMs } = held;
    const { db } = this.#db;
    return this.#db.transaction(() => {
      const known = db
        .prepare("SELECT is_wanted FROM gate_held_workspaces WHERE execution = ?")
        .get(execution);
      if (known?.is_wanted === 1) return true;
      const { changes } = db
        .prepare("UPDATE gate_autoholds SET count = count - 1 WHERE id = ? AND count > 0")
        .run(autohold);
      const isWanted = Number(changes) > 0;
      db.prepare(
        `INSERT OR REPLACE INTO gate_held_workspaces
         (execution, executor, autohold, build, buildset, since_ms, until_ms, is_wanted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(execution, executor, autohold, build, buildset, sinceMs, untilMs, Number(isWanted));
      return isWanted;
    });
  }

  /** In the order of their builds. */
  held(): HeldBuild[] {
    return this.#workspaces(true);
  }

  /** Those that nobody wishes any more, and of which it is not known that they are gone. */
  letGo(): HeldBuild[] {
    return this.#workspaces(false);
  }

  #workspaces(areWanted: boolean): HeldBuild[] {
    return this.#db.db
      .prepare("SELECT * FROM gate_held_workspaces WHERE is_wanted = ? ORDER BY build")
      .all(Number(areWanted))
      .map((row) => ({
        execution: row.execution as string,
        executor: row.executor as string,
        autohold: row.autohold as number,
        build: row.build as number,
        buildset: row.buildset as number,
        sinceMs: row.since_ms as number,
        untilMs: row.until_ms as number,
      }));
  }

  /** A workspace is not there any more. */
  forget(execution: string): void {
    this.#db.db.prepare("DELETE FROM gate_held_workspaces WHERE execution = ?").run(execution);
    this.#forgetSpent();
  }

  /** Takes a request back; what is held for it is to be let go. @returns Whether there is one. */
  remove(id: number): boolean {
    return this.#db.transaction(() => {
      const { changes } = this.#db.db.prepare("DELETE FROM gate_autoholds WHERE id = ?").run(id);
      this.#db.db.prepare("UPDATE gate_held_workspaces SET is_wanted = 0 WHERE autohold = ?").run(id);
      return Number(changes) > 0;
    });
  }

  /** Forgets what is held no longer, of which executors know when that is, and requests of which nothing is left. */
  expire(nowMs: number): void {
    this.#db.transaction(() => {
      this.#db.db.prepare("DELETE FROM gate_held_workspaces WHERE until_ms <= ?").run(nowMs);
      this.#forgetSpent();
    });
  }

  #forgetSpent(): void {
    this.#db.db
      .prepare(
        "DELETE FROM gate_autoholds WHERE count = 0 AND id NOT IN (SELECT autohold FROM gate_held_workspaces)",
      )
      .run();
  }
}
