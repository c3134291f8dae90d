import { randomUUID } from "node:crypto";
import type { ReportConnection } from "../config/index.ts";
import type { GateDatabase, Migration } from "../store/database.ts";
import type { ReportBody } from "./body.ts";

/** Table of reports that wait for their connection. Times are milliseconds since 1970. */
export const OUTBOX_MIGRATIONS: readonly Migration[] = [
  {
    name: "outbox 1",
    sql: `
CREATE TABLE gate_outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  -- the same each time it is sent, and of no other report, not of one after a restore either
  id TEXT NOT NULL UNIQUE,
  connection TEXT NOT NULL,
  -- of the change or ref
  subject TEXT NOT NULL,
  -- a letter, as JSON
  letter TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_ms INTEGER NOT NULL,
  -- why it was not taken the last time
  problem TEXT,
  -- when it was given up
  given_up_ms INTEGER
) STRICT;
CREATE INDEX gate_outbox_waiting ON gate_outbox (given_up_ms, connection, next_ms);
CREATE INDEX gate_outbox_of_subject ON gate_outbox (subject);

CREATE TABLE gate_outbox_counts (
  connection TEXT PRIMARY KEY,
  delivered INTEGER NOT NULL DEFAULT 0,
  given_up INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID, STRICT;
`,
  },
];

export interface OutboxLimits {
  /** Reports that wait at most; the oldest are given up for newer ones. Default: 10,000. */
  readonly maxReports: number;
  /** How long one is tried. Default: 24 h. */
  readonly maxReportAgeMs: number;
  /** Of those that were given up, so many are kept to be looked at. Default: 1,000. */
  readonly maxGivenUp: number;
  /** Until the second attempt; doubled with each that fails. Default: 5 s. */
  readonly firstRetryMs: number;
  /** Between two attempts at most. Default: 15 min. */
  readonly maxRetryMs: number;
  /**
   * How long a connection that took nothing is left alone at most, whatever waits for it: `firstRetryMs` at first, doubled with
   * each attempt in a row that fails. Default: 1 min.
   */
  readonly maxPauseMs: number;
}

export const DEFAULT_OUTBOX_LIMITS: OutboxLimits = {
  maxReports: 10_000,
  maxReportAgeMs: 24 * 3_600_000,
  maxGivenUp: 1_000,
  firstRetryMs: 5_000,
  maxRetryMs: 15 * 60_000,
  maxPauseMs: 60_000,
};

/** What is sent: the report, and of a mail its head. */
export interface Letter {
  readonly body: ReportBody;
  readonly mail?: { readonly to: string | null; readonly from: string | null; readonly subject: string };
}

export interface WaitingLetter {
  readonly id: string;
  readonly connection: string;
  readonly letter: Letter;
  readonly atMs: number;
  /** That failed. */
  readonly attempts: number;
}

/** A report that has not been delivered. */
export interface Undelivered {
  readonly id: string;
  readonly connection: string;
  /** Id of the change or ref. */
  readonly subject: string;
  readonly pipeline: string;
  readonly report: ReportBody["report"];
  readonly atMs: number;
  readonly attempts: number;
  /** When it is tried next. */
  readonly nextMs: number;
  readonly problem: string | null;
  /** `null`: it is still tried. */
  readonly givenUpMs: number | null;
}

export interface OutboxCounts {
  readonly connection: string;
  readonly delivered: number;
  readonly givenUp: number;
  readonly waiting: number;
}

interface Row {
  readonly id: string;
  readonly connection: string;
  readonly subject: string;
  readonly letter: string;
  readonly atMs: number;
  readonly attempts: number;
  readonly nextMs: number;
  readonly problem: string | null;
  readonly givenUpMs: number | null;
}

const COLUMNS = `id, connection, subject, letter, at_ms AS atMs, attempts, next_ms AS nextMs, problem,
  given_up_ms AS givenUpMs`;

/**
 * Reports on their way to connections, on the disk from the moment that they are written to the moment that they are taken: each
 * is delivered at least once, or given up. Whoever writes more than one thing does it in a transaction.
 */
export class Outbox {
  readonly limits: OutboxLimits;
  readonly #db: GateDatabase;

  constructor(db: GateDatabase, limits: Partial<OutboxLimits> = {}) {
    this.#db = db;
    this.limits = { ...DEFAULT_OUTBOX_LIMITS, ...limits };
  }

