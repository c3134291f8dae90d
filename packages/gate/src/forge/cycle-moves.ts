import type { Log } from "@drover/server";
import type { GitError } from "../git/git.ts";
import { RefTransaction } from "../git/ref-transaction.ts";
import { moveRefs } from "../git/refs.ts";
import type { GateDatabase } from "../store/database.ts";
import { isAncestor, refCommit, short } from "./commits.ts";
import { ForgeError } from "./errors.ts";
import { removeStaleLocks } from "./stale-locks.ts";

/** One change of a cycle, and what it makes of its branch. */
export interface CycleChange {
  readonly project: string;
  readonly branch: string;
  readonly base: string;
  readonly commit: string;
  readonly change: number;
  readonly revision: number;
}

/** Changes that land together or not at all, in the order in which they merge. */
export interface CycleLanding {
  /** Whoever asks twice with one key asks for one landing. */
  readonly key: string;
  readonly changes: readonly CycleChange[];
}

/** What becomes of one branch. */
export interface BranchMove {
  readonly project: string;
  readonly branch: string;
  readonly old: string;
  readonly new: string;
}

interface Row {
  readonly key: string;
  /** JSON of the changes. */
  readonly changes: string;
  readonly state: "preparing" | "decided" | "done" | "refused";
  readonly refused: string | null;
}

/** Branches that changes move, each from where the first of them begins to where the last of them ends. */
export function branchMoves(changes: readonly CycleChange[]): BranchMove[] {
  const moves = new Map<string, BranchMove>();
  for (const { project, branch, base, commit } of changes) {
    const key = `${project}\n${branch}`;
    moves.set(key, { project, branch, old: moves.get(key)?.old ?? base, new: commit });
  }
  return [...moves.values()];
}

const refOf = ({ branch }: BranchMove): string => `refs/heads/${branch}`;

/**
 * The journal of cycles, whose changes are in several repositories. It says what is wanted, has every repository prepare it,
 * which holds the locks of its branches, then decides, then has each commit. A process that begins after another was killed
 * finishes what was decided, and takes back what was not; then the locks that the journal names are removed, if they were
 * left. Who reads between two commits may see one repository before the other.
 */
export class CycleMoves {
  readonly #db: GateDatabase;
  readonly #gitDir: (project: string) => string;
  readonly #told: (landing: CycleLanding, moves: readonly BranchMove[]) => void;
  readonly #log: Log;
  readonly #nowMs: () => number;

  /** @param told Called in the transaction that ends a landing which was done. */
  constructor(
    db: GateDatabase,
    gitDir: (project: string) => string,
    told: (landing: CycleLanding, moves: readonly BranchMove[]) => void,
    log: Log,
    nowMs: () => number,
  ) {
    this.#db = db;
    this.#gitDir = gitDir;
    this.#told = told;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** How a landing ended; `undefined` when it was never asked for or goes on. */
  result(key: string): { readonly refused: string | null } | undefined {
    const row = this.#row(key);
    return row?.state === "done" || row?.state === "refused" ? { refused: row.refused } : undefined;
  }

  /** Whether it will be finished, whatever is said of its changes now. */
  isDecided(key: string): boolean {
    return this.#row(key)?.state === "decided";
  }

  /**
   * @returns why none of them landed, or `null` when all have, now or when it was asked before.
   * @throws ForgeError `LANDING_KEY_REUSED` when the key was another landing's; `LANDING_UNFINISHED`
   */
  async run(landing: CycleLanding): Promise<string | null> {
    const { key, changes } = landing;
    const wanted = JSON.stringify(changes);
    this.#db.db
      .prepare(
        "INSERT OR IGNORE INTO forge_cycles (key, changes, state, at_ms) VALUES (?, ?, 'preparing', ?)",
      )
      .run(key, wanted, this.#nowMs());
    const row = this.#row(key)!;
    if (row.changes !== wanted)
      throw new ForgeError("LANDING_KEY_REUSED", `${key} was asked for with another branch or commit`);
    if (row.state === "done" || row.state === "refused") return row.refused;
    if (row.state === "decided") return this.#finish(landing);
    this.#step(key, "wanted");
    const prepared: RefTransaction[] = [];
    const byProject = Map.groupBy(branchMoves(changes), ({ project }) => project);
    for (const [project, moves] of byProject) {
      const transaction = await this.#prepare(project, moves);
      if (typeof transaction === "string") {
        for (const one of prepared) await one.abort();
        return this.#settle(landing, transaction);
      }
      prepared.push(transaction);
      this.#step(key, `prepared ${project}`);
    }
    this.#db.db.prepare("UPDATE forge_cycles SET state = 'decided' WHERE key = ?").run(key);
    this.#step(key, "decided");
    const projects = [...byProject.keys()];
    for (const [i, transaction] of prepared.entries()) {
      // What goes wrong here is seen, and made good, by whoever looks at the branches.
      await transaction.commit().catch(() => transaction.abort());
      this.#step(key, `committed ${projects[i]}`);
    }
    return this.#finish(landing);
  }

  /** Finishes what was decided, and takes back what was not: that may be asked for again. */
  async recover(): Promise<void> {
    const rows = this.#db.db
      .prepare("SELECT * FROM forge_cycles WHERE state IN ('preparing', 'decided') ORDER BY at_ms, key")
      .all() as unknown as Row[];
    for (const { key, changes: json, state } of rows) {
      const changes = JSON.parse(json) as CycleChange[];
      if (state === "decided") {
        await this.#finish({ key, changes }).catch((error: unknown) => {
          if (!(error instanceof ForgeError)) throw error;
          this.#log.error(
            { code: error.code, landing: key, error },
            "changes that land together are not all merged yet; whoever asks for it again has it finished",
          );
        });
        continue;
      }
      for (const move of branchMoves(changes))
        await removeStaleLocks(this.#gitDir(move.project), [refOf(move)]);
      this.#db.db.prepare("DELETE FROM forge_cycles WHERE key = ?").run(key);
    }
  }

