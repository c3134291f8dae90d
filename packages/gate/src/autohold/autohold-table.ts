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

CREATE TABLE gate_held_builds (
  build INTEGER PRIMARY KEY,
  autohold INTEGER NOT NULL,
  buildset INTEGER NOT NULL,
  execution TEXT NOT NULL,
  until_ms INTEGER NOT NULL
) STRICT;
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

export interface HeldBuild {
  readonly build: BuildId;
  readonly autohold: number;
  readonly buildset: BuildsetId;
  readonly execution: string;
  readonly untilMs: number;
}

/** Which builds are to keep their workspaces when they fail, and which have. */
export class AutoholdTable {
  readonly #db: GateDatabase;

  constructor(db: GateDatabase) {
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

  /** Oldest first, those among them that have held all that they should. */
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
   * Counts a build whose workspace was kept.
   * @returns Whether it is held: `false` when others were sooner, or nobody wishes it any more.
   */
  hold(
    build: BuildId,
    buildset: BuildsetId,
    execution: string,
    autohold: Autohold,
    untilMs: number,
  ): boolean {
    return this.#db.transaction(() => {
      const { changes } = this.#db.db
        .prepare("UPDATE gate_autoholds SET count = count - 1 WHERE id = ? AND count > 0")
        .run(autohold.id);
      if (Number(changes) === 0) return false;
      this.#db.db
        .prepare(
          "INSERT INTO gate_held_builds (build, autohold, buildset, execution, until_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .run(build, autohold.id, buildset, execution, untilMs);
      return true;
    });
  }

  held(): HeldBuild[] {
    return this.#db.db
      .prepare("SELECT build, autohold, buildset, execution, until_ms FROM gate_held_builds ORDER BY build")
      .all()
      .map((row) => ({
        build: row.build as number,
        autohold: row.autohold as number,
        buildset: row.buildset as number,
        execution: row.execution as string,
        untilMs: row.until_ms as number,
      }));
  }

  /** @returns What was held for it, and is to be let go; `undefined` when there is no such request. */
  remove(id: number): HeldBuild[] | undefined {
    return this.#db.transaction(() => {
      const { changes } = this.#db.db.prepare("DELETE FROM gate_autoholds WHERE id = ?").run(id);
      if (Number(changes) === 0) return undefined;
      const held = this.held().filter(({ autohold }) => autohold === id);
      this.#db.db.prepare("DELETE FROM gate_held_builds WHERE autohold = ?").run(id);
      return held;
    });
  }

  /** Forgets what is held no longer, and requests of which nothing is left. @returns What is to be let go. */
  expire(nowMs: number): HeldBuild[] {
    return this.#db.transaction(() => {
      const over = this.held().filter(({ untilMs }) => untilMs <= nowMs);
      this.#db.db.prepare("DELETE FROM gate_held_builds WHERE until_ms <= ?").run(nowMs);
      this.#db.db
        .prepare(
          "DELETE FROM gate_autoholds WHERE count = 0 AND id NOT IN (SELECT autohold FROM gate_held_builds)",
        )
        .run();
      return over;
    });
  }
}
