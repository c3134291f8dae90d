export type { OutputChunk } from "./build-log.ts";
export {
  type Artifact,
  type BuildOutcome,
  type BuildRequest,
  ExecutorError,
  type ExecutorErrorCode,
  type ReturnedData,
  type Step,
  type StepEnd,
} from "./build-request.ts";
export { ExecutionStore, type HandedInLimits, isExecution } from "./execution-store.ts";
export { Executor, type ExecutorOptions, type RunOptions } from "./executor.ts";
export { type HeldShell, type HeldWorkspace, readHeldShell } from "./held-workspaces.ts";
export type { Isolation } from "./isolation.ts";
export { DEFAULT_EXECUTOR_LIMITS, type ExecutorLimits } from "./limits.ts";
