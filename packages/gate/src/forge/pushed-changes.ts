import type { Log } from "@drover/server";
import { git } from "../git/git.ts";
import type { GateDatabase } from "../store/database.ts";
import type { ChangeTable } from "./change-table.ts";
import { refCommit } from "./commits.ts";

export interface PushedChangesParts {
  readonly db: GateDatabase;
  readonly table: ChangeTable;
  readonly gitDir: (project: string) => string;
  /** Called in a transaction. */
  readonly merged: (change: number, commit: string) => void;
  readonly log: Log;
}

/** Changes that came into a branch by a push of their commits, past the gate: they count as merged. */
export class PushedChanges {
  readonly #parts: PushedChangesParts;

  constructor(parts: PushedChangesParts) {
    this.#parts = parts;
  }

  /** Closes those that are open while a branch has their head. It has moved already: what fails is logged, and done later. */
  async close(project: string, branch: string): Promise<void> {
    const { db, table, gitDir, merged, log } = this.#parts;
    try {
      const open = table.openOf(project, branch).map(({ number, revision }) => ({
        number,
        head: table.revision(number, revision)!.head,
      }));
      if (open.length === 0) return;
      const tip = await refCommit(gitDir(project), `refs/heads/${branch}`);
      if (tip === null) return;
      const input = [...open.map(({ head }) => head), `^${tip}`].join("\n");
      const { stdout } = await git(["rev-list", "--stdin"], { gitDir: gitDir(project), input });
      const left = new Set(stdout.toString().split("\n"));
      db.transaction(() => {
        for (const { number, head } of open) if (!left.has(head)) merged(number, tip);
      });
    } catch (error) {
      log.error(
        { code: "PUSH_UNFINISHED", project, branch, error },
        "changes that a push has brought may still be open: the next push or start closes them",
      );
    }
  }

  /** Does it for all branches that were pushed to: a process before this one may have been killed in between. */
  async recover(): Promise<void> {
    const pushed = this.#parts.db.db
      .prepare(
        `SELECT DISTINCT project, substr(ref, 12) AS branch FROM forge_moves
         WHERE change IS NULL AND new IS NOT NULL AND state = 'done' AND ref LIKE 'refs/heads/%'`,
      )
      .all() as { project: string; branch: string }[];
    for (const { project, branch } of pushed) await this.close(project, branch);
  }
}
