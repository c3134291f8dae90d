import { type FrozenJobDefinition, Kept } from "../config/index.ts";
import type { BuildId, BuildsetId, ChainLink, ItemId, Subject } from "../core/index.ts";
import type { BuildOutcome, BuildRequest, ReturnedData } from "../executor/index.ts";
import type { GateDatabase, Migration } from "../store/database.ts";

/** Tables of what was run. Times are milliseconds since 1970. */
export const BUILD_MIGRATIONS: readonly Migration[] = [
  {
    name: "builds 1",
    sql: `
CREATE TABLE gate_buildsets (
  id INTEGER PRIMARY KEY,
  pipeline TEXT NOT NULL,
  -- JSON: chain, jobs by name, repositories with their branches
  frozen TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE gate_builds (
  id INTEGER PRIMARY KEY,
  buildset INTEGER NOT NULL,
  item INTEGER NOT NULL,
  pipeline TEXT NOT NULL,
  job TEXT NOT NULL,
  -- of the change or ref, as JSON
  subject TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  project TEXT NOT NULL,
  branch TEXT,
  voting INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  -- the request, as JSON, until the build has ended
  request TEXT,
  execution TEXT,
  result TEXT,
  detail TEXT,
  -- JSON of the outcome's data and artifacts
  outcome TEXT,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER
) STRICT;
CREATE INDEX gate_builds_of_buildset ON gate_builds (buildset, job);
CREATE INDEX gate_builds_of_subject ON gate_builds (subject_id, id);
CREATE INDEX gate_builds_of_job ON gate_builds (job, project, branch, result, id);
CREATE INDEX gate_builds_unfinished ON gate_builds (id) WHERE ended_ms IS NULL;
`,
  },
];

/** What was frozen for a buildset. */
export interface FrozenBuildset {
  readonly chain: readonly ChainLink[];
  readonly jobs: Readonly<Record<string, FrozenJobDefinition>>;
  /** Of a cycle: the id of the change that each job runs for; its jobs have names of their own there. */
  readonly owners?: Readonly<Record<string, string>>;
  /** Tips of each repository that a job may want, with the changes of the chain merged. */
  readonly repositories: Readonly<Record<string, FrozenRepository>>;
}

export interface FrozenRepository {
  readonly branches: Readonly<Record<string, string>>;
  /** What was merged of those that the chain changes: where trusted code is taken from. */
  readonly merged: Readonly<Record<string, string>>;
  /** Tips before the item's own change, where they differ. */
  readonly before: Readonly<Record<string, string>>;
  readonly defaultBranch: string;
}

/** A build as it is on record. */
export interface BuildRow {
  readonly id: BuildId;
  readonly buildset: BuildsetId;
  readonly item: ItemId;
  readonly pipeline: string;
  readonly job: string;
  readonly subject: Subject;
  readonly voting: boolean;
  readonly attempt: number;
  readonly execution: string | null;
  /** `RETRY` of one whose preparation failed, `LOST` of one whose executor was lost. */
  readonly result: string | null;
  readonly detail: string | null;
  readonly outcome: Pick<BuildOutcome, "data" | "artifacts"> | null;
  readonly startedMs: number;
  readonly endedMs: number | null;
}

export interface BuildTimes {
  readonly startedMs: number;
  readonly endedMs: number | null;
}

export interface BuildFilter {
  readonly project?: string | undefined;
  readonly job?: string | undefined;
  readonly result?: string | undefined;
  readonly pipeline?: string | undefined;
  readonly subjectId?: string | undefined;
  readonly buildset?: BuildsetId | undefined;
  /** Only those with a lower id: newest come first. */
  readonly before?: BuildId | undefined;
  /** Default: 50. At most 500. */
  readonly limit?: number | undefined;
}

const MAX_PAGE = 500;
const MAX_TIMES = 50_000;
/** Characters of what was frozen that are kept as they are used. */
const MAX_FROZEN_LENGTH = 16 * 1024 * 1024;
/** Past runs from which the time of the next is guessed. */
const GUESSED_FROM = 10;
const COLUMNS =
  "id, buildset, item, pipeline, job, subject, voting, attempt, execution, result, detail, outcome, started_ms, ended_ms";

/** What is known of builds beside what the core knows: what they ran, where, and how they ended. */
export class BuildTable {
  readonly #db: GateDatabase;
  /** Read for each build of a buildset. */
  readonly #frozen = new Kept<FrozenBuildset>(MAX_FROZEN_LENGTH);
  /** Of builds that were looked at lately. */
  readonly #times = new Map<BuildId, BuildTimes>();
  /** Guessed durations by job, project and branch. */
  readonly #estimates = new Map<string, number | null>();

