export {
  type Backoff,
  CoreCounts,
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  JobServerCore,
  type Limits,
  type TimeoutUnit,
} from "./core/index.ts";
export { DEFAULT_BUSY_POLL_US, JobServer, type JobServerOptions } from "./job-server.ts";
export type { Log } from "./note-log.ts";
export { type FunctionRule, settingsByRules } from "./settings.ts";
export { warmUp } from "./warm-up.ts";
