import type { Change } from "../core/index.ts";
import type { GateDatabase } from "../store/database.ts";
import type { PushedCommit } from "./commits.ts";
import { type Need, resolveNeed } from "./dependencies.ts";

export type ChangeState = "open" | "merged" | "abandoned";

/** A change as it stands. Times are milliseconds since 1970. */
export interface ChangeRow {
  readonly number: number;
  readonly project: string;
  readonly branch: string;
  /** Of its trailer. */
  readonly changeId: string | null;
  readonly topic: string | null;
  readonly owner: string;
  readonly state: ChangeState;
  /** The current one. */
  readonly revision: number;
  readonly mergedCommit: string | null;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface RevisionRow {
  readonly revision: number;
  readonly head: string;
  /** What its files are compared with. */
  readonly base: string;
  readonly title: string;
  readonly message: string;
  readonly author: string;
  readonly authorEmail: string;
  readonly authorMs: number;
  readonly pusher: string;
  readonly atMs: number;
}

export interface CommentRow {
  readonly atMs: number;
  readonly author: string;
  readonly revision: number;
  readonly vote: number | null;
  readonly text: string;
  readonly file: string | null;
  readonly line: number | null;
}

export interface Approval {
  readonly user: string;
  readonly revision: number;
  readonly atMs: number;
  /** The revision that the user approved, where this one has kept that; `null`: it is this one. */
  readonly keptFrom: number | null;
}

export interface ChangeFilter {
  readonly project?: string;
  readonly branch?: string;
  readonly state?: ChangeState;
  readonly owner?: string;
  readonly topic?: string;
  /** Only those that need this change. */
  readonly needs?: number;
  /** Only those with a lower number: newest come first. */
  readonly before?: number;
  /** Default: 100. At most 1,000. */
  readonly limit?: number;
}

/** A revision that a commit belongs to. */
export interface KnownCommit {
  readonly number: number;
  readonly revision: number;
  readonly state: ChangeState;
  readonly isCurrent: boolean;
  readonly isHead: boolean;
}

/** What a push makes of a group of commits. */
export interface NewRevision {
  readonly head: PushedCommit;
  readonly base: string;
  readonly commits: readonly string[];
  readonly needs: readonly Need[];
  readonly pusher: string;
  readonly atMs: number;
  /** It only moves the change to another base, and approvals count for it, too. */
  readonly keepsApprovals: boolean;
}

const COLUMNS = `number, project, branch, change_id AS changeId, topic, owner, state, revision,
  merged_commit AS mergedCommit, created_ms AS createdMs, updated_ms AS updatedMs`;

const MAX_PAGE = 1_000;

/** What the database has of changes. Whoever writes more than one thing does it in a transaction. */
export class ChangeTable {
  readonly #db: GateDatabase;
  readonly #connection: string;
  /** Whether a user's approval of his own change counts. */
  readonly #selfApproval: boolean;

  constructor(db: GateDatabase, connection: string, selfApproval: boolean) {
    this.#db = db;
    this.#connection = connection;
    this.#selfApproval = selfApproval;
  }

  idOf(number: number): string {
    return `${this.#connection}:${number}`;
  }

  /** Numbers are given once, though nothing may come of one. */
  nextNumber(): number {
    const row = this.#db.db
      .prepare(
        `INSERT INTO forge_counters (name, value) VALUES ('change', 1)
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value`,
      )
      .get() as { value: number };
    return row.value;
  }

  get(number: number): ChangeRow | undefined {
    return this.#one("number = ?", number);
  }

  byChangeId(changeId: string, project: string, branch: string): ChangeRow | undefined {
    return this.#one(
      "change_id = ? AND project = ? AND branch = ? ORDER BY number DESC",
      changeId,
      project,
      branch,
    );
  }

