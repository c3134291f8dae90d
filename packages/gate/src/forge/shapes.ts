import type { Log } from "@drover/server";
import type { Change } from "../core/index.ts";
import type { GateDatabase } from "../store/database.ts";
import type { Approval, ChangeRow, CommentRow, RevisionRow } from "./change-table.ts";
import type { ForgeEvent } from "./events.ts";
import type { ForgeLimits } from "./limits.ts";

/* What the forge is given, and what it gives. */

export interface LocalForgeOptions {
  /** With `FORGE_MIGRATIONS`. */
  readonly database: GateDatabase;
  /** Of the bare repositories, `NAME.git` each. Made when it is not there. */
  readonly folder: string;
  /** Called in the transaction of the act that causes the events; what it throws undoes the act. */
  readonly onEvents: (events: readonly ForgeEvent[]) => void;
  readonly log: Log;
  /** Goes before a change's number in its id. Default: `local`. */
  readonly connection?: string;
  /** Base URLs by which this gate is called, in links and in `Depends-On`; the first is shown. Default: none. */
  readonly urls?: readonly string[];
  /** Branches that only the gate moves. Default: all. */
  readonly isGated?: (project: string, branch: string) => boolean;
  /** Whether operators may push to gated branches all the same. Default: false. */
  readonly directPush?: boolean;
  /** Whether a user's approval of his own change counts. Default: false. */
  readonly selfApproval?: boolean;
  /** Whether a revision that only moves a change to another base keeps its approvals. Default: false. */
  readonly keepApprovals?: boolean;
  readonly limits?: Partial<ForgeLimits>;
  readonly nowMs?: () => number;
}

/** Everything about a change but its commits. */
export interface ChangeDetails extends ChangeRow {
  /** As the core is told. */
  readonly record: Change;
  readonly revisions: readonly RevisionRow[];
  readonly approvals: readonly Approval[];
  readonly comments: readonly CommentRow[];
  /** Numbers of open changes that need this one. */
  readonly neededBy: readonly number[];
}

export interface NewComment {
  readonly text: string;
  readonly vote?: number;
  /** Default: the current one. */
  readonly revision?: number;
  readonly file?: string;
  readonly line?: number;
}

/** Move a branch from `base` to exactly `commit`, which is what was tested of a change. */
export interface Landing {
  /** Asked with one key twice, it is done once. */
  readonly key: string;
  readonly project: string;
  readonly branch: string;
  readonly base: string;
  readonly commit: string;
  readonly changeNumber: number;
  /** The one that was tested. */
  readonly revision: number;
}