  /** Forgets landings that ended before that time. */
  prune(beforeMs: number): void {
    this.#db.db
      .prepare("DELETE FROM forge_cycles WHERE state IN ('done', 'refused') AND at_ms < ?")
      .run(beforeMs);
  }

  /** @returns why it cannot be, where it cannot. */
  async #prepare(project: string, moves: readonly BranchMove[]): Promise<RefTransaction | string> {
    const gitDir = this.#gitDir(project);
    const wanted = moves.map((move) => ({ ref: refOf(move), new: move.new, old: move.old }));
    let complaint = "";
    // Once more after a lock that a killed process left.
    for (const isAgain of [false, true]) {
      try {
        return await RefTransaction.prepare(gitDir, wanted);
      } catch (error) {
        complaint = (error as GitError).stderr || (error as Error).message;
      }
      if (isAgain || !complaint.includes(".lock")) break;
      await removeStaleLocks(gitDir, moves.map(refOf));
    }
    try {
      for (const move of moves) {
        const now = await refCommit(gitDir, refOf(move));
        if (now !== move.old)
          return `${refOf(move)} of ${project} is at ${now === null ? "nothing" : short(now)}, not at ${short(move.old)}`;
      }
    } catch {
      return `the repository of ${project} cannot be read`;
    }
    return `git refused in ${project}: ${complaint.trim().split("\n").at(-1)}`;
  }

  /**
   * It was decided: what is not done yet is done now. Only where somebody who did not ask the gate has moved a branch
   * meanwhile, that is impossible, and what was done is taken back.
   * @throws ForgeError `LANDING_UNFINISHED` when it cannot be done for now, and stays decided
   */
  async #finish(landing: CycleLanding): Promise<string | null> {
    const done: BranchMove[] = [];
    let refused: string | null = null;
    for (const move of branchMoves(landing.changes)) {
      const why = await this.#move(move, move.old, move.new);
      if (why === null) done.push(move);
      else refused ??= why;
    }
    if (refused === null) return this.#settle(landing, null);
    for (const move of done) {
      const why = await this.#move(move, move.new, move.old).catch((error: Error) => error.message);
      if (why !== null)
        this.#log.error(
          { code: "CYCLE_TORN", project: move.project, branch: move.branch, commit: move.new },
          `a part of a cycle has merged without the rest, and cannot be taken back: ${why}`,
        );
    }
    return this.#settle(landing, refused);
  }

  /**
   * @returns where a branch is that somebody else has moved, or `null` when it was moved, now or before.
   * @throws ForgeError `LANDING_UNFINISHED` when git cannot do it, or it cannot be seen what was done
   */
  async #move(move: BranchMove, from: string, to: string): Promise<string | null> {
    const gitDir = this.#gitDir(move.project);
    const ref = refOf(move);
    let complaint = "";
    for (const isAgain of [false, true]) {
      try {
        const now = await refCommit(gitDir, ref);
        // Done before, and moved on by another since.
        if (
          now === to ||
          (now !== null && now !== from && (await isAncestor(gitDir, to, now)) && to === move.new)
        )
          return null;
        if (now !== from) return `${ref} of ${move.project} is at ${now === null ? "nothing" : short(now)}`;
        await moveRefs(gitDir, [{ ref, new: to, old: from }]);
        return null;
      } catch (error) {
        complaint = (error as GitError).stderr || (error as Error).message;
      }
      if (!isAgain && complaint.includes(".lock")) await removeStaleLocks(gitDir, [ref]);
    }
    throw new ForgeError(
      "LANDING_UNFINISHED",
      `git could not do it in ${move.project}: ${complaint.trim().split("\n").at(-1)}`,
    );
  }

  #settle(landing: CycleLanding, refused: string | null): string | null {
    const { key, changes } = landing;
    this.#db.transaction(() => {
      this.#db.db
        .prepare("UPDATE forge_cycles SET state = ?, refused = ? WHERE key = ?")
        .run(refused === null ? "done" : "refused", refused, key);
      if (refused !== null) return;
      // As if each had landed alone: what a change made of its branch is asked for in one place.
      const note = this.#db.db.prepare(
        `INSERT OR IGNORE INTO forge_moves (key, project, ref, old, new, change, revision, state, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'done', ?)`,
      );
      for (const { project, branch, base, commit, change, revision } of changes)
        note.run(
          `${key}:${change}`,
          project,
          `refs/heads/${branch}`,
          base,
          commit,
          change,
          revision,
          this.#nowMs(),
        );
      this.#told(landing, branchMoves(changes));
    });
    this.#step(key, "told");
    return refused;
  }

  /** What a process has come to that is killed next. */
  #step(key: string, step: string): void {
    this.#log.debug({ landing: key, step }, "a cycle lands");
  }

  #row(key: string): Row | undefined {
    return this.#db.db.prepare("SELECT * FROM forge_cycles WHERE key = ?").get(key) as unknown as
      | Row
      | undefined;
  }
}
