export { type BranchedSubject, branchRule, type LoadedProject, showRule } from "./branches.ts";
export type { LoadedLayout } from "./build.ts";
export type {
  CommandConnection,
  ReportConnection,
  SmtpConnection,
  WebhookConnection,
} from "./connections.ts";
export { CONFIG_ROOTS, type ConfigFile, type ConfigSource, isConfigPath } from "./files.ts";
export { checkConfigFolder, definesPipelines, type FolderCheck } from "./folder.ts";
export {
  type FreezeResult,
  type FreezeSubject,
  type FrozenJobDefinition,
  hasSecrets,
  isSameJob,
  type JobExplanation,
  LOCAL_LABEL,
  NOOP,
} from "./freeze.ts";
export { readVariables } from "./included.ts";
export { type IncludedVars, isPlaybook, mergeVariables, type PhaseStep } from "./inherit.ts";
export { Kept } from "./kept.ts";
export { type ForgeEvent as TriggerEvent, Layout, type LayoutParts, type Reporting } from "./layout.ts";
export { CONFIG_LIMITS } from "./limits.ts";
export { type ChangedConfig, ConfigLoader, problemsOfChange } from "./loader.ts";
export { DEFAULT_SUBJECT, subjectText } from "./mail-subject.ts";
export type {
  ConnectionAction,
  MailFacts,
  PipelineDefinition,
  ReporterAction,
  TimerTrigger,
  Variables,
} from "./model.ts";
export { CRON_OPTIONS } from "./parse-triggers.ts";
export type { BuildInput } from "./schema.ts";
export { STARTER_CONFIG_FILES, starterProjectFile, starterTenantFile } from "./starter.ts";
export { isDynamicBranch, parseTenants, type Tenant, type TenantProject } from "./tenant.ts";
