import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { accepts, freePort } from "../test/peers/ports.ts";
import { until } from "../test/peers/until.ts";
import { makeFolder, removeFolder, startChild } from "./children.ts";
import { need, ROOT, SERVER_CORE } from "./tools.ts";

/** A server that can be measured. Its command is one process, and listens on 127.0.0.1:$PORT. */
export interface ServerCommand {
  readonly name: string;
  readonly command: string;
}

export interface RunningServer {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** From its start until it listened. */
  readonly startMs: number;
  /** Resident set, in KiB. */
  rssKiB(): number;
  stop(): Promise<void>;
}

export const DROVER = "drover";

/** The configurations of gearmand, of which the best one is the measure, and how a table calls them. */
export const GEARMAND = {
  gearmand: "default",
  "gearmand-1": "one thread",
  "gearmand-tuned": "tuned",
  "gearmand-tuned-1": "tuned, one thread",
} as const;

export type GearmandName = keyof typeof GEARMAND;

/** For long queues, and for many workers that sleep. */
const TUNED = "--hashtable-buckets=1000003 --worker-wakeup=1";

const START_MS = 30_000;
const STOP_MS = 5_000;

export async function gearmandCommands(): Promise<ServerCommand[]> {
  const program = await need("gearmand", ["gearman-job-server"]);
  const command = `${program} --listen=127.0.0.1 --port=$PORT --log-file=none --pid-file=pid`;
  return [
    { name: "gearmand", command },
    { name: "gearmand-1", command: `${command} --threads=1` },
    { name: "gearmand-tuned", command: `${command} ${TUNED}` },
    { name: "gearmand-tuned-1", command: `${command} --threads=1 ${TUNED}` },
  ];
}

/** Drover as it is in this clone. */
export function droverCommand(name: string = DROVER, runtime: string = process.execPath): ServerCommand {
  const program = join(ROOT, "packages/cli/bin/drover.js");
  return {
    name,
    command: `'${runtime}' '${program}' serve --listen 127.0.0.1 --port $PORT --log-file none`,
  };
}

/** Starts a server afresh, on a free port and in a folder of its own. */
export async function startServer(
  server: ServerCommand,
  pinned: boolean,
  deadlineMs: number = START_MS,
): Promise<RunningServer> {
  // Between finding a free port and the server's listening, another process may take it.
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(await freePort(), server, pinned, deadlineMs);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function startOn(
  port: number,
  server: ServerCommand,
  pinned: boolean,
  deadlineMs: number,
): Promise<RunningServer> {
  const folder = makeFolder();
  const pin = pinned ? `taskset -c ${SERVER_CORE}` : "";
  // Thousands of connections need more file descriptors than a shell usually gives.
  const script = `ulimit -n "$(ulimit -Hn)"; exec ${pin} ${server.command}`;
  const child = startChild("sh", ["-c", script], {
    cwd: folder,
    env: { ...process.env, PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const begunMs = performance.now();
  let complaint = "";
  child.stderr!.on("data", (chunk) => {
    complaint = (complaint + chunk).slice(-1000);
  });
  const stop = async () => {
    await end(child);
    removeFolder(folder);
  };
  try {
    await until(`${server.name} listens`, deadlineMs, () => {
      if (hasEnded(child)) throw new Error(`${server.name} ended at once: ${complaint.trim()}`);
      return accepts(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const startMs = performance.now() - begunMs;
  // What a server does after it listens, such as compiling, is not to be measured.
  await after(200);
  return { name: server.name, port, pid: child.pid!, startMs, stop, rssKiB: () => rssKiB(child.pid!) };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(impatience);
}

function rssKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}
