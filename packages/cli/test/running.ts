import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { afterEach, beforeEach } from "vitest";

/* Runs the real command, as a person would. */

export const BIN = resolve(import.meta.dirname, "../bin/drover.js");
const DEADLINE_MS = 20_000;

const running = new Set<Started>();
process.on("exit", () => {
  for (const { kill } of running) kill();
});

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output byte for byte. */
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly program?: string;
  /** It and what it starts are a process group, and are killed together, even when it has ended by itself. */
  readonly withFollowers?: boolean;
  /** When it is killed. Default: 20 s. */
  readonly deadlineMs?: number;
}

/** Runs a command line to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const started = start(args, options);
  started.child.stdin!.end(options.input ?? "");
  const code = await started.ended;
  return { code, stdout: started.stdout(), stderr: started.stderr(), bytes: started.bytes() };
}

/** Runs `drover` to its end. */
export function drover(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run([BIN, ...args], { program: process.execPath, ...options });
}

export interface Started {
  readonly child: ChildProcess;
  /** Exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly hasEnded: () => boolean;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly bytes: () => Buffer;
  /** Kills it if it has not ended. */
  readonly kill: () => void;
}

/** Starts a program, with nothing of ours in its environment but what is given. */
export function start(args: readonly string[], options: RunOptions = {}): Started {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DROVER_|GEARMAN)/.test(name));
  const child = spawn(options.program ?? args[0]!, options.program === undefined ? args.slice(1) : args, {
    cwd: options.cwd ?? tmpdir(),
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: options.withFollowers === true,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {});
  const ended = once(child, "close").then(([code]) => {
    running.delete(started);
    return code as number | null;
  });
  const impatience = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs ?? DEADLINE_MS);
  void ended.then(() => clearTimeout(impatience));
  const started: Started = {
    child,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stdout: () => Buffer.concat(out).toString("utf8"),
    stderr: () => Buffer.concat(err).toString("utf8"),
    bytes: () => Buffer.concat(out),
    kill: () => {
      if (options.withFollowers === true) killGroup(child.pid!);
      else child.kill("SIGKILL");
    },
  };
  running.add(started);
  return started;
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function startDrover(args: readonly string[], options: RunOptions = {}): Started {
  return start([BIN, ...args], { program: process.execPath, ...options });
}

/** Waits until something holds. @throws When it does not in time, naming `what` was waited for. */
export async function until<T>(what: string, holds: () => T | Promise<T>): Promise<NonNullable<T>> {
  const giveUpAt = Date.now() + DEADLINE_MS;
  for (;;) {
    const answer = await holds();
    if (answer) return answer;
    if (Date.now() > giveUpAt) throw new Error(`waited in vain until ${what}`);
    await after(10);
  }
}

/** A folder of a test's own, removed with `remove`. */
export function temporaryFolder(): {
  readonly path: string;
  file(name: string): string;
  /** @returns The file's path. */
  write(name: string, text: string): string;
  remove(): void;
} {
  const path = mkdtempSync(join(tmpdir(), "drover-cli-"));
  return {
    path,
    file: (name) => join(path, name),
    write(name, text) {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export interface Serving extends Started {
  readonly port: number;
  readonly readyFile: string;
}

let servers = 0;

/** Starts `drover serve` on a free port of loopback, and waits until it is ready. */
export async function startServe(
  folder: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Serving> {
  const readyFile = join(folder, `ready-${++servers}`);
  const started = startDrover(["serve", "-p", "0", "--ready-file", readyFile, ...args], {
    cwd: folder,
    ...options,
  });
  try {
    await until("the server is ready", () => {
      if (started.hasEnded()) throw new Error(`drover serve ended: ${started.stderr()}`);
      return existsSync(readyFile);
    });
  } catch (error) {
    started.kill();
    throw error;
  }
  const { listeners } = JSON.parse(readFileSync(readyFile, "utf8")) as { listeners: { port: number }[] };
  return { ...started, readyFile, port: listeners[0]!.port };
}

/** Where a program is, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * A folder and servers for each test of a file, which end with it. To be called once, at the top of the file.
 * @param options Of every server.
 */
export function stage(options: RunOptions = {}): {
  /** The folder of the test that runs. */
  readonly folder: ReturnType<typeof temporaryFolder>;
  readonly serving: Serving[];
  /** Starts `drover serve`. */
  serve(...args: string[]): Promise<Serving>;
} {
  let folder = temporaryFolder();
  folder.remove();
  const serving: Serving[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    for (const server of serving.splice(0)) {
      server.kill();
      await server.ended;
    }
    folder.remove();
  });
  return {
    get folder() {
      return folder;
    },
    serving,
    async serve(...args) {
      const server = await startServe(folder.path, args, options);
      serving.push(server);
      return server;
    },
  };
}
