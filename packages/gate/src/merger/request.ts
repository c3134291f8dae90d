import type { MergeResult } from "../core/events.ts";

/** By Zuul's names. `merge-recursive` is done as `merge-ort`, which is `merge`; so is `merge-resolve`, with a warning. */
export const MERGE_MODES = [
  "merge",
  "merge-ort",
  "merge-recursive",
  "merge-resolve",
  "cherry-pick",
  "squash-merge",
  "rebase",
] as const;

export type MergeMode = (typeof MERGE_MODES)[number];

export interface MergeStep {
  readonly project: string;
  readonly branch: string;
  /** Head of the change, as a full object id. */
  readonly commit: string;
  readonly mode: MergeMode;
  /**
   * The commit before the first one of the change, for a change of several commits: `cherry-pick` and `rebase` take those
   * after it only. Default: `cherry-pick` takes the head alone, `rebase` what git's would.
   */
  readonly since?: string;
}

/** What a branch was or is. */
export interface BranchTip {
  readonly project: string;
  readonly branch: string;
  readonly commit: string;
}

export interface MergeRequest {
  /** In this order, each on what the one before it made of its branch. */
  readonly steps: readonly MergeStep[];
  /** What branches were when the state was frozen. Default, for each branch: what it is now. */
  readonly bases?: readonly BranchTip[];
}

/** A `MergeResult`, and what else a merger knows of it. */
export type MergeAnswer =
  | (Extract<MergeResult, { kind: "merged" }> & {
      /** For each branch, where it ends. */
      readonly heads: readonly BranchTip[];
      readonly bases: readonly BranchTip[];
      /** Steps that were not remembered from another request. */
      readonly merges: number;
      readonly warnings: readonly string[];
    })
  | (Extract<MergeResult, { kind: "conflict" }> & {
      /** As `textOf` has them; empty when it is no file that keeps them from merging. */
      readonly paths: readonly string[];
      readonly bases: readonly BranchTip[];
      readonly merges: number;
    })
  | Extract<MergeResult, { kind: "error" }>;

export type MergerErrorCode = "MERGER_BUSY" | "MERGER_LIMIT" | "MERGER_REQUEST_INVALID";

/** A merger was asked for what it does not do. */
export class MergerError extends Error {
  override readonly name = "MergerError";
  readonly code: MergerErrorCode;

  constructor(code: MergerErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}
