import type { BuildId } from "../core/index.ts";
import type { BuildOutcome } from "../executor/index.ts";
import type { GateDatabase, Migration } from "../store/database.ts";
import { uniqueOf } from "./key.ts";

/** Tables of executions by content. Times are milliseconds since 1970. */
export const REUSE_MIGRATIONS: readonly Migration[] = [
  {
    name: "reuse 1",
    sql: `
-- What was really run, each once, however many builds it was for.
CREATE TABLE gate_executions (
  execution TEXT PRIMARY KEY,
  key TEXT NOT NULL,
  unique_name TEXT NOT NULL,
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  -- the first of its builds that ended
  build INTEGER NOT NULL,
  result TEXT NOT NULL,
  detail TEXT,
  -- JSON; NULL of one that was lost
  outcome TEXT,
  ended_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX gate_executions_of_key ON gate_executions (key, result, ended_ms);
CREATE INDEX gate_executions_of_unique ON gate_executions (unique_name, ended_ms);
CREATE INDEX gate_executions_by_end ON gate_executions (ended_ms);

-- Builds that are submitted by their content.
CREATE TABLE gate_shared_builds (
  build INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  unique_name TEXT NOT NULL,
  -- 'reused', 'joined'; NULL: it began the execution
  sharing TEXT,
  -- the build that it has the execution of
  source INTEGER
) STRICT;
CREATE INDEX gate_shared_builds_of_unique ON gate_shared_builds (unique_name);

CREATE TABLE gate_flakes (
  key TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE gate_reuse_counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
`,
  },
];

/** Of an execution that was lost; it is no result of what was run. */
const LOST = "LOST";
const SUCCESS = "SUCCESS";
/** Flakes that are listed at most, where no other number is asked for. */
const MAX_FLAKES = 500;

/** How a build has its execution. */
export interface Sharing {
  readonly key: string;
  /** What it is submitted as. */
  readonly unique: string;
  /** `null`: the execution began with it. */
  readonly how: "reused" | "joined" | null;
  /** The build whose execution it is; `null` where it began one. */
  readonly source: BuildId | null;
}

/** An execution as it is on record. */
export interface RecordedExecution {
  readonly execution: string;
  readonly build: BuildId;
  /** As of builds: `RETRY` and `LOST` among them. */
  readonly result: string;
  readonly detail: string | null;
  readonly endedMs: number;
}

/** One key that gave different results. */
export interface Flake {
  readonly project: string;
  readonly job: string;
  readonly key: string;
  /** When that was seen first, and the last time that it was run. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Oldest first. */
  readonly executions: readonly RecordedExecution[];
}

export interface ReuseCounts {
  /** Executions that ended and were recorded. */
  readonly executions: number;
  /** Builds that took a result that was there. */
  readonly reused: number;
  /** Builds that joined an execution that was under way. */
  readonly joined: number;
  /** Keys that gave different results. */
  readonly flakes: number;
}

export interface FlakeFilter {
  readonly project?: string | undefined;
  readonly job?: string | undefined;
  /** Default and most: 500. */
  readonly limit?: number | undefined;
}

/**
 * What is known of executions by content. All of its writes belong into the transaction of what they are about: an execution
 * is recorded with the end of the first build that it was for, and is there once.
 */
export class ReuseLedger {
  readonly #db: Pick<GateDatabase, "db" | "prepared" | "transaction">;
  readonly #isKept: (execution: string) => boolean;

  /** @param isKept Whether there still is what an execution has left: without it, a result with artifacts is none. */
  constructor(
    db: Pick<GateDatabase, "db" | "prepared" | "transaction">,
    isKept: (execution: string) => boolean = () => true,
  ) {
    this.#db = db;
    this.#isKept = isKept;
  }

