import { randomBytes } from "node:crypto";
import { realpathSync } from "node:fs";
import { relative } from "node:path";
import type { Change, RefUpdate } from "../core/index.ts";
import { git } from "../git/git.ts";
import type { GateDatabase } from "../store/database.ts";
import { type ChangeFilter, type ChangeRow, ChangeTable, type RevisionRow } from "./change-table.ts";
import { type BranchMove, type CycleLanding, CycleMoves } from "./cycle-moves.ts";
import { type Diff, diffOf } from "./diff.ts";
import { ForgeError } from "./errors.ts";
import type { ForgeEvent } from "./events.ts";
import { installHook } from "./hook.ts";
import { type HookedPush, HookServer } from "./hook-server.ts";
import { DEFAULT_FORGE_LIMITS, type ForgeLimits } from "./limits.ts";
import { ProjectLocks } from "./locks.ts";
import { KEEP_MS, type Move, Moves } from "./moves.ts";
import { PushedChanges } from "./pushed-changes.ts";
import { RepositoryReads } from "./reads.ts";
import { changeRef, type Push, type PushAnswer, Receiver } from "./receive.ts";
import { Repositories } from "./repositories.ts";
import type { ChangeDetails, Landing, LocalForgeOptions, NewComment } from "./shapes.ts";
import { type User, Users } from "./users.ts";

/**
 * A forge of bare repositories: takes pushes for review, keeps changes, and lands them. The database and git are changed in
 * an order that a crash at any moment leaves recoverable; `open` recovers.
 */
export class LocalForge {
  readonly users: Users;
  readonly limits: ForgeLimits;
  readonly connection: string;
  /** Base URLs of this gate, which may be known only when it listens; the first is shown. */
  urls: readonly string[];
  readonly repositories: Repositories;
  readonly #options: LocalForgeOptions;
  readonly #db: GateDatabase;
  readonly #table: ChangeTable;
  readonly #moves: Moves;
  readonly #cycles: CycleMoves;
  readonly #pushed: PushedChanges;
  readonly #receiver: Receiver;
  readonly #locks = new ProjectLocks();
  readonly #reads = new RepositoryReads();
  /** Of pushes over HTTP that are under way. */
  readonly #grants = new Map<string, User>();
  readonly #nowMs: () => number;
  #hooks: HookServer | undefined;

