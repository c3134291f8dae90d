export { JobServerCore } from "./core.ts";
export { JobFunction } from "./function.ts";
export type { FunctionTimes } from "./function-times.ts";
export { Histogram } from "./histogram.ts";
export { Job, JobState, Priority, Run, Submission } from "./job.ts";
export type { Commit, Fired, StoredChange, StoredJob } from "./journal.ts";
export {
  type Backoff,
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  type Limits,
  type TimeoutUnit,
} from "./limits.ts";
export type { FunctionCounts } from "./own-times.ts";
export { Peer, WorkerState } from "./peer.ts";
export { CoreCounts, type CoreNote, type CoreOptions, ServerState } from "./state.ts";
export type { Unattended } from "./submissions.ts";
export { shownUnique } from "./uniques.ts";
export { type JobView, type Withdrawn, withdraw } from "./views.ts";
