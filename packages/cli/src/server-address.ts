import { readFileSync } from "node:fs";
import { formatAddress, parseAddress } from "@drover/transport";
import { type Command, Option } from "commander";
import { UsageError } from "./errors.ts";

/*
 * Where the job server is, for every command that talks to one: -h and -p as in Gearman's own tools, then the
 * environment, then localhost:4730; and what it is shown: the token in a file or in the environment. There is no flag
 * for the token itself, since everybody on the machine can read the flags of a process.
 */

export interface ServerFlags {
  readonly host?: string;
  readonly port?: string;
  readonly tokenFile?: string;
}

/** A job server, and the token that it is shown. */
export interface Target {
  readonly address: string;
  readonly token: string | undefined;
}

export const DEFAULT_PORT = 4730;

export function addServerAddress(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-h, --host <address>",
        "job server: host, host:port, [v6]:port or unix:/path (default: DROVER_SERVER, else localhost)",
      ),
    )
    .addOption(new Option("-p, --port <number>", "its port (default: 4730)"))
    .addOption(new Option("--token-file <file>", "file with the token to show (default: DROVER_TOKEN)"))
    .helpOption("-H, --help", "show this help");
}

/** For commands that have a server of their own unless another is named. */
export function addServerOption(command: Command): Command {
  return command
    .option("--server <address>", "host:port of a job server (default: one of its own, on a free port)")
    .helpOption("-h, --help", "show this help");
}

/**
 * The server's address in the one form that the transports read.
 * @throws UsageError, TransportError `ADDRESS_INVALID`
 */
export function serverAddress(
  { host, port }: ServerFlags,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  return serverAddresses(
    { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) },
    environment,
  )[0]!;
}

/** Whether flags or environment say which server is meant. */
export function isServerNamed(
  { host, port }: ServerFlags,
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  return Boolean(host ?? port ?? (environment.DROVER_SERVER || environment.GEARMAN_SERVER));
}

/** @throws as `serverAddress` and `tokenOf` */
export function serverTarget(flags: ServerFlags): Target {
  return { address: serverAddress(flags), token: tokenOf(flags) };
}

/**
 * The token in the file named, else in the environment.
 * @throws UsageError `TOKEN_UNREADABLE`
 */
export function tokenOf(
  { tokenFile }: Pick<ServerFlags, "tokenFile">,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  if (tokenFile === undefined) return environment.DROVER_TOKEN?.trim() || undefined;
  try {
    const token = readFileSync(tokenFile, "utf8").trim();
    if (/^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("TOKEN_UNREADABLE", `cannot read the token in ${tokenFile} (${code ?? message})`);
  }
  throw new UsageError("TOKEN_UNREADABLE", `${tokenFile} holds no token: it is to be its only line`);
}

/** All of them, where several are named, divided by commas. */
export function serverAddresses(
  { host, port }: ServerFlags,
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  const named =
    host ?? (port === undefined ? environment.DROVER_SERVER || environment.GEARMAN_SERVER : undefined);
  if (port !== undefined && (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || Number(port) === 0)) {
    throw new UsageError(
      "OPTION_INVALID",
      `--port ${JSON.stringify(port)} is no port: give a number from 1 to 65535`,
    );
  }
  const defaults = { port: port === undefined ? DEFAULT_PORT : Number(port) };
  const list = (named ?? "localhost").split(",").map((part) => part.trim());
  return list.map((text) => formatAddress(parseAddress(text, defaults)));
}
