export { maySubmit, mayWork } from "./access.ts";
export { pauseFunction } from "./admin.ts";
export { JobServerCore } from "./core.ts";
export { type KeyView, type MemberView, viewKey } from "./fleet-view.ts";
export { JobFunction } from "./function.ts";
export type { FunctionTimes } from "./function-times.ts";
export { FunctionWatch } from "./function-watch.ts";
export { Histogram } from "./histogram.ts";
export {
  Account,
  ALL_RIGHTS,
  ANYONE,
  Identity,
  type IdentityLimits,
  type IdentitySource,
  NO_RIGHTS,
  type Rights,
  STRANGER,
} from "./identity.ts";
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
export {
  countWorkers,
  type DeadLetterView,
  FUNCTION_ORDERS,
  type FunctionOrder,
  type FunctionPlace,
  type FunctionView,
  type JobDetail,
  type JobRow,
  jobDetail,
  listDeadLetters,
  listFunctions,
  listJobs,
  listJobsOfUnique,
  listOutcomesOfUnique,
  listWorkers,
  type OutcomeRow,
  type PeerView,
  type Totals,
  totals,
  viewFunction,
  type WorkerView,
} from "./listings.ts";
export type { FunctionCounts } from "./own-times.ts";
export { Peer, WorkerState } from "./peer.ts";
export type { FailReason } from "./replies.ts";
export { CoreCounts, type CoreNote, type CoreOptions, ServerState } from "./state.ts";
export { deleteDeadLetter, requeueDeadLetter, type Unattended } from "./submissions.ts";
export { shownUnique } from "./uniques.ts";
export { type JobView, type Withdrawn, withdraw } from "./views.ts";
