import type { Log } from "@drover/server";
import { type GitError, git } from "../git/git.ts";
import type { GateDatabase } from "../store/database.ts";
import { isAncestor, refCommit, short } from "./commits.ts";
import { ForgeError } from "./errors.ts";
import { removeStaleLocks } from "./stale-locks.ts";

/** A branch or tag that goes from one commit to another, for the change that lands or for somebody who pushed it. */
export interface Move {
  /** Whoever asks twice with one key asks for one move. */
  readonly key: string;
  readonly project: string;
  /** `refs/heads/main` */
  readonly ref: string;
  /** `null`: there is none yet. */
  readonly old: string | null;
  /** `null`: it is deleted. */
  readonly new: string | null;
  /** The change that lands. */
  readonly change: number | null;
  readonly revision: number | null;
}

interface MoveRow extends Move {
  readonly state: "decided" | "done" | "refused";
  readonly refused: string | null;
}

/** Moves and landings that ended are kept so long, in milliseconds. */
export const KEEP_MS = 30 * 24 * 3_600_000;

/**
 * The journal of moves. Each is decided in the database, then done in its repository, then told with the events that it
 * causes; a process that begins after another was killed takes up what was decided.
 */
export class Moves {
  readonly #db: GateDatabase;
  readonly #gitDir: (project: string) => string;
  readonly #told: (move: Move) => void;
  readonly #log: Log;
  readonly #nowMs: () => number;

  /** @param told Called in the transaction that ends a move which was done. */
  constructor(
    db: GateDatabase,
    gitDir: (project: string) => string,
    told: (move: Move) => void,
    log: Log,
    nowMs: () => number,
  ) {
    this.#db = db;
    this.#gitDir = gitDir;
    this.#told = told;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /**
   * Moves a ref if it is where the move says.
   * @returns why not, or `null` when it has moved, now or when it was asked before.
   * @throws ForgeError `LANDING_KEY_REUSED` when the key was another move's
   */
  async run(move: Move): Promise<string | null> {
    const row = this.#decide(move);
    if (row.state !== "decided") return row.refused;
    this.#step(move, "decided");
    const refused = await this.#do(move);
    this.#step(move, "moved");
    return this.#settle(move, refused);
  }

  /** How a move ended; `undefined` when it was never asked for or goes on. */
  result(key: string): { readonly refused: string | null } | undefined {
    const row = this.#row(key);
    return row === undefined || row.state === "decided" ? undefined : { refused: row.refused };
  }

  /** The commit that a branch was at before a change landed there; `null` when that is not on record any more. */
  before(change: number, landed: string): string | null {
    const row = this.#db.db
      .prepare("SELECT old FROM forge_moves WHERE change = ? AND new = ? AND state = 'done'")
      .get(change, landed) as { old: string | null } | undefined;
    return row?.old ?? null;
  }

  /** Takes up what was decided and not told, in its order. */
  async recover(): Promise<void> {
    const rows = this.#db.db
      .prepare("SELECT * FROM forge_moves WHERE state = 'decided' ORDER BY at_ms, key")
      .all() as unknown as MoveRow[];
    for (const { key, project, ref, old, new: to, change, revision } of rows)
      await this.run({ key, project, ref, old, new: to, change, revision });
  }

  /** Forgets moves that ended long ago. */
  prune(): void {
    this.#db.db
      .prepare("DELETE FROM forge_moves WHERE state <> 'decided' AND at_ms < ?")
      .run(this.#nowMs() - KEEP_MS);
  }

  #decide(move: Move): MoveRow {
    const { key, project, ref, old, new: to, change, revision } = move;
    this.#db.db
      .prepare(
        `INSERT OR IGNORE INTO forge_moves (key, project, ref, old, new, change, revision, state, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'decided', ?)`,
      )
      .run(key, project, ref, old, to, change, revision, this.#nowMs());
    const row = this.#row(key)!;
    if (
      row.project !== project ||
      row.ref !== ref ||
      row.old !== old ||
      row.new !== to ||
      row.change !== change
    )
      throw new ForgeError("LANDING_KEY_REUSED", `${key} was asked for with another branch or commit`);
    return row;
  }

  /** @returns why it is not done, or `null`. */
  async #do({ project, ref, old, new: to }: Move): Promise<string | null> {
    const gitDir = this.#gitDir(project);
    let complaint = "";
    // Once more after a lock that a killed process left.
    for (let isAgain = false; ; isAgain = true) {
      try {
        if (old !== to) await updateRef(gitDir, ref, old, to);
        else if ((await refCommit(gitDir, ref)) !== to) return "the branch is not where it was";
        return null;
      } catch (error) {
        complaint = (error as GitError).stderr || (error as Error).message;
      }
      if (isAgain || !complaint.includes(".lock")) break;
      await removeStaleLocks(gitDir, [ref]);
    }
    try {
      const now = await refCommit(gitDir, ref);
      if (now === to) return null;
      // Done before this process began, and moved on by another since.
      if (to !== null && now !== null && now !== old && (await isAncestor(gitDir, to, now))) return null;
      if (now !== old)
        return `${ref} is at ${now === null ? "nothing" : short(now)}, not at ${old === null ? "nothing" : short(old)}`;
    } catch {
      return `the repository of ${project} cannot be read`;
    }
    return `git refused: ${complaint.trim().split("\n").at(-1)}`;
  }

  #settle(move: Move, refused: string | null): string | null {
    this.#db.transaction(() => {
      this.#db.db
        .prepare("UPDATE forge_moves SET state = ?, refused = ? WHERE key = ?")
        .run(refused === null ? "done" : "refused", refused, move.key);
      if (refused === null) this.#told(move);
      this.#step(move, "telling");
    });
    this.#step(move, "told");
    return refused;
  }

  /** What a process has come to that is killed next. */
  #step({ key }: Move, step: string): void {
    this.#log.debug({ move: key, step }, "a branch or tag moves");
  }

  #row(key: string): MoveRow | undefined {
    return this.#db.db.prepare("SELECT * FROM forge_moves WHERE key = ?").get(key) as unknown as
      | MoveRow
      | undefined;
  }
}

/** Compares and swaps one ref. @throws GitError */
async function updateRef(gitDir: string, ref: string, old: string | null, to: string | null): Promise<void> {
  const args = to === null ? ["-d", ref, old!] : [ref, to, old ?? ""];
  await git(["update-ref", "--no-deref", ...args], { gitDir });
}