  constructor(db: GateDatabase) {
    this.#db = db;
  }

  freeze(id: BuildsetId, pipeline: string, frozen: FrozenBuildset, atMs: number): void {
    this.#frozen.drop(String(id));
    this.#db
      .prepared("INSERT OR REPLACE INTO gate_buildsets (id, pipeline, frozen, at_ms) VALUES (?, ?, ?, ?)")
      .run(id, pipeline, JSON.stringify(frozen), atMs);
  }

  frozen(id: BuildsetId): FrozenBuildset | undefined {
    const known = this.#frozen.find(String(id));
    if (known !== undefined) return known;
    const row = this.#db.prepared("SELECT frozen FROM gate_buildsets WHERE id = ?").get(id);
    if (row === undefined) return undefined;
    const text = row.frozen as string;
    return this.#frozen.keep(String(id), JSON.parse(text) as FrozenBuildset, text.length);
  }

  begin(
    build: Omit<BuildRow, "execution" | "result" | "detail" | "outcome" | "endedMs">,
    /** `null`: it cannot even be asked for. */
    request: BuildRequest | null,
  ): void {
    const { id, buildset, item, pipeline, job, subject, voting, attempt, startedMs } = build;
    this.#db
      .prepared(
        `INSERT OR IGNORE INTO gate_builds (id, buildset, item, pipeline, job, subject, subject_id, project, branch, voting, attempt, request, started_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        id,
        buildset,
        item,
        pipeline,
        job,
        JSON.stringify(subject),
        subject.id,
        subject.project,
        subject.branch,
        Number(voting),
        attempt,
        request === null ? null : JSON.stringify(request),
        startedMs,
      );
  }

  /** Builds of the jobs before a job, those of its parents' parents among them, in the order of the graph. */
  parentsOf(buildset: BuildsetId, job: string, frozen: FrozenBuildset): BuildRow[] {
    const { jobs } = frozen;
    const wanted = new Set<string>();
    const walk = (name: string): void => {
      for (const { name: parent } of jobs[name]?.dependencies ?? []) {
        if (wanted.has(parent)) continue;
        wanted.add(parent);
        walk(parent);
      }
    };
    walk(job);
    if (wanted.size === 0) return [];
    const rows = this.ofBuildset(buildset, frozen);
    return Object.keys(jobs).flatMap((name) => (wanted.has(name) ? (rows.get(name) ?? []) : []));
  }

  /** What a build was started with; `undefined` when it never was, or has ended. */
  request(id: BuildId): BuildRequest | undefined {
    const row = this.#db.prepared("SELECT request FROM gate_builds WHERE id = ?").get(id);
    return row?.request == null ? undefined : (JSON.parse(row.request as string) as BuildRequest);
  }

  setExecution(id: BuildId, execution: string): void {
    this.#db.prepared("UPDATE gate_builds SET execution = ? WHERE id = ?").run(execution, id);
  }

  /** What a paused build has returned so far: those that depend on it get it. */
  setReturned(id: BuildId, data: ReturnedData): void {
    this.#db
      .prepared("UPDATE gate_builds SET outcome = ? WHERE id = ? AND ended_ms IS NULL")
      .run(JSON.stringify({ data, artifacts: [] }), id);
  }

  end(
    id: BuildId,
    end: { readonly result: string; readonly detail: string | null; readonly outcome: BuildOutcome | null },
    atMs: number,
  ): void {
    const { result, detail, outcome } = end;
    this.#times.delete(id);
    const kept =
      outcome === null ? null : JSON.stringify({ data: outcome.data, artifacts: outcome.artifacts });
    this.#db
      .prepared(
        `UPDATE gate_builds SET request = NULL, result = ?, detail = ?, outcome = ?, ended_ms = ?,
         execution = coalesce(?, execution) WHERE id = ? AND ended_ms IS NULL`,
      )
      .run(result, detail, kept, atMs, outcome?.execution ?? null, id);
    if (result === "SUCCESS") this.#estimates.clear();
  }

  get(id: BuildId): BuildRow | undefined {
    const row = this.#db.prepared(`SELECT ${COLUMNS} FROM gate_builds WHERE id = ?`).get(id);
    return row === undefined ? undefined : rowOf(row);
  }

  /** When a build ran; `undefined` when it did not begin. */
  timesOf(id: BuildId): BuildTimes | undefined {
    const known = this.#times.get(id);
    if (known !== undefined) return known;
    const row = this.#db.prepared("SELECT started_ms, ended_ms FROM gate_builds WHERE id = ?").get(id);
    if (row === undefined) return undefined;
    const times = { startedMs: row.started_ms as number, endedMs: row.ended_ms as number | null };
    if (this.#times.size >= MAX_TIMES) this.#times.clear();
    this.#times.set(id, times);
    return times;
  }

  unfinished(): BuildRow[] {
    return this.#db.db.prepare(`SELECT ${COLUMNS} FROM gate_builds WHERE ended_ms IS NULL`).all().map(rowOf);
  }

  /** What its job was frozen as. `undefined`: it is not known any more. */
  definitionOf(row: BuildRow): FrozenJobDefinition | undefined {
    const frozen = this.frozen(row.buildset);
    return frozen?.jobs[nameIn(frozen, row)];
  }

  /** The newest build of each job of a buildset, by the names that its jobs have there. */
  ofBuildset(buildset: BuildsetId, frozen: FrozenBuildset): ReadonlyMap<string, BuildRow> {
    const rows = this.#db
      .prepared(`SELECT ${COLUMNS} FROM gate_builds WHERE buildset = ? ORDER BY id`)
      .all(buildset)
      .map(rowOf);
    return new Map(rows.map((row) => [nameIn(frozen, row), row]));
  }

  /** Newest first. */
  list(filter: BuildFilter = {}): BuildRow[] {
    const { project, job, result, pipeline, subjectId, buildset, before, limit = 50 } = filter;
    const conditions: string[] = [];
    const values: (string | number)[] = [];
    const add = (condition: string, value: string | number | undefined): void => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    add("project = ?", project);
    add("job = ?", job);
    add("result = ?", result);
    add("pipeline = ?", pipeline);
    add("subject_id = ?", subjectId);
    add("buildset = ?", buildset);
    add("id < ?", before);
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    return this.#db.db
      .prepare(`SELECT ${COLUMNS} FROM gate_builds ${where} ORDER BY id DESC LIMIT ?`)
      .all(...values, Math.min(MAX_PAGE, Math.max(1, limit)))
      .map(rowOf);
  }

  /** How long a job takes, in milliseconds, from past runs of it that succeeded. `null`: there are none. */
  estimate(job: string, project: string, branch: string | null): number | null {
    const key = JSON.stringify([job, project, branch]);
    const known = this.#estimates.get(key);
    if (known !== undefined) return known;
    const row = this.#db.db
      .prepare(
        `SELECT avg(ended_ms - started_ms) AS ms FROM (SELECT ended_ms, started_ms FROM gate_builds
         WHERE job = ? AND project = ? AND branch IS ? AND result = 'SUCCESS' AND NOT EXISTS
         (SELECT 1 FROM gate_shared_builds WHERE build = gate_builds.id AND sharing IS NOT NULL)
         ORDER BY id DESC LIMIT ?)`,
      )
      .get(job, project, branch, GUESSED_FROM) as { ms: number | null };
    const estimate = row.ms === null ? null : Math.round(row.ms);
    this.#estimates.set(key, estimate);
    return estimate;
  }

  /** Forgets builds that ended before that time, and what was frozen for buildsets of which none is left. */
  prune(beforeMs: number, liveBuildsets: ReadonlySet<BuildsetId>): void {
    this.#db.transaction(() => {
      this.#db.db.prepare("DELETE FROM gate_builds WHERE ended_ms < ?").run(beforeMs);
      const old = this.#db.db
        .prepare(
          `SELECT id FROM gate_buildsets WHERE at_ms < ? AND NOT EXISTS
           (SELECT 1 FROM gate_builds WHERE gate_builds.buildset = gate_buildsets.id)`,
        )
        .all(beforeMs) as { id: number }[];
      const remove = this.#db.db.prepare("DELETE FROM gate_buildsets WHERE id = ?");
      for (const { id } of old) if (!liveBuildsets.has(id)) remove.run(id);
    });
  }
}

/** The name that a build's job has in its buildset. */
function nameIn({ jobs, owners = {} }: FrozenBuildset, { job, subject }: BuildRow): string {
  return Object.keys(owners).find((one) => owners[one] === subject.id && jobs[one]!.name === job) ?? job;
}

function rowOf(row: Record<string, unknown>): BuildRow {
  return {
    id: row.id as number,
    buildset: row.buildset as number,
    item: row.item as number,
    pipeline: row.pipeline as string,
    job: row.job as string,
    subject: JSON.parse(row.subject as string) as Subject,
    voting: row.voting === 1,
    attempt: row.attempt as number,
    execution: row.execution as string | null,
    result: row.result as string | null,
    detail: row.detail as string | null,
    outcome: row.outcome === null ? null : (JSON.parse(row.outcome as string) as BuildRow["outcome"]),
    startedMs: row.started_ms as number,
    endedMs: row.ended_ms as number | null,
  };
}
