import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { DEFAULT_PORT, tokenOf } from "../server-address.ts";

/* Which gate a command is about, and by which token. */

export interface GateFlags {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** Where the gate's HTTP is, and the token to show. */
export interface GatePlace {
  readonly url: string;
  readonly token: string | undefined;
}

const DEFAULT_URL = "http://localhost:4780";

export function addGatePlace(command: Command): Command {
  return command
    .option("--server <url>", "HTTP address of the gate (default: DROVER_GATE, else http://localhost:4780)")
    .option("--token-file <file>", "file with your token (default: DROVER_TOKEN, else what init has kept)");
}

/** @throws UsageError */
export function gatePlace(flags: GateFlags): GatePlace {
  const text = flags.server ?? process.env.DROVER_GATE ?? DEFAULT_URL;
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  if (url === null || url.hostname === "" || url.pathname !== "/" || url.search !== "") {
    throw new UsageError(
      "OPTION_INVALID",
      `--server ${JSON.stringify(text)} is no address: write http://HOST:PORT`,
    );
  }
  return { url: url.origin, token: tokenOf(flags) ?? keptToken() };
}

/** Of this user, where `init` keeps the first token. */
export function keptTokenFile(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), ".config"), "drover", "gate.token");
}

function keptToken(): string | undefined {
  try {
    return readFileSync(keptTokenFile(), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps a token in the gate's folder, and for this user's commands unless they have another gate's already.
 * @returns The file that they read it from.
 */
export function keepToken(folder: string, token: string): string {
  const own = join(folder, "operator.token");
  writeFileSync(own, `${token}\n`, { mode: 0o600 });
  const path = keptTokenFile();
  if (existsSync(path)) return own;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return path;
}

/** The folder of the gate of `drover up` on a port: two of them run beside each other. */
export function defaultGateFolder(port: number): string {
  const folder = join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "drover");
  return join(folder, port === DEFAULT_PORT ? "gate" : `gate-${port}`);
}