  /** The open change of a topic that has no `Change-Id`. */
  byTopic(topic: string, project: string, branch: string, owner: string): ChangeRow | undefined {
    return this.#one(
      "project = ? AND branch = ? AND state = 'open' AND topic = ? AND owner = ? AND change_id IS NULL ORDER BY number DESC",
      project,
      branch,
      topic,
      owner,
    );
  }

  list(filter: ChangeFilter): ChangeRow[] {
    const wheres: string[] = [];
    const values: (string | number)[] = [];
    for (const key of ["project", "branch", "state", "owner", "topic"] as const) {
      const value = filter[key];
      if (value === undefined) continue;
      wheres.push(`${key} = ?`);
      values.push(value);
    }
    if (filter.before !== undefined) {
      wheres.push("number < ?");
      values.push(filter.before);
    }
    if (filter.needs !== undefined) {
      wheres.push("number IN (SELECT change FROM forge_needs WHERE target = ?)");
      values.push(filter.needs);
    }
    const where = wheres.length === 0 ? "" : `WHERE ${wheres.join(" AND ")}`;
    const limit = Math.min(filter.limit ?? 100, MAX_PAGE);
    return this.#db.db
      .prepare(`SELECT ${COLUMNS} FROM forge_changes ${where} ORDER BY number DESC LIMIT ?`)
      .all(...values, limit) as unknown as ChangeRow[];
  }

  countOpen(): number {
    return (
      this.#db.db.prepare("SELECT count(*) AS n FROM forge_changes WHERE state = 'open'").get() as {
        n: number;
      }
    ).n;
  }

  openOf(project: string, branch: string): ChangeRow[] {
    return this.#db.db
      .prepare(
        `SELECT ${COLUMNS} FROM forge_changes WHERE project = ? AND branch = ? AND state = 'open' ORDER BY number`,
      )
      .all(project, branch) as unknown as ChangeRow[];
  }

  revisions(number: number): RevisionRow[] {
    return this.#db
      .prepared(
        `SELECT revision, head, base, title, message, author, author_email AS authorEmail, author_ms AS authorMs,
           pusher, at_ms AS atMs FROM forge_revisions WHERE change = ? ORDER BY revision`,
      )
      .all(number) as unknown as RevisionRow[];
  }

  revision(number: number, revision: number): RevisionRow | undefined {
    return this.#db
      .prepared(
        `SELECT revision, head, base, title, message, author, author_email AS authorEmail, author_ms AS authorMs,
           pusher, at_ms AS atMs FROM forge_revisions WHERE change = ? AND revision = ?`,
      )
      .get(number, revision) as unknown as RevisionRow | undefined;
  }

  /** Revisions that a commit belongs to: those of open changes and current ones first. */
  known(project: string, branch: string, commit: string): KnownCommit[] {
    const rows = this.#db.db
      .prepare(
        `SELECT c.change AS number, c.revision, h.state, (h.revision = c.revision) AS isCurrent, (r.head = c.id) AS isHead
         FROM forge_commits c JOIN forge_changes h ON h.number = c.change
         JOIN forge_revisions r ON r.change = c.change AND r.revision = c.revision
         WHERE c.project = ? AND c.branch = ? AND c.id = ?
         ORDER BY CASE h.state WHEN 'open' THEN 0 WHEN 'merged' THEN 1 ELSE 2 END, isCurrent DESC, isHead DESC, c.revision DESC`,
      )
      .all(project, branch, commit) as unknown as (Omit<KnownCommit, "isCurrent" | "isHead"> & {
      isCurrent: number;
      isHead: number;
    })[];
    return rows.map((row) => ({ ...row, isCurrent: Boolean(row.isCurrent), isHead: Boolean(row.isHead) }));
  }

  create(
    row: Pick<ChangeRow, "number" | "project" | "branch" | "changeId" | "topic" | "owner">,
    first: NewRevision,
  ): void {
    const { number, project, branch, changeId, topic, owner } = row;
    this.#db.db
      .prepare(
        `INSERT INTO forge_changes (number, project, branch, change_id, topic, owner, state, revision, created_ms, updated_ms)
         VALUES (?, ?, ?, ?, ?, ?, 'open', 1, ?, ?)`,
      )
      .run(number, project, branch, changeId, topic, owner, first.atMs, first.atMs);
    this.#addRevision(number, 1, project, branch, first);
  }

  /** Its approvals were of another revision, and count no more unless the new one keeps them. */
  revise(change: ChangeRow, changeId: string | null, topic: string | null, next: NewRevision): void {
    this.#db.db
      .prepare(
        "UPDATE forge_changes SET revision = ?, change_id = ?, topic = ?, updated_ms = ? WHERE number = ?",
      )
      .run(change.revision + 1, changeId, topic, next.atMs, change.number);
    this.#addRevision(change.number, change.revision + 1, change.project, change.branch, next);
    if (!next.keepsApprovals) return;
    this.#db.db
      .prepare(
        `INSERT INTO forge_approvals (change, revision, user, at_ms, kept_from)
         SELECT change, ?, user, at_ms, coalesce(kept_from, revision) FROM forge_approvals WHERE change = ? AND revision = ?`,
      )
      .run(change.revision + 1, change.number, change.revision);
  }

  #addRevision(number: number, revision: number, project: string, branch: string, made: NewRevision): void {
    const { head } = made;
    this.#db.db
      .prepare(
        `INSERT INTO forge_revisions (change, revision, head, base, title, message, author, author_email, author_ms, pusher, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        number,
        revision,
        head.id,
        made.base,
        head.title,
        head.message,
        head.author,
        head.authorEmail,
        head.authorMs,
        made.pusher,
        made.atMs,
      );
    const addCommit = this.#db.db.prepare(
      "INSERT INTO forge_commits (project, branch, id, change, revision) VALUES (?, ?, ?, ?, ?)",
    );
    for (const id of made.commits) addCommit.run(project, branch, id, number, revision);
    this.#db.db.prepare("DELETE FROM forge_needs WHERE change = ?").run(number);
    const addNeed = this.#db.db.prepare(
      "INSERT INTO forge_needs (change, position, source, target, revision, project, problem) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    made.needs.forEach((need, at) => {
      addNeed.run(number, at, need.source, need.target, need.revision, need.project, need.problem);
    });
  }

  setState(number: number, state: ChangeState, mergedCommit: string | null, nowMs: number): void {
    this.#db.db
      .prepare("UPDATE forge_changes SET state = ?, merged_commit = ?, updated_ms = ? WHERE number = ?")
      .run(state, mergedCommit, nowMs, number);
  }

  approvals(number: number): Approval[] {
    return this.#db
      .prepared(
        `SELECT user, revision, at_ms AS atMs, kept_from AS keptFrom FROM forge_approvals
         WHERE change = ? ORDER BY at_ms, revision, user`,
      )
      .all(number) as unknown as Approval[];
  }

  approvalsOf(number: number, revision: number): Approval[] {
    return this.approvals(number).filter((approval) => approval.revision === revision);
  }

  approve(number: number, revision: number, user: string, nowMs: number): void {
    this.#db.db
      .prepare("INSERT OR IGNORE INTO forge_approvals (change, revision, user, at_ms) VALUES (?, ?, ?, ?)")
      .run(number, revision, user, nowMs);
  }

  /** @param user Default: everybody's. */
  unapprove(number: number, revision: number, user?: string): void {
    this.#db.db
      .prepare("DELETE FROM forge_approvals WHERE change = ? AND revision = ? AND user = coalesce(?, user)")
      .run(number, revision, user ?? null);
  }

  isApproved({ number, revision, owner }: ChangeRow): boolean {
    return this.approvals(number).some(
      (approval) => approval.revision === revision && (this.#selfApproval || approval.user !== owner),
    );
  }

  comments(number: number): CommentRow[] {
    return this.#db
      .prepared(
        "SELECT at_ms AS atMs, author, revision, vote, text, file, line FROM forge_comments WHERE change = ? ORDER BY id",
      )
      .all(number) as unknown as CommentRow[];
  }

  countComments(number: number): number {
    const row = this.#db.db.prepare("SELECT count(*) AS n FROM forge_comments WHERE change = ?").get(number);
    return (row as { n: number }).n;
  }

  addComment(number: number, comment: CommentRow): void {
    const { revision, author, vote, text, file, line, atMs } = comment;
    this.#db.db
      .prepare(
        "INSERT INTO forge_comments (change, revision, author, vote, text, file, line, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(number, revision, author, vote, text, file, line, atMs);
  }

  needs(number: number): Need[] {
    return this.#db
      .prepared(
        "SELECT source, target, revision, project, problem FROM forge_needs WHERE change = ? ORDER BY position",
      )
      .all(number) as unknown as Need[];
  }

  /** Open changes that say they need this one. */
  openNeeding(number: number): number[] {
    const rows = this.#db
      .prepared(
        `SELECT DISTINCT n.change FROM forge_needs n JOIN forge_changes c ON c.number = n.change
         WHERE n.target = ? AND c.state = 'open' ORDER BY n.change`,
      )
      .all(number) as { change: number }[];
    return rows.map(({ change }) => change);
  }

  /** A change as the core wants it told. */
  record(number: number): Change {
    const row = this.get(number)!;
    const needs = this.needs(number).map((need) =>
      resolveNeed(need, number, need.target === null ? undefined : this.get(need.target), this.#connection),
    );
    return {
      kind: "change",
      id: this.idOf(number),
      revision: row.revision,
      project: row.project,
      branch: row.branch,
      commit: this.revision(number, row.revision)!.head,
      state: row.state,
      isApproved: row.state === "open" && this.isApproved(row),
      needs: needs.filter((need) => need !== null),
    };
  }

  #one(where: string, ...values: (string | number)[]): ChangeRow | undefined {
    return this.#db
      .prepared(`SELECT ${COLUMNS} FROM forge_changes WHERE ${where} LIMIT 1`)
      .get(...values) as unknown as ChangeRow | undefined;
  }
}
