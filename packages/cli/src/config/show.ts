import { hostname } from "node:os";
import { DEFAULT_BUSY_POLL_US, DEFAULT_LIMITS } from "@drover/server";
import { stringify } from "yaml";
import { checkServe } from "../serve/run.ts";
import {
  authWarnings,
  DEFAULT_GRACE_SECONDS,
  DEFAULT_PORT,
  DEFAULT_WARM_UP_MS,
  MAX_CONNECTIONS,
} from "../serve/settings.ts";
import { ConfigError } from "./problem.ts";
import { type ConfigInputs, type ResolvedConfig, resolveConfig } from "./resolve.ts";
import { withoutPassword } from "./scalars.ts";

/** What holds where nothing is said; `null` where nothing holds then. */
function defaults(): Readonly<Record<string, unknown>> {
  return {
    listen: ["localhost"],
    port: DEFAULT_PORT,
    insecure: false,
    http: null,
    tls: null,
    https: null,
    tlsCertificate: null,
    tlsKey: null,
    tlsClientCa: null,
    backlog: 511,
    maxConnections: MAX_CONNECTIONS,
    maxConnectionsPerAddress: 0,
    fileDescriptors: null,
    keepalive: false,
    keepaliveIdle: -1,
    keepaliveInterval: -1,
    keepaliveCount: -1,
    jobRetries: 10,
    workerWakeup: 0,
    exceptions: false,
    jobHandlePrefix: `H:${hostname()}`,
    timeoutUnit: "auto",
    grace: DEFAULT_GRACE_SECONDS,
    store: "memory",
    peers: [],
    peerTokenFile: null,
    serverName: null,
    warmUpMs: DEFAULT_WARM_UP_MS,
    busyPollUs: DEFAULT_BUSY_POLL_US,
    allowShutdown: false,
    pidFile: null,
    readyFile: null,
    user: null,
    logFile: "stderr",
    logLevel: "INFO",
    logFormat: "auto",
    syslog: false,
  };
}

/** @throws ConfigError with every problem, as the answer. */
export async function checkConfig(inputs: ConfigInputs): Promise<void> {
  const config = resolved(inputs);
  try {
    await checkServe(config);
  } catch (error) {
    throw new ConfigError([{ where: config.file ?? "flags", message: (error as Error).message }], true);
  }
  for (const warning of [...config.warnings, ...authWarnings(config)])
    process.stderr.write(`drover: ${warning}\n`);
  const what = config.file ?? "flags and environment (there is no drover.yaml here)";
  process.stdout.write(`${what}: all right\n`);
}

export function showConfig(inputs: ConfigInputs, asJson: boolean): void {
  const config = resolved(inputs);
  const rows = effective(config);
  const functions = config.contents?.config.functions ?? {};
  const globs = config.contents?.globs ?? [];
  const auth = config.contents?.config.auth;
  if (asJson) {
    const server: Record<string, unknown> = {};
    for (const { key, value, source } of rows) server[key] = { value, source };
    const rules = globs.map((glob) => ({ glob, settings: functions[glob] }));
    process.stdout.write(
      `${JSON.stringify({ file: config.file ?? null, server, auth: auth ?? null, functions: rules }, null, 2)}\n`,
    );
    return;
  }
  let text = `# ${config.file === undefined ? "no drover.yaml" : `read from ${config.file}`}\nserver:\n`;
  let inLimits = false;
  for (const { key, value, source } of rows) {
    if (key.startsWith("limits.") && !inLimits) {
      text += "  limits:\n";
      inLimits = true;
    }
    const indent = inLimits ? "    " : "  ";
    if (value === null) text += `${indent}# ${key} is not set\n`;
    else text += `${`${indent}${key.replace("limits.", "")}: ${inline(value)}`.padEnd(44)} # ${source}\n`;
  }
  if (auth === undefined) text += "# no auth: everybody may do everything\n";
  else text += stringify({ auth }, { lineWidth: 0 });
  if (globs.length > 0) {
    text += "functions:\n";
    for (const glob of globs) text += `  ${inline(glob)}: ${inline(functions[glob] ?? {})}\n`;
  }
  process.stdout.write(text);
}

function resolved(inputs: ConfigInputs): ResolvedConfig {
  try {
    return resolveConfig(inputs);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(error.problems, true);
    throw error;
  }
}

interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

function effective({ server, limits, sources }: ResolvedConfig): Row[] {
  const row = (key: string, given: unknown, byDefault: unknown): Row => ({
    key,
    value: key === "store" && typeof given === "string" ? withoutPassword(given) : (given ?? byDefault),
    source: sources.get(key) ?? "default",
  });
  return [
    ...Object.entries(defaults()).map(([key, value]) =>
      row(key, (server as Record<string, unknown>)[key], value),
    ),
    ...Object.entries(DEFAULT_LIMITS).map(([key, value]) =>
      row(`limits.${key}`, (limits as Record<string, unknown>)[key], value),
    ),
  ];
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
}
