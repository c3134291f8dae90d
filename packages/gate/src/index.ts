export { type GateHttpOptions, gateHttp } from "./api/routes.ts";
export { statusView } from "./api/views.ts";
export { type BackupManifest, backupGate, restoreGate } from "./backup.ts";
export * from "./bus/index.ts";
export * from "./config/index.ts";
export * from "./executor/index.ts";
export * from "./forge/index.ts";
export {
  GATE_FILE,
  GATE_FUNCTION_RULES,
  GATE_FUNCTIONS,
  Gate,
  GateError,
  type GateErrorCode,
  type GateOptions,
} from "./gate.ts";
export { commitFiles } from "./git/commit-files.ts";
export { GitError, type GitOptions, git, gitLine } from "./git/git.ts";
export { bytesOf, textOf } from "./git/text.ts";
export { gitVersion } from "./git/version.ts";
export { type InitOptions, type InitResult, initGate } from "./init.ts";
export * from "./merger/index.ts";
export * from "./remote/index.ts";
export { replayGate } from "./replay.ts";
export { HistoryError, type HistoryErrorCode } from "./scheduler/history.ts";
export { encryptedSecret } from "./secrets/encrypt.ts";
export { readSealingKey } from "./secrets/keys.ts";
export { GateDatabase, GateStoreError, type Migration } from "./store/database.ts";
export { readClone, type TrialClone } from "./trial/clones.ts";
export { Trial, type TrialOptions, type TrialPlan } from "./trial/trial.ts";
export { TrialError, type TrialErrorCode } from "./trial/trial-error.ts";
