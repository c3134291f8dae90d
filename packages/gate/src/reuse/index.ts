export { localEnvironment } from "./environment.ts";
export { HeldExecutions, HOLD_MS } from "./held-executions.ts";
export {
  type Flake,
  type FlakeFilter,
  REUSE_MIGRATIONS,
  type RecordedExecution,
  type ReuseCounts,
  ReuseLedger,
  type Sharing,
} from "./ledger.ts";
export { type SharedPlan, SharingPlanner } from "./sharing.ts";