  private constructor(options: LocalForgeOptions) {
    const { database, folder, connection = "local", nowMs = Date.now } = options;
    this.#options = options;
    this.#db = database;
    this.#nowMs = nowMs;
    this.connection = connection;
    this.urls = options.urls ?? [];
    this.limits = { ...DEFAULT_FORGE_LIMITS, ...options.limits };
    this.users = new Users(database, nowMs);
    this.repositories = new Repositories(folder, this.limits);
    const gitDir = (project: string): string => this.repositories.gitDir(project);
    this.#table = new ChangeTable(database, connection, options.selfApproval ?? false);
    this.#moves = new Moves(database, gitDir, (move) => this.#told(move), options.log, nowMs);
    const toldCycle = (landing: CycleLanding, moves: readonly BranchMove[]): void =>
      this.#toldCycle(landing, moves);
    this.#cycles = new CycleMoves(database, gitDir, toldCycle, options.log, nowMs);
    this.#pushed = new PushedChanges({
      db: database,
      table: this.#table,
      gitDir,
      merged: (change, commit) => this.#setState(change, "merged", commit),
      log: options.log,
    });
    this.#receiver = new Receiver({
      db: database,
      table: this.#table,
      moves: this.#moves,
      limits: this.limits,
      gitDir,
      urls: () => this.urls,
      isGated: options.isGated ?? (() => true),
      directPush: options.directPush ?? false,
      keepApprovals: options.keepApprovals ?? false,
      emit: options.onEvents,
      pushed: this.#pushed,
      nowMs,
    });
  }

  /**
   * Recovers what a process before this one left, and takes pushes.
   * @throws what the system throws when the folder or its socket cannot be had
   */
  static async open(options: LocalForgeOptions): Promise<LocalForge> {
    const forge = new LocalForge(options);
    await forge.#recover();
    const hooks = await HookServer.listen(forge.repositories.own, (push) => forge.#receiveHooked(push));
    forge.#hooks = hooks;
    installHook(forge.repositories.own, hooks.path);
    return forge;
  }

  /** Takes no more pushes, and waits for what is under way. */
  async close(): Promise<void> {
    await this.#locks.idle();
    await this.#hooks?.close();
  }

  async #recover(): Promise<void> {
    this.repositories.clean();
    const db = this.#db.db;
    const rows = db.prepare("SELECT name, state FROM forge_projects").all() as {
      name: string;
      state: string;
    }[];
    for (const { name, state } of rows) {
      const isThere = this.repositories.exists(name);
      if (state === "making" && isThere) this.#setWhole(name);
      else if (state === "making") db.prepare("DELETE FROM forge_projects WHERE name = ?").run(name);
      if (isThere) this.repositories.configure(this.repositories.gitDir(name));
      else
        this.#options.log.error({ code: "PROJECT_UNREADABLE", project: name }, "a project has no repository");
    }
    await this.#moves.recover();
    await this.#cycles.recover();
    await this.#pushed.recover();
  }

  /**
   * @param wanted `branches` begin with an empty commit, default: `main`; `importFrom`, a folder or URL, brings its own.
   * @throws ForgeError `PROJECT_NAME_INVALID`, `PROJECT_EXISTS`, `IMPORT_FAILED`; GitError
   */
  createProject(
    name: string,
    wanted: { readonly branches?: readonly string[]; readonly importFrom?: string } = {},
  ): Promise<void> {
    return this.#locks.run(name, async () => {
      if (this.#state(name) !== undefined)
        throw new ForgeError("PROJECT_EXISTS", `there is a project ${name} already`);
      const made = await this.repositories.make(name, wanted.branches ?? ["main"], wanted.importFrom);
      this.#db.db
        .prepare("INSERT INTO forge_projects (name, state, created_ms) VALUES (?, 'making', ?)")
        .run(name, this.#nowMs());
      this.repositories.adopt(made, name);
      this.#setWhole(name);
    });
  }

  /**
   * Forgets a project. Its changes stay on record, the open ones abandoned; its repository stays in the folder.
   * @throws ForgeError `PROJECT_UNKNOWN`
   */
  removeProject(name: string): Promise<void> {
    return this.#locks.run(name, async () => {
      this.#gitDir(name);
      this.#db.transaction(() => {
        const page = { project: name, state: "open" } as const;
        for (let open = this.#table.list(page); open.length > 0; open = this.#table.list(page))
          for (const { number } of open) this.#setState(number, "abandoned", null);
        this.#db.db.prepare("DELETE FROM forge_projects WHERE name = ?").run(name);
      });
    });
  }

  projects(): string[] {
    const rows = this.#db.db
      .prepare("SELECT name FROM forge_projects WHERE state = 'whole' ORDER BY name")
      .all();
    return (rows as { name: string }[]).map(({ name }) => name);
  }

  /** Where a project's repository is. @throws ForgeError `PROJECT_UNKNOWN` */
  gitDir(project: string): string {
    return this.#gitDir(project);
  }

  /** Branches and the commits that they are at. @throws ForgeError `PROJECT_UNKNOWN`, `PROJECT_UNREADABLE` */
  async branches(project: string): Promise<ReadonlyMap<string, string>> {
    const gitDir = this.#gitDir(project);
    return this.#reads.branches(project, gitDir);
  }

  #state(name: string): string | undefined {
    const row = this.#db.prepared("SELECT state FROM forge_projects WHERE name = ?").get(name);
    return (row as { state: string } | undefined)?.state;
  }

  #setWhole(name: string): void {
    this.#db.db.prepare("UPDATE forge_projects SET state = 'whole' WHERE name = ?").run(name);
  }

  #gitDir(project: string): string {
    if (this.#state(project) === undefined)
      throw new ForgeError("PROJECT_UNKNOWN", `there is no project ${JSON.stringify(project.slice(0, 80))}`);
    return this.repositories.gitDir(project);
  }

  /** @throws ForgeError `PROJECT_UNKNOWN`, `FORGE_LIMIT`; GitError */
  async receive(push: Push): Promise<PushAnswer> {
    this.#gitDir(push.project);
    return this.#locks.run(push.project, () => this.#receiver.receive(push), this.limits.maxWaitingPushes);
  }

  /** A secret by which the hook of a push that came over HTTP shows whose it is. It must be given back. */
  grantPush(user: User): string {
    const grant = randomBytes(24).toString("base64url");
    this.#grants.set(grant, user);
    return grant;
  }

  endPush(grant: string): void {
    this.#grants.delete(grant);
  }

  async #receiveHooked(push: HookedPush): Promise<PushAnswer> {
    const refuse = (refused: string, lines: readonly string[] = []): PushAnswer => ({
      lines,
      refs: push.commands.map(({ ref }) => ({ ref, refused })),
    });
    const granted = push.grant === undefined ? undefined : this.#grants.get(push.grant);
    const user = granted ?? (push.token === undefined ? undefined : this.users.authenticate(push.token));
    if (user === undefined) {
      const why = push.token === undefined ? "a push needs a token" : "the token is not valid";
      return refuse(why, ["", `${why}: set DROVER_TOKEN, or give it as git push -o token=…`]);
    }
    const project = this.#projectAt(push.directory);
    if (project === undefined)
      return refuse("this repository is no project of the gate: drover gate project import");
    const { commands, options, isAtomic } = push;
    try {
      return await this.receive({ project, user, commands, options, isAtomic });
    } catch (error) {
      if (error instanceof ForgeError) return refuse(error.message);
      this.#options.log.error(
        { code: "PUSH_FAILED", project, error },
        "a push failed by a fault of the gate",
      );
      return refuse("PUSH_FAILED: the gate could not do it, and its log says why");
    }
  }

  #projectAt(directory: string): string | undefined {
    try {
      const path = relative(realpathSync(this.repositories.folder), realpathSync(directory));
      const name = path.endsWith(".git") ? path.slice(0, -".git".length) : "";
      return this.#state(name) === undefined ? undefined : name;
    } catch {
      return undefined;
    }
  }

  change(number: number): ChangeDetails | undefined {
    const row = this.#table.get(number);
    if (row === undefined) return undefined;
    return {
      ...row,
      record: this.#table.record(number),
      revisions: this.#table.revisions(number),
      approvals: this.#table.approvals(number),
      comments: this.#table.comments(number),
      neededBy: this.#table.openNeeding(number),
    };
  }

  /** As the core is told; `undefined` when there is no such change. */
  record(number: number): Change | undefined {
    return this.#table.get(number) === undefined ? undefined : this.#table.record(number);
  }

  /** `undefined` when there is no such change. */
  stateOf(number: number): ChangeRow["state"] | undefined {
    return this.#table.get(number)?.state;
  }

  /** What the files of a revision are compared with; `undefined` when there is no such revision. */
  baseOf(number: number, revision: number): string | undefined {
    return this.#table.revision(number, revision)?.base;
  }

  /** Newest first. */
  changes(filter: ChangeFilter = {}): ChangeRow[] {
    return this.#table.list(filter);
  }

  /** The number in a change's id; `undefined` when it is another connection's. */
  numberOf(id: string): number | undefined {
    const number = id.startsWith(`${this.connection}:`)
      ? Number(id.slice(this.connection.length + 1))
      : Number.NaN;
    return Number.isSafeInteger(number) ? number : undefined;
  }

  /**
   * Approves a change's current revision; one's own only where that is allowed.
   * @param revision The one that was looked at: refused when there is a newer.
   * @throws ForgeError `CHANGE_UNKNOWN`, `CHANGE_CLOSED`, `REVISION_UNKNOWN`, `NOT_PERMITTED`
   */
  approve(number: number, user: User, revision?: number): void {
    this.#db.transaction(() => {
      const row = this.#open(number);
      if (revision !== undefined && revision !== row.revision)
        throw new ForgeError(
          "REVISION_UNKNOWN",
          `change ${number} is at revision ${row.revision}, not ${revision}: look again`,
        );
      if (row.owner === user.name && this.#options.selfApproval !== true)
        throw new ForgeError("NOT_PERMITTED", `change ${number} is your own: another user has to approve it`);
      this.#table.approve(number, row.revision, user.name, this.#nowMs());
      this.#emit(
        { kind: "change", change: this.#table.record(number) },
        {
          kind: "trigger",
          trigger: { event: "approved", change: this.#table.idOf(number), user: user.name },
        },
      );
    });
  }

  /** Takes back a user's approval; an operator's takes back everybody's. @throws ForgeError as `approve` */
  unapprove(number: number, user: User): void {
    this.#db.transaction(() => {
      const row = this.#open(number);
      this.#table.unapprove(number, row.revision, user.role === "operator" ? undefined : user.name);
      this.#emit({ kind: "change", change: this.#table.record(number) });
    });
  }

  /** A user's comment, for which pipelines may wait. @throws ForgeError `CHANGE_UNKNOWN`, `REVISION_UNKNOWN`, `FORGE_LIMIT` */
  comment(number: number, user: User, comment: NewComment): void {
    this.#db.transaction(() => {
      this.#addComment(number, user.name, comment);
      const { text } = comment;
      const change = this.#table.idOf(number);
      this.#emit({ kind: "trigger", trigger: { event: "comment", change, user: user.name, text } });
    });
  }

  /** What a pipeline reports, which triggers nothing. @throws ForgeError as `comment` */
  report(number: number, author: string, comment: NewComment): void {
    this.#db.transaction(() => this.#addComment(number, author, comment));
  }

  /** @throws ForgeError `CHANGE_UNKNOWN`, `CHANGE_CLOSED`, `NOT_PERMITTED` */
  abandon(number: number, user: User): void {
    this.#db.transaction(() => {
      const row = this.#open(number);
      this.#checkMayChange(row, user);
      this.#table.unapprove(number, row.revision);
      this.#setState(number, "abandoned", null);
    });
  }

  /** Opens an abandoned change again, without its approvals. @throws ForgeError as `abandon` */
  restore(number: number, user: User): void {
    this.#db.transaction(() => {
      const row = this.#row(number);
      if (row.state !== "abandoned")
        throw new ForgeError("CHANGE_CLOSED", `change ${number} is ${row.state}, not abandoned`);
      this.#checkMayChange(row, user);
      if (this.#state(row.project) === undefined)
        throw new ForgeError("PROJECT_UNKNOWN", `there is no project ${row.project} any more`);
      this.#setState(number, "open", null);
      this.#emit({ kind: "trigger", trigger: { event: "change-created", change: this.#table.idOf(number) } });
    });
  }

  /** What a change changes. @param revision Default: the current one. @throws ForgeError `CHANGE_UNKNOWN`, `REVISION_UNKNOWN`; GitError */
  async diff(number: number, revision?: number): Promise<Diff> {
    const { gitDir, base, head } = this.#compared(number, revision);
    return diffOf(gitDir, base, head, this.limits.maxDiffBytes);
  }

  /** Paths of files that a change changes, as bytes. @throws as `diff` */
  async paths(number: number, revision?: number): Promise<readonly Buffer[]> {
    const { gitDir, base, head } = this.#compared(number, revision);
    return this.#reads.paths(gitDir, base, head);
  }

  #compared(number: number, revision?: number): { gitDir: string; base: string; head: string } {
    const row = this.#row(number);
    const { base, head } = this.#revision(row, revision ?? row.revision);
    return { gitDir: this.#gitDir(row.project), base, head };
  }

  #addComment(number: number, author: string, { text, vote, revision, file, line }: NewComment): void {
    const row = this.#row(number);
    const { maxCommentBytes, maxCommentsPerChange } = this.limits;
    const bytes = Buffer.byteLength(text) + Buffer.byteLength(file ?? "");
    if (bytes > maxCommentBytes)
      throw new ForgeError(
        "FORGE_LIMIT",
        `the comment has ${bytes} bytes, limit maxCommentBytes ${maxCommentBytes}`,
      );
    if (this.#table.countComments(number) >= maxCommentsPerChange)
      throw new ForgeError(
        "FORGE_LIMIT",
        `change ${number} has its limit of comments, maxCommentsPerChange ${maxCommentsPerChange}`,
      );
    this.#revision(row, revision ?? row.revision);
    this.#table.addComment(number, {
      atMs: this.#nowMs(),
      author,
      revision: revision ?? row.revision,
      vote: vote ?? null,
      text,
      file: file ?? null,
      line: line ?? null,
    });
  }

  #row(number: number): ChangeRow {
    const row = Number.isSafeInteger(number) ? this.#table.get(number) : undefined;
    if (row === undefined) throw new ForgeError("CHANGE_UNKNOWN", `there is no change ${number}`);
    return row;
  }

  #open(number: number): ChangeRow {
    const row = this.#row(number);
    if (row.state !== "open") throw new ForgeError("CHANGE_CLOSED", `change ${number} is ${row.state}`);
    return row;
  }

  #revision({ number }: ChangeRow, revision: number): RevisionRow {
    const row = this.#table.revision(number, revision);
    if (row === undefined)
      throw new ForgeError("REVISION_UNKNOWN", `change ${number} has no revision ${revision}`);
    return row;
  }

  #checkMayChange({ number, owner }: ChangeRow, user: User): void {
    if (owner !== user.name && user.role !== "operator")
      throw new ForgeError(
        "NOT_PERMITTED",
        `change ${number} is ${owner}'s: only ${owner} or an operator may do that`,
      );
  }

  /**
   * Moves a branch to exactly the commit that was tested, if it is where the test began, and closes the change as merged.
   * @returns `refused`: why it did not; `null` when it did, now or at an earlier time with this key.
   * @throws ForgeError `LANDING_KEY_REUSED`
   */
  land(landing: Landing): Promise<{ readonly refused: string | null }> {
    const { key, project, branch, base, commit, changeNumber, revision } = landing;
    return this.#locks.run(project, async () => {
      const before = this.#moves.result(`land:${key}`);
      if (before !== undefined) return before;
      const obstacle = this.#landingObstacle(changeNumber, revision);
      if (obstacle !== null) return { refused: obstacle };
      const refused = await this.#moves.run({
        key: `land:${key}`,
        project,
        ref: `refs/heads/${branch}`,
        old: base,
        new: commit,
        change: changeNumber,
        revision,
      });
      return { refused };
    });
  }

  /** What a landed change made of its branch, and of which commit; `null` when it has not, or that is not on record any more. */
  landed(number: number): { readonly base: string; readonly commit: string } | null {
    const { state, mergedCommit: commit } = this.#row(number);
    if (state !== "merged" || commit === null) return null;
    const base = this.#moves.before(number, commit);
    return base === null ? null : { base, commit };
  }

  /**
   * Moves the branches of several changes to exactly the commits that were tested, all or none, and closes the changes as
   * merged. Who reads meanwhile may see one repository before another.
   * @param landings In the order in which they merge; of several on one branch each begins where the one before it ends.
   * @returns as `land`; `refused` says why none of them did.
   * @throws ForgeError `LANDING_KEY_REUSED`; `LANDING_UNFINISHED`: some have, and the rest has to be asked for again
   */
  landTogether(
    key: string,
    landings: readonly Omit<Landing, "key">[],
  ): Promise<{ readonly refused: string | null }> {
    const land = async (): Promise<{ readonly refused: string | null }> => {
      const before = this.#cycles.result(`land:${key}`);
      if (before !== undefined) return before;
      const isDecided = this.#cycles.isDecided(`land:${key}`);
      for (const { changeNumber, revision } of isDecided ? [] : landings) {
        const obstacle = this.#landingObstacle(changeNumber, revision);
        if (obstacle !== null) return { refused: obstacle };
      }
      const changes = landings.map(({ project, branch, base, commit, changeNumber, revision }) => {
        return { project, branch, base, commit, change: changeNumber, revision };
      });
      return { refused: await this.#cycles.run({ key: `land:${key}`, changes }) };
    };
    // In one order for all, so that no two wait for each other.
    const projects = [...new Set(landings.map(({ project }) => project))].sort();
    const locked = projects.reduceRight<typeof land>(
      (act, project) => () => this.#locks.run(project, act),
      land,
    );
    return locked();
  }

  /** Why a change must not land, whatever its branch is at. */
  #landingObstacle(number: number, revision: number): string | null {
    const row = this.#table.get(number);
    if (row === undefined) return `there is no change ${number}`;
    if (row.state !== "open") return `change ${number} is ${row.state}`;
    return row.revision === revision ? null : `change ${number} has a newer revision, ${row.revision}`;
  }

  /** In the transaction that ends the landing of a cycle. */
  #toldCycle({ changes }: CycleLanding, moves: readonly BranchMove[]): void {
    for (const { change, commit } of changes) this.#setState(change, "merged", commit);
    for (const { change, base, commit } of changes) if (base !== commit) this.#tellMerged(change);
    for (const { project, branch, old, new: to } of moves)
      this.#tellUpdate(project, `refs/heads/${branch}`, old, to);
  }

  /** In the transaction that ends a move. */
  #told({ project, ref, old, new: to, change }: Move): void {
    const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
    if (change !== null) this.#setState(change, "merged", to);
    else if (branch !== null) this.#emit({ kind: "branchMoved", project, branch });
    if (change !== null && old !== to) this.#tellMerged(change);
    this.#tellUpdate(project, ref, old, to);
  }

  #tellMerged(change: number): void {
    const id = this.#table.idOf(change);
    this.#emit({ kind: "trigger", trigger: { event: "change-merged", change: id } });
  }

  #tellUpdate(project: string, ref: string, old: string | null, to: string | null): void {
    if (old === to) return;
    const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
    const id = `ref:${project}:${ref}@${to ?? "0".repeat(old!.length)}`;
    const update: RefUpdate = { kind: "ref", id, project, ref, branch, oldCommit: old, newCommit: to };
    this.#emit({ kind: "trigger", trigger: { event: "ref-updated", ref: update } });
  }

  /** Tells it, and what it means to the changes that need it. */
  #setState(number: number, state: ChangeRow["state"], mergedCommit: string | null): void {
    this.#table.setState(number, state, mergedCommit, this.#nowMs());
    const told = [number, ...this.#table.openNeeding(number)];
    this.#emit(...told.map((one) => ({ kind: "change", change: this.#table.record(one) }) as const));
  }

  #emit(...events: ForgeEvent[]): void {
    this.#options.onEvents(events);
  }

  /** Packs refs and objects, and removes what nothing refers to after a day. One project at a time. */
  async maintain(): Promise<void> {
    this.#moves.prune();
    this.#cycles.prune(this.#nowMs() - KEEP_MS);
    for (const project of this.projects()) {
      const gitDir = this.repositories.gitDir(project);
      try {
        await git(["gc", "--quiet", "--prune=1.day.ago"], { gitDir, timeoutMs: 3_600_000 });
      } catch (error) {
        this.#options.log.error(
          { code: "MAINTENANCE_FAILED", project, error },
          "a repository could not be packed",
        );
      }
    }
  }

  /** The ref by which a revision can be fetched. */
  refOf(number: number, revision: number): string {
    return changeRef(number, revision);
  }
}