  /** @returns What had to be given up to make room. */
  add(
    connection: ReportConnection["name"],
    subject: string,
    letter: (id: string) => Letter,
    nowMs: number,
  ): Undelivered[] {
    const id = randomUUID();
    this.#db.db
      .prepare(
        "INSERT INTO gate_outbox (id, connection, subject, letter, at_ms, next_ms) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(id, connection, subject, JSON.stringify(letter(id)), nowMs, nowMs);
    const tooMany = this.waiting() - this.limits.maxReports;
    if (tooMany <= 0) return [];
    const oldest = this.#rows("WHERE given_up_ms IS NULL ORDER BY seq LIMIT ?", tooMany);
    const problem = `more than ${this.limits.maxReports} reports wait, limit maxReports`;
    return oldest.map((row) => this.#giveUp(row, row.problem ?? problem, nowMs));
  }

  /** What is to be sent to a connection now: what has waited longest since it was to be. */
  due(connection: string, nowMs: number): WaitingLetter | undefined {
    const [row] = this.#rows(
      "WHERE given_up_ms IS NULL AND connection = ? AND next_ms <= ? ORDER BY next_ms, seq LIMIT 1",
      connection,
      nowMs,
    );
    if (row === undefined) return undefined;
    const { id, atMs, attempts } = row;
    return { id, connection, letter: JSON.parse(row.letter) as Letter, atMs, attempts };
  }

  /** When the next is to be sent, of each connection that something waits for. */
  nextTimes(): Map<string, number> {
    const rows = this.#db.db
      .prepare(
        "SELECT connection, min(next_ms) AS nextMs FROM gate_outbox WHERE given_up_ms IS NULL GROUP BY connection",
      )
      .all() as { connection: string; nextMs: number }[];
    return new Map(rows.map(({ connection, nextMs }) => [connection, nextMs]));
  }

  /** A connection has taken it. */
  delivered(id: string): void {
    this.#db.transaction(() => {
      const [row] = this.#rows("WHERE id = ?", id);
      if (row === undefined) return;
      this.#db.db.prepare("DELETE FROM gate_outbox WHERE id = ?").run(id);
      if (row.givenUpMs === null) this.#count(row.connection, 1, 0);
    });
  }

  /**
   * A connection did not take it: it is tried again later, unless it is too old by then.
   * @returns What was given up.
   */
  failed(id: string, problem: string, nowMs: number): Undelivered | undefined {
    const [row] = this.#rows("WHERE id = ? AND given_up_ms IS NULL", id);
    if (row === undefined) return undefined;
    const { firstRetryMs, maxRetryMs, maxReportAgeMs } = this.limits;
    const attempts = row.attempts + 1;
    const nextMs = nowMs + Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(row.attempts, 40));
    if (nextMs - row.atMs > maxReportAgeMs) return this.#giveUp({ ...row, attempts }, problem, nowMs);
    this.#db.db
      .prepare("UPDATE gate_outbox SET attempts = ?, next_ms = ?, problem = ? WHERE id = ?")
      .run(attempts, nextMs, problem, id);
    return undefined;
  }

  /** Those that wait and those that were given up, newest first. */
  list(filter: { readonly subject?: string; readonly limit?: number } = {}): Undelivered[] {
    const limit = Math.min(filter.limit ?? 100, 1_000);
    const rows =
      filter.subject === undefined
        ? this.#rows("ORDER BY seq DESC LIMIT ?", limit)
        : this.#rows("WHERE subject = ? ORDER BY seq DESC LIMIT ?", filter.subject, limit);
    return rows.map(undelivered);
  }

  /** Reports that are still tried. */
  waiting(): number {
    const row = this.#db.db.prepare("SELECT count(*) AS n FROM gate_outbox WHERE given_up_ms IS NULL").get();
    return (row as { n: number }).n;
  }

  /** Of each connection that was ever reported to. */
  counts(): OutboxCounts[] {
    return this.#db.db
      .prepare(
        `SELECT connection, sum(delivered) AS delivered, sum(given_up) AS givenUp, sum(waiting) AS waiting FROM (
           SELECT connection, delivered, given_up, 0 AS waiting FROM gate_outbox_counts
           UNION ALL SELECT connection, 0, 0, count(*) FROM gate_outbox WHERE given_up_ms IS NULL GROUP BY connection
         ) GROUP BY connection ORDER BY connection`,
      )
      .all() as unknown as OutboxCounts[];
  }

  #giveUp(row: Row, problem: string, nowMs: number): Undelivered {
    this.#db.transaction(() => {
      const { db } = this.#db;
      db.prepare("UPDATE gate_outbox SET given_up_ms = ?, attempts = ?, problem = ? WHERE id = ?").run(
        nowMs,
        row.attempts,
        problem,
        row.id,
      );
      this.#count(row.connection, 0, 1);
      db.prepare(
        `DELETE FROM gate_outbox WHERE seq IN (
           SELECT seq FROM gate_outbox WHERE given_up_ms IS NOT NULL ORDER BY given_up_ms DESC, seq DESC LIMIT -1 OFFSET ?)`,
      ).run(this.limits.maxGivenUp);
    });
    return undelivered({ ...row, problem, givenUpMs: nowMs });
  }

  #count(connection: string, delivered: number, givenUp: number): void {
    this.#db.db
      .prepare(
        `INSERT INTO gate_outbox_counts (connection, delivered, given_up) VALUES (?, ?, ?)
         ON CONFLICT (connection) DO UPDATE SET delivered = delivered + excluded.delivered, given_up = given_up + excluded.given_up`,
      )
      .run(connection, delivered, givenUp);
  }

  #rows(where: string, ...values: (string | number)[]): Row[] {
    return this.#db.db
      .prepare(`SELECT ${COLUMNS} FROM gate_outbox ${where}`)
      .all(...values) as unknown as Row[];
  }
}

function undelivered({ letter, ...row }: Row): Undelivered {
  const { pipeline, report } = (JSON.parse(letter) as Letter).body;
  return { ...row, pipeline, report };
}
