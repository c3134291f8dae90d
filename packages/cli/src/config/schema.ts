import { scheduleProblem } from "@drover/server";
import * as z from "zod";
import { authSchema } from "./auth-schema.ts";
import { addresses, choice, flag, integer, seconds, size, storeName, text, texts } from "./scalars.ts";

/*
 * The schema of drover.yaml, and with it of flags and environment, which set the same things: `--job-retries`,
 * `DROVER_JOB_RETRIES` and `server.jobRetries` are one option.
 */

/** gearmand's names of log levels, most severe first. */
export const LOG_LEVELS = [
  "FATAL",
  "ALERT",
  "CRITICAL",
  "ERROR",
  "WARNING",
  "NOTICE",
  "INFO",
  "DEBUG",
] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const logLevel = z.preprocess(
  (value) => (typeof value === "string" ? value.toUpperCase() : value),
  choice(...LOG_LEVELS),
);

const file = text("file name");
/** -1 stands for the operating system's own value, as with gearmand. */
const keepaliveNumber = integer(-1, 32_767);

const limits = z.strictObject({
  maxPacketBytes: size(1024, 0xffff_ffff).optional(),
  maxLineBytes: size(64).optional(),
  maxFunctionBytes: size(1, 8192).optional(),
  maxUniqueBytes: size(63, 8192).optional(),
  maxClientIdBytes: size(1, 8192).optional(),
  maxFunctions: integer(1).optional(),
  maxAbilities: integer(1).optional(),
  maxJobs: integer(1).optional(),
  maxSubmissions: integer(1).optional(),
  maxWorkloadBytes: size(1024).optional(),
  replayLimitBytes: size(0).optional(),
  replayTotalBytes: size(0).optional(),
  lingerTotalBytes: size(0).optional(),
  backlogBytes: size(1024).optional(),
  pauseBytes: size(1024).optional(),
  unfinishedMs: integer(1).optional(),
  authenticateMs: integer(1).optional(),
  strangerPacketBytes: size(64, 0xffff_ffff).optional(),
  wakeGraceMs: integer(1).optional(),
  maxDeadLetters: integer(0).optional(),
  deadLetterBytes: size(0).optional(),
  outcomeMs: integer(0).optional(),
  maxOutcomes: integer(0).optional(),
  maxTraceLinks: integer(0).optional(),
  idleFunctionMs: integer(1).optional(),
  maxForwarded: integer(0).optional(),
  maxReroutes: integer(0).optional(),
  maxFunctionMetrics: integer(0).optional(),
});

/** `NAME=ADDRESS`. */
function isPeer(peer: string): boolean {
  return /^[\x21-\x3c\x3e-\x7e]{1,32}=[^\s=]+$/.test(peer);
}

const server = z.strictObject({
  listen: addresses().optional(),
  port: integer(0, 65_535).optional(),
  insecure: flag().optional(),
  http: addresses().optional(),
  tls: addresses().optional(),
  https: addresses().optional(),
  tlsCertificate: file.optional(),
  tlsKey: file.optional(),
  tlsClientCa: file.optional(),
  backlog: integer(1, 65_535).optional(),
  maxConnections: integer(1).optional(),
  maxConnectionsPerAddress: integer(0).optional(),
  fileDescriptors: integer(16).optional(),
  keepalive: flag().optional(),
  keepaliveIdle: keepaliveNumber.optional(),
  keepaliveInterval: keepaliveNumber.optional(),
  keepaliveCount: integer(-1, 127).optional(),
  jobRetries: integer(-1).optional(),
  workerWakeup: integer(0).optional(),
  exceptions: flag().optional(),
  jobHandlePrefix: text("handle prefix (1 to 46 visible ASCII characters)", /^[\x21-\x7e]{1,46}$/).optional(),
  timeoutUnit: choice("auto", "ms", "s").optional(),
  grace: seconds(86_400).optional(),
  store: storeName().optional(),
  peers: texts("peer such as gm2=10.0.0.2:4730", isPeer).optional(),
  peerTokenFile: file.optional(),
  serverName: text("server name (1 to 32 visible ASCII characters)", /^[\x21-\x7e]{1,32}$/).optional(),
  warmUpMs: integer(0, 60_000).optional(),
  busyPollUs: integer(0, 1_000_000).optional(),
  allowShutdown: flag().optional(),
  pidFile: file.optional(),
  readyFile: file.optional(),
  user: text("user's name").optional(),
  logFile: file.optional(),
  logLevel: logLevel.optional(),
  logFormat: choice("auto", "json", "text").optional(),
  syslog: flag().optional(),
  limits: limits.optional(),
});

