import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findProgram } from "./packages.ts";
import { accepts, freePort } from "./ports.ts";
import { until } from "./until.ts";

export type ServerKind = "gearmand" | "drover";

/** A job server of a test, listening on loopback. */
export type TestServer = {
  kind: ServerKind;
  host: string;
  port: number;
  /** `host:port`, as Perl and PHP want it. */
  address: string;
  pid: number;
  /** A folder of its own, removed at the end. */
  folder: string;
  isRunning: () => boolean;
  /** What it wrote on its standard streams. */
  output: () => string;
  stop: (signal?: NodeJS.Signals) => Promise<void>;
};

/** DROVER_TEST_PROGRAM puts another in its place, such as an installed release. */
const droverProgram =
  process.env.DROVER_TEST_PROGRAM ?? resolve(import.meta.dirname, "../../packages/cli/bin/drover.js");
/** DROVER_TEST_RUNTIME runs that program by another runtime than the tests' own. */
const droverRuntime = process.env.DROVER_TEST_RUNTIME ?? process.execPath;
const host = "127.0.0.1";
const startDeadlineMs = 30_000;
const stopDeadlineMs = 20_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts stock gearmand, listening on a free port. */
export async function startGearmand(...args: string[]): Promise<TestServer> {
  const program = findProgram("gearmand");
  if (program === undefined) throw new Error("gearmand is not here");
  // Between finding a free port and gearmand's listening, another process may take it.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = launch(program, (folder) => [
      `--listen=${host}`,
      `--port=${port}`,
      `--pid-file=${join(folder, "pid")}`,
      "--log-file=stderr",
      ...args,
    ]);
    try {
      await until("gearmand accepts connections", startDeadlineMs, async () => {
        if (child.hasEnded()) throw new Error(`gearmand ended: ${child.output()}`);
        return accepts(port);
      });
      await until("the server on the port is ours", startDeadlineMs, async () => {
        if (child.hasEnded()) throw new Error(`gearmand ended: ${child.output()}`);
        return (await askOnce(port, "getpid\n")).startsWith(`OK ${child.pid}\n`);
      });
      return child.asServer("gearmand", port);
    } catch (error) {
      await child.stop("SIGKILL");
      if (attempt === 3) throw error;
    }
  }
}

/** Starts `drover serve` on a port that the system picks, which its ready file tells. */
export async function startDrover(...args: string[]): Promise<TestServer> {
  const child = launch(droverRuntime, (folder) => [
    droverProgram,
    "serve",
    "--port",
    "0",
    "--ready-file",
    join(folder, "ready"),
    ...args,
  ]);
  try {
    const readyFile = join(child.folder, "ready");
    await until("drover writes its ready file", startDeadlineMs, async () => {
      if (child.hasEnded()) throw new Error(`drover serve ended: ${child.output()}`);
      return existsSync(readyFile);
    });
    const ready: { listeners: { transport: string; address: string; port: number }[] } = JSON.parse(
      readFileSync(readyFile, "utf8"),
    );
    const tcp = ready.listeners.find((listener) => listener.transport === "tcp");
    if (tcp === undefined) throw new Error(`no tcp listener in ${JSON.stringify(ready)}`);
    return child.asServer("drover", tcp.port);
  } catch (error) {
    await child.stop("SIGKILL");
    throw error;
  }
}

/** The server that interop tests talk to: drover, or stock gearmand with DROVER_TEST_SERVER=gearmand. */
export const serverUnderTest: ServerKind =
  process.env.DROVER_TEST_SERVER === "gearmand" ? "gearmand" : "drover";

export function startServer(kind: ServerKind, ...args: string[]): Promise<TestServer> {
  return kind === "gearmand" ? startGearmand(...args) : startDrover(...args);
}

function launch(program: string, argsIn: (folder: string) => string[]) {
  const folder = mkdtempSync(join(tmpdir(), "drover-server-"));
  // Many servers are started, each of the same sources, which node need not compile anew.
  const env = { NODE_COMPILE_CACHE: join(tmpdir(), "drover-tests-compile-cache"), ...process.env };
  const child = spawn(program, argsIn(folder), { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-100_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const ended = once(child, "exit").finally(() => running.delete(child));

  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    if (!hasEnded()) {
      child.kill(signal);
      const impatience = setTimeout(() => child.kill("SIGKILL"), stopDeadlineMs);
      await ended;
      clearTimeout(impatience);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const pid = child.pid ?? 0;
  return {
    pid,
    folder,
    hasEnded,
    output: () => output,
    stop,
    asServer: (kind: ServerKind, port: number): TestServer => ({
      kind,
      host,
      port,
      address: `${host}:${port}`,
      pid,
      folder,
      isRunning: () => !hasEnded(),
      output: () => output,
      stop,
    }),
  };
}

/** Sends one text command on a connection of its own and gives the answer's first line. */
function askOnce(port: number, command: string): Promise<string> {
  return new Promise((answer) => {
    const socket = connect(port, host, () => socket.write(command));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => answer(text));
  });
}
