export { type AdministrativeAct, auditEntry } from "./auth/audit.ts";
export { AuthError, type AuthErrorCode } from "./auth/errors.ts";
export { type Evidence, Identities, type IdentityRule, type IdentityRules } from "./auth/identities.ts";
export { isNetwork } from "./auth/networks.ts";
export { isSecretOf, makeToken, readToken } from "./auth/token.ts";
export {
  createToken,
  readTokenFile,
  revokeToken,
  stateOfToken,
  type TokenRecord,
  type TokenState,
} from "./auth/token-file.ts";
export {
  ANYONE,
  type Backoff,
  CoreCounts,
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  Identity,
  type IdentityLimits,
  JobServerCore,
  type Limits,
  type Rights,
  STRANGER,
  type TimeoutUnit,
} from "./core/index.ts";
export type { HttpServer, HttpServerOptions } from "./http/http-server.ts";
export { DEFAULT_BUSY_POLL_US, JobServer, type JobServerOptions } from "./job-server.ts";
export { collectFigures, type Figures } from "./metrics/figures.ts";
export type { FunctionFigures, HistogramFigures } from "./metrics/function-figures.ts";
export { type Health, healthOf, type NotReadyReason, type Phase, whyNotReady } from "./metrics/health.ts";
export type { Log } from "./note-log.ts";
export { type Schedule, scheduleProblem } from "./schedules.ts";
export { type FunctionRule, settingsByRules } from "./settings.ts";
export { backupStore, type Progress, restoreStore, type Verified, verifyBackup } from "./stores/backup.ts";
export { importGearmandSqlite } from "./stores/import-gearmand.ts";
export { openStore, sqliteFile } from "./stores/open.ts";
export { type Store, StoreError, type StoreErrorCode } from "./stores/store.ts";
export { warmUp } from "./warm-up.ts";
