import type { JobServerOptions } from "@drover/server";
import { formatAddress, type KeepAlive, parseAddress } from "@drover/transport";
import { unusedPlaces } from "../config/identity-rules.ts";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { LogLevel, ServerConfig } from "../config/schema.ts";
import { DEFAULT_PORT } from "../server-address.ts";
import { SERVER_VERSION } from "../version.ts";
import { connectionsWithin } from "./open-files.ts";

export { DEFAULT_PORT };
export const DEFAULT_GRACE_SECONDS = 5;
export const DEFAULT_WARM_UP_MS = 400;
export const MAX_CONNECTIONS = 100_000;

/** Addresses with their ports; the default is loopback in both families. */
export function listenAddresses(server: ServerConfig): string[] {
  const port = server.port ?? DEFAULT_PORT;
  return (server.listen ?? ["localhost"]).map((text) => formatAddress(parseAddress(text, { port })));
}

/** What is probably not meant as it stands, and shows only when everything is known. */
export function authWarnings({ server, identities }: ResolvedConfig): readonly string[] {
  return identities === undefined ? [] : unusedPlaces(identities, listenAddresses(server));
}

export function logLevelOf(server: ServerConfig): LogLevel {
  return server.logLevel ?? "INFO";
}

export function graceMs(server: ServerConfig): number {
  return Math.round((server.grace ?? DEFAULT_GRACE_SECONDS) * 1000);
}

/** `0` and `-1` of --job-retries mean what the core calls 0: no limit. */
export function functionDefaults(server: ServerConfig): { maxAttempts: number } | undefined {
  return server.jobRetries === undefined ? undefined : { maxAttempts: Math.max(0, server.jobRetries) };
}

function keepAlive(server: ServerConfig): KeepAlive | undefined {
  if (server.keepalive !== true) return undefined;
  const { keepaliveIdle = -1, keepaliveInterval = -1, keepaliveCount = -1 } = server;
  return {
    // 0 leaves the system's own value.
    idleMs: Math.max(0, keepaliveIdle) * 1000,
    ...(keepaliveInterval > 0 ? { intervalMs: keepaliveInterval * 1000 } : {}),
    ...(keepaliveCount > 0 ? { count: keepaliveCount } : {}),
  };
}

/** Handles of two servers on one host differ when the servers have names. */
function handlePrefix({ jobHandlePrefix, serverName }: ServerConfig): { handlePrefix?: string } {
  if (jobHandlePrefix !== undefined) return { handlePrefix: jobHandlePrefix };
  return serverName === undefined ? {} : { handlePrefix: `H:${serverName}` };
}

/** What the configuration makes of the server, but for its log and callbacks. */
export function jobServerOptions(
  { server, limits, rules, schedules }: ResolvedConfig,
  openFiles: number | undefined,
): Omit<JobServerOptions, "log"> {
  const files = Math.min(
    server.fileDescriptors ?? Number.POSITIVE_INFINITY,
    openFiles ?? Number.POSITIVE_INFINITY,
  );
  const keep = keepAlive(server);
  const defaults = functionDefaults(server);
  return {
    listen: listenAddresses(server),
    limits: defined(limits),
    maxConnections: Math.min(server.maxConnections ?? MAX_CONNECTIONS, connectionsWithin(files)),
    maxConnectionsPerAddress: server.maxConnectionsPerAddress ?? 0,
    functions: rules,
    schedules,
    version: SERVER_VERSION,
    logLevel: logLevelOf(server),
    exceptionsForAll: server.exceptions ?? false,
    wakeAtLeast: server.workerWakeup ?? 0,
    timeoutUnit: server.timeoutUnit ?? "auto",
    allowShutdown: server.allowShutdown ?? false,
    ...(server.busyPollUs === undefined ? {} : { busyPollUs: server.busyPollUs }),
    ...(server.backlog === undefined ? {} : { backlog: server.backlog }),
    ...(keep === undefined ? {} : { keepAlive: keep }),
    ...(defaults === undefined ? {} : { functionDefaults: defaults }),
    ...handlePrefix(server),
  };
}

function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