const queueLimit = integer(0);

const backoff = z.strictObject({
  initialMs: integer(0).default(1000),
  maxMs: integer(0).default(60_000),
  factor: z.number({ error: "is no number from 1 to 100" }).min(1).max(100).default(2),
  jitter: z.number({ error: "is no number from 0 to 1" }).min(0).max(1).default(0.2),
});

const functionSettings = z.strictObject({
  maxRunning: integer(0).optional(),
  maxQueue: z
    .union([
      queueLimit,
      z.strictObject({
        high: queueLimit.default(0),
        normal: queueLimit.default(0),
        low: queueLimit.default(0),
      }),
    ])
    .optional(),
  lingerMs: integer(0).optional(),
  lingerWithoutReports: flag().optional(),
  replayLimitBytes: size(0).optional(),
  onAbandoned: choice("keep", "cancel", "cancelDetached").optional(),
  onTimeout: choice("fail", "retry").optional(),
  maxAttempts: integer(0).optional(),
  retry: z.strictObject({ maxAttempts: integer(1), backoff: backoff.prefault({}) }).optional(),
  restartWarning: flag().optional(),
});

const schedule = z
  .strictObject({
    cron: text("cron expression"),
    timeZone: text("time zone").optional(),
    function: text("function name"),
    unique: z.string({ error: "is no text" }).optional(),
    workload: z.string({ error: "is no text" }).optional(),
    priority: choice("high", "normal", "low").optional(),
    missed: choice("skip", "once").optional(),
  })
  .superRefine(({ cron, timeZone }, context) => {
    const problem = scheduleProblem(cron, timeZone);
    if (problem !== null)
      context.addIssue({ code: "custom", path: ["cron"], message: `is no time: ${problem}` });
  });

const http = z.strictObject({
  hosts: z.array(text("host name", /^[^\s:/]+$/)).optional(),
  origins: z.array(text("origin such as https://example.com", /^https?:\/\/[^\s/]+$/)).optional(),
  maxBodyBytes: size(1024, 0x7fff_ffff).optional(),
  maxHeaderBytes: size(1024, 1024 * 1024).optional(),
  headersTimeoutMs: integer(1).optional(),
  requestTimeoutMs: integer(1).optional(),
  idleTimeoutMs: integer(1).optional(),
  maxStreams: integer(1, 100_000).optional(),
});

const tls = z.strictObject({
  certificates: z
    .array(z.strictObject({ certificate: file, key: file }))
    .min(1)
    .optional(),
  clientCa: z.array(file).optional(),
  clientCertificates: choice("none", "optional", "required").optional(),
  minVersion: choice("TLSv1.2", "TLSv1.3").optional(),
  handshakeTimeoutMs: integer(1).optional(),
});

export const configSchema = z.strictObject({
  server: server.optional(),
  tls: tls.optional(),
  http: http.optional(),
  auth: authSchema.optional(),
  schedules: z.record(z.string(), schedule).optional(),
  functions: z.record(z.string(), functionSettings).optional(),
});

export type Config = z.output<typeof configSchema>;
export type ServerConfig = z.output<typeof server>;
export type TlsConfig = z.output<typeof tls>;
export type HttpConfig = z.output<typeof http>;
export type LimitsConfig = z.output<typeof limits>;
export type ScheduleConfig = z.output<typeof schedule>;
export type FunctionConfig = z.output<typeof functionSettings>;

/** The schema of one option of `server`, or of its `limits`. */
export function optionSchema(key: string): z.ZodType {
  const shape: Readonly<Record<string, z.ZodType>> = key.startsWith("limits.") ? limits.shape : server.shape;
  const schema = shape[key.replace("limits.", "")];
  if (schema === undefined) throw new Error(`bug: no option ${key}`);
  return schema;
}

/** The keys that may stand where `path` leads, for suggestions. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = configSchema;
  for (const key of path) {
    schema = unwrapped(schema);
    if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodObject) schema = schema.shape[String(key)];
    else return [];
  }
  schema = unwrapped(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrapped(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    inner = inner.unwrap();
  }
  if (inner instanceof z.ZodUnion) return inner.options.find((option) => option instanceof z.ZodObject);
  return inner;
}
