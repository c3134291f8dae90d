/** Names a change over all its revisions, and its connection: `local:12`. */
export type ChangeId = string;

/** What a change says it needs. */
export interface Dependency {
  /** As its author wrote it, or `git` for a parent in the repository. */
  readonly source: string;
  /** `null` when no change could be found; then `problem` says why. */
  readonly change: ChangeId | null;
  /** The revision that is needed, of a parent in git. `null`: whichever is current. */
  readonly revision: number | null;
  /** Why it cannot be had; also of a change that is abandoned. */
  readonly problem: string | null;
}

/** A change as its forge has it now: its current revision. */
export interface Change {
  readonly kind: "change";
  readonly id: ChangeId;
  /** From 1. */
  readonly revision: number;
  readonly project: string;
  readonly branch: string;
  /** The revision's head, as a full object id. */
  readonly commit: string;
  readonly state: "open" | "merged" | "abandoned";
  /** Whether its forge lets it be merged: approvals and whatever else that forge asks for. */
  readonly isApproved: boolean;
  readonly needs: readonly Dependency[];
}

/** A branch or tag that moved: what pipelines after the merge are about. */
export interface RefUpdate {
  readonly kind: "ref";
  /** `ref:PROJECT:REF@NEW`; without the end where it is about the ref as it is. */
  readonly id: string;
  readonly project: string;
  /** `refs/heads/main` */
  readonly ref: string;
  /** `null` for a ref that is not a branch. */
  readonly branch: string | null;
  readonly oldCommit: string | null;
  /** `null` when the ref was deleted; or, without an old one, when it is about the branch as it is when its turn comes. */
  readonly newCommit: string | null;
}

/** Whether it is about a ref as it is, and not about a move. */
export function isStanding({ oldCommit, newCommit }: RefUpdate): boolean {
  return oldCommit === null && newCommit === null;
}

/** What a queue item is about. */
export type Subject = Change | RefUpdate;