  /**
   * Decides how a build comes to its execution: an old result, one that is under way, or a new one.
   * @param maxAgeMs Of a result that is reused.
   * @param heldAs The build whose execution goes on under a unique, though it was taken back itself.
   */
  begin(
    build: BuildId,
    key: string,
    maxAgeMs: number,
    nowMs: number,
    heldAs: (unique: string) => BuildId | null = () => null,
  ): Sharing {
    const sharing = this.find(key, maxAgeMs, nowMs, heldAs);
    const { unique, how, source } = sharing;
    this.#db
      .prepared("INSERT OR REPLACE INTO gate_shared_builds VALUES (?, ?, ?, ?, ?)")
      .run(build, key, unique, how, source);
    if (how !== null) this.#count(how);
    return sharing;
  }

  /** How a build of this content that began now would come to its execution. */
  find(
    key: string,
    maxAgeMs: number,
    nowMs: number,
    heldAs: (unique: string) => BuildId | null = () => null,
  ): Sharing {
    const db = this.#db;
    const finished = db
      .prepared(
        `SELECT execution, unique_name, build, json_array_length(outcome, '$.artifacts') AS artifacts
         FROM gate_executions WHERE key = ? AND result = '${SUCCESS}' AND ended_ms > ? ORDER BY ended_ms DESC LIMIT 1`,
      )
      .get(key, nowMs - maxAgeMs) as
      | { execution: string; unique_name: string; build: number; artifacts: number | null }
      | undefined;
    if (finished !== undefined && (!finished.artifacts || this.#isKept(finished.execution)))
      return { key, unique: finished.unique_name, how: "reused", source: finished.build };
    const { failures } = db
      .prepared(`SELECT count(*) AS failures FROM gate_executions WHERE key = ? AND result <> '${SUCCESS}'`)
      .get(key) as { failures: number };
    const unique = uniqueOf(key, failures);
    const source = this.#runningAs(unique) ?? heldAs(unique);
    return { key, unique, how: source === null ? null : "joined", source };
  }

  #runningAs(unique: string): BuildId | null {
    const row = this.#db
      .prepared(
        `SELECT shared.build FROM gate_shared_builds AS shared JOIN gate_builds ON gate_builds.id = shared.build
         WHERE shared.unique_name = ? AND shared.sharing IS NOT 'reused' AND gate_builds.ended_ms IS NULL
         ORDER BY shared.build LIMIT 1`,
      )
      .get(unique) as { build: number } | undefined;
    return row?.build ?? null;
  }

  /** Builds that an execution of this key under way is for. */
  runningOf(key: string): BuildId[] {
    const rows = this.#db.db
      .prepare(
        `SELECT shared.build FROM gate_shared_builds AS shared JOIN gate_builds ON gate_builds.id = shared.build
         WHERE shared.unique_name BETWEEN ? || '.' AND ? || '/' AND shared.sharing IS NOT 'reused'
         AND gate_builds.ended_ms IS NULL ORDER BY shared.build`,
      )
      .all(key, key) as { build: number }[];
    return rows.map(({ build }) => build);
  }

  /** `undefined` of a build that is submitted by its own id. */
  of(build: BuildId): Sharing | undefined {
    const row = this.#db.prepared("SELECT * FROM gate_shared_builds WHERE build = ?").get(build);
    return row === undefined
      ? undefined
      : {
          key: row.key as string,
          unique: row.unique_name as string,
          how: row.sharing as Sharing["how"],
          source: row.source as number | null,
        };
  }

  /**
   * How the newest execution of a unique ended, as far as it is recorded. Of what is reused, the newest that succeeded: when an old
   * result has been too old for one, its unique is run again, and may have failed.
   */
  ended({
    unique,
    how,
  }: Pick<Sharing, "unique" | "how">):
    | (RecordedExecution & { readonly outcome: BuildOutcome | null })
    | undefined {
    const isWanted = how === "reused" ? `result = '${SUCCESS}'` : "TRUE";
    const row = this.#db
      .prepared(
        `SELECT * FROM gate_executions WHERE unique_name = ? AND ${isWanted} ORDER BY ended_ms DESC LIMIT 1`,
      )
      .get(unique);
    if (row === undefined) return undefined;
    const outcome = row.outcome === null ? null : (JSON.parse(row.outcome as string) as BuildOutcome);
    return { ...executionOf(row), outcome };
  }

  /** Records how the execution of a build ended, unless another build of it has done so. */
  record(
    build: BuildId,
    of: { readonly project: string; readonly job: string },
    end: { readonly result: string; readonly detail: string | null; readonly outcome: BuildOutcome | null },
    nowMs: number,
  ): void {
    const sharing = this.of(build);
    if (sharing === undefined || sharing.how === "reused") return;
    const { key, unique } = sharing;
    const { result, detail, outcome } = end;
    const { project, job } = of;
    const execution = outcome?.execution ?? `${unique} lost`;
    const kept = outcome === null ? null : JSON.stringify({ ...outcome, steps: [] });
    const { changes } = this.#db
      .prepared("INSERT OR IGNORE INTO gate_executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run(execution, key, unique, project, job, build, result, detail, kept, nowMs);
    if (changes === 0) return;
    this.#count("executions");
    if (result !== LOST) this.#lookForFlake(key, of, nowMs);
  }

  #lookForFlake(key: string, { project, job }: { project: string; job: string }, nowMs: number): void {
    const db = this.#db;
    const { results } = db
      .prepared(
        `SELECT count(DISTINCT result) AS results FROM gate_executions WHERE key = ? AND result <> '${LOST}'`,
      )
      .get(key) as { results: number };
    if (results < 2) return;
    const { changes } = db
      .prepared("INSERT OR IGNORE INTO gate_flakes VALUES (?, ?, ?, ?, ?)")
      .run(key, project, job, nowMs, nowMs);
    if (changes === 0) db.prepared("UPDATE gate_flakes SET last_ms = ? WHERE key = ?").run(nowMs, key);
    else this.#count("flakes");
  }

  /** The newest first. */
  flakes({ project, job, limit = MAX_FLAKES }: FlakeFilter = {}): Flake[] {
    const { db } = this.#db;
    const rows = db
      .prepare(
        `SELECT * FROM gate_flakes WHERE coalesce(?, project) = project AND coalesce(?, job) = job
         ORDER BY last_ms DESC, key LIMIT ?`,
      )
      .all(project ?? null, job ?? null, Math.min(MAX_FLAKES, Math.max(1, limit)));
    const executions = db.prepare("SELECT * FROM gate_executions WHERE key = ? ORDER BY ended_ms, execution");
    return rows.map((row) => ({
      project: row.project as string,
      job: row.job as string,
      key: row.key as string,
      firstMs: row.first_ms as number,
      lastMs: row.last_ms as number,
      executions: executions.all(row.key as string).map(executionOf),
    }));
  }

  /** Since the gate was made. */
  counts(): ReuseCounts {
    const rows = this.#db.db.prepare("SELECT name, value FROM gate_reuse_counts").all();
    const counts = new Map(rows.map(({ name, value }) => [name, value as number]));
    const of = (name: keyof ReuseCounts): number => counts.get(name) ?? 0;
    return {
      executions: of("executions"),
      reused: of("reused"),
      joined: of("joined"),
      flakes: of("flakes"),
    };
  }

  #count(name: keyof ReuseCounts): void {
    this.#db
      .prepared(
        "INSERT INTO gate_reuse_counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
      )
      .run(name);
  }

  /** Forgets what ended before that time. */
  prune(beforeMs: number): void {
    const { db } = this.#db;
    this.#db.transaction(() => {
      db.prepare("DELETE FROM gate_executions WHERE ended_ms < ?").run(beforeMs);
      db.prepare("DELETE FROM gate_flakes WHERE last_ms < ?").run(beforeMs);
      db.exec(
        "DELETE FROM gate_shared_builds WHERE NOT EXISTS (SELECT 1 FROM gate_builds WHERE gate_builds.id = build)",
      );
    });
  }
}

function executionOf(row: Record<string, unknown>): RecordedExecution {
  return {
    execution: row.execution as string,
    build: row.build as number,
    result: row.result as string,
    detail: row.detail as string | null,
    endedMs: row.ended_ms as number,
  };
}
