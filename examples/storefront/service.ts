import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readdirSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";

const READY_MS = 30_000;
const STOP_MS = 5_000;
const MAX_OUTPUT = 4_000;

/** Servers live in sbin, which is not on every user's PATH; Debian has a folder for each version of PostgreSQL. */
const FOLDERS = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];
const POSTGRESQL = "/usr/lib/postgresql";

/** @throws When it is nowhere, with what installs it. */
export function findProgram(name: string, debianPackage: string): string {
  let versions: string[] = [];
  try {
    versions = readdirSync(POSTGRESQL).toSorted().reverse();
  } catch {
    // Not a Debian, or none installed.
  }
  for (const folder of [...FOLDERS, ...versions.map((version) => join(POSTGRESQL, version, "bin"))]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${name} is not here; on Debian: apt-get install ${debianPackage}`);
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => answer(true)).once("error", () => answer(false));
    socket.once("connect", () => socket.destroy());
  });
}

export interface ServiceOptions {
  readonly name: string;
  /** Starts its process, with standard error as a pipe. */
  readonly launch: () => ChildProcess;
  /** Asked again and again until it is. */
  readonly isReady: (child: ChildProcess) => boolean | Promise<boolean>;
  /** How long it stays down when it ended by itself or was killed. */
  readonly downMs: number;
  /** Ends it in order. Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Told each process that was launched. */
  readonly onLaunch: (child: ChildProcess, stopSignal: NodeJS.Signals) => void;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A process that is started again whenever it ends. */
export class Service {
  readonly name: string;
  readonly #options: ServiceOptions;
  #child: ChildProcess | undefined;
  #isUp = false;
  #output = "";
  readonly #stopped = new AbortController();

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when it is ready. @throws When it ends before, or takes too long. */
  async start(): Promise<void> {
    this.#output = "";
    let started = false;
    const child = this.#options.launch();
    this.#child = child;
    running.add(child);
    this.#options.onLaunch(child, this.#options.stopSignal ?? "SIGTERM");
    child.stderr?.on("data", (chunk) => {
      this.#output = (this.#output + chunk).slice(-MAX_OUTPUT);
    });
    child.once("error", (error) => {
      this.#output += error.message;
    });
    child.once("exit", () => {
      running.delete(child);
      this.#isUp = false;
      if (started) void this.#startAgain();
    });
    for (const giveUpAt = Date.now() + READY_MS; ; await after(50)) {
      if (hasEnded(child)) throw new Error(`${this.name} ended: ${this.#output}`);
      this.#stopped.signal.throwIfAborted();
      if (await this.#options.isReady(child)) break;
      if (Date.now() > giveUpAt) throw new Error(`${this.name} is not ready after ${READY_MS} ms`);
    }
    if (hasEnded(child)) throw new Error(`${this.name} ended: ${this.#output}`);
    started = true;
    this.#isUp = true;
  }

  /** Without a warning. @returns false when it is down already. */
  kill(): boolean {
    if (!this.#isUp) return false;
    this.#isUp = false;
    return this.#child!.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#isUp = false;
    this.#stopped.abort();
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, "exit");
    child.kill(this.#options.stopSignal);
    const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(impatience);
  }

  async #startAgain(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await after(this.#options.downMs, undefined, { signal });
        return await this.start();
      } catch {
        // Stopped, or its port is not free yet.
        this.#child?.kill("SIGKILL");
      }
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
