import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./packages.ts";
import { accepts, freePort } from "./ports.ts";
import { until } from "./until.ts";

const START_MS = 30_000;

/** A memcached or Redis of a test, empty, on loopback. */
export interface TestStore {
  readonly port: number;
  readonly address: string;
  readonly folder: string;
  /** Sends it a signal, such as SIGSTOP. */
  signal(name: NodeJS.Signals): void;
  /** Kills it. */
  stop(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** With more arguments, such as of TLS or of a Unix socket. */
export function startMemcached(more: (port: number, folder: string) => string[] = tcp): Promise<TestStore> {
  // It drops root only for a user that it is told.
  const user = process.getuid?.() === 0 ? ["-u", "root"] : [];
  return startStore("memcached", (port, folder) => [...user, "-t", "1", ...more(port, folder)]);
}

export function startRedis(): Promise<TestStore> {
  return startStore("redis-server", (port, folder) => [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
    ...["--save", "", "--appendonly", "no"],
  ]);
}

function tcp(port: number): string[] {
  return ["-l", "127.0.0.1", "-p", String(port)];
}

async function startStore(
  name: string,
  args: (port: number, folder: string) => string[],
): Promise<TestStore> {
  const folder = mkdtempSync(join(tmpdir(), "drover-store-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = spawn(findProgram(name)!, args(port, folder), { cwd: folder, stdio: "ignore" });
    child = started;
    running.add(started);
    started.once("exit", () => running.delete(started));
    if (args(port, folder).includes("-s")) return;
    await until(`${name} accepts connections`, START_MS, () => {
      if (started.exitCode !== null) throw new Error(`${name} ended with ${started.exitCode}`);
      return accepts(port);
    });
  };
  const stop = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  await start();
  return {
    port,
    address: `127.0.0.1:${port}`,
    folder,
    signal: (signal) => void child?.kill(signal),
    start,
    stop,
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
