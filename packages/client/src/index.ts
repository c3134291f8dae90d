export { loadRouting } from "#platform";
export { showToken } from "./authentication.ts";
export { type Backoff, backoffMs } from "./backoff.ts";
export { type BytesLike, toBytes, toName } from "./bytes.ts";
export { Channel, type ChannelHandlers } from "./channel.ts";
export {
  type BackgroundOptions,
  type BatchEntry,
  Client,
  type ClientOptions,
  type JobOptions,
  type Status,
  type SubmitOptions,
} from "./client.ts";
export { DROVER_OPTION, type Notice, ServerConnection, type ServerConnectionOptions } from "./connection.ts";
export {
  ClientClosed,
  ClientError,
  type ClientErrorCode,
  EventsDropped,
  InvalidArgument,
  JobException,
  JobFailed,
  JobLost,
  JobTimeout,
  NeedsDrover,
  NoServer,
  QueueFull,
  type SchemaIssue,
  ServerLost,
  ServerRefused,
  TooManyCalls,
  Unauthenticated,
  ValueInvalid,
} from "./errors.ts";
export type { JobEvent, TerminalEvent } from "./feed.ts";
export {
  bytesCodec,
  type Codec,
  type DefinedFunction,
  defineFunction,
  type FunctionDefinition,
  jsonCodec,
  onceKnown,
  type SchemaResult,
  type StandardSchema,
} from "./function.ts";
export { Heartbeat, PING } from "./heartbeat.ts";
export { Job } from "./job.ts";
export { pause } from "./pool.ts";
export { serversFromDns, serversFromSrv } from "./routing/dns.ts";
export { type KetamaRing, ketamaRing, ringOwner, ringRank } from "./routing/ketama.ts";
export { type Ranking, type RoutedServer, type RoutingMode, ranking, rankServers } from "./routing/rank.ts";
export { type Route, Router, type RouterOptions, type Target } from "./routing/router.ts";
export {
  type ConnectionTerms,
  connectionTerms,
  type ListedServer,
  type ServerList,
  type Servers,
} from "./terms.ts";
export {
  endFailed,
  type Span,
  type SpanContext,
  SpanKind,
  spanContextOf,
  type TraceContext,
  type Tracing,
  traceparentOf,
} from "./tracing.ts";
