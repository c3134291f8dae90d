export { REPORT_VERSION, type ReportBody, type ReportFacts, reportBody } from "./body.ts";
export { Courier, noteGivenUp } from "./courier.ts";
export {
  DEFAULT_OUTBOX_LIMITS,
  type Letter,
  OUTBOX_MIGRATIONS,
  Outbox,
  type OutboxLimits,
  type Undelivered,
} from "./outbox.ts";
export { writeToConnections } from "./write.ts";
