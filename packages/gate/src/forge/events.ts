import type { Change, ChangeId, RefUpdate } from "../core/index.ts";

/** What pipelines of `trigger.local` may wait for. */
export type ForgeTrigger =
  /** A change is there, or a revision of it, or it was restored. */
  | { readonly event: "change-created"; readonly change: ChangeId }
  | { readonly event: "approved"; readonly change: ChangeId; readonly user: string }
  /** By the gate. */
  | { readonly event: "change-merged"; readonly change: ChangeId }
  | { readonly event: "comment"; readonly change: ChangeId; readonly user: string; readonly text: string }
  /** A branch or tag was made, moved or deleted, by a landing or by an operator. */
  | { readonly event: "ref-updated"; readonly ref: RefUpdate };

/** What the forge tells, in the order in which it happened. */
export type ForgeEvent =
  /** A change is not as it was told before: it comes ahead of the trigger of the same act. */
  | { readonly kind: "change"; readonly change: Change }
  | { readonly kind: "trigger"; readonly trigger: ForgeTrigger }
  /** Somebody else than the gate moved, made or deleted a branch. */
  | { readonly kind: "branchMoved"; readonly project: string; readonly branch: string };
