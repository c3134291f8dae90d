export type { Files, WantedFiles } from "./files.ts";
export { type HeldCommit, Merger, type MergerOptions } from "./merger.ts";
export {
  type BranchTip,
  MERGE_MODES,
  type MergeAnswer,
  type MergeMode,
  type MergeRequest,
  MergerError,
  type MergeStep,
} from "./request.ts";
export type { Committer } from "./steps.ts";
