export { BuildBus, type BuildEnd, type BuildFollower, RunningBuild } from "./bus/build-bus.ts";
export { BUILD_FUNCTION_SETTINGS, BUILD_FUNCTIONS, buildFunction } from "./bus/build-messages.ts";
export { type BuildWorkerOptions, buildWorker } from "./bus/build-worker.ts";
export type { OutputChunk } from "./executor/build-log.ts";
export {
  type Artifact,
  type BuildOutcome,
  type BuildRequest,
  ExecutorError,
  type ExecutorErrorCode,
  type ReturnedData,
  type Step,
  type StepEnd,
} from "./executor/build-request.ts";
export {
  DEFAULT_EXECUTOR_LIMITS,
  Executor,
  type ExecutorLimits,
  type ExecutorOptions,
  type RunOptions,
} from "./executor/executor.ts";
export type { Isolation } from "./executor/isolation.ts";
export { GitError, type GitOptions, git, gitLine } from "./git/git.ts";
export { GateDatabase, GateStoreError, type Migration } from "./store/database.ts";
