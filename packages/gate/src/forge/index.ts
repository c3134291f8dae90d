export type { ChangeFilter, ChangeRow, ChangeState, CommentRow, RevisionRow } from "./change-table.ts";
export type { ChangedFile, Diff } from "./diff.ts";
export { ForgeError, type ForgeErrorCode } from "./errors.ts";
export type { ForgeEvent, ForgeTrigger } from "./events.ts";
export {
  type ChangeDetails,
  type Landing,
  LocalForge,
  type LocalForgeOptions,
  type NewComment,
} from "./forge.ts";
export { DEFAULT_GIT_HTTP_LIMITS, GitHttp, type GitHttpLimits, type GitHttpOptions } from "./git-http.ts";
export { addGitRoutes } from "./git-routes.ts";
export { DEFAULT_FORGE_LIMITS, type ForgeLimits } from "./limits.ts";
export { projectNameProblem } from "./names.ts";
export type { Push, PushAnswer, PushCommand, RefAnswer } from "./receive.ts";
export { FORGE_MIGRATIONS } from "./schema.ts";
export { type Role, type User, Users, type UserToken } from "./users.ts";
