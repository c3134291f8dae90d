import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { accepts, freePort } from "../../test/peers/ports.ts";
import { until } from "../../test/peers/until.ts";
import { makeFolder, removeFolder, startChild } from "../children.ts";
import type { ClientOrder } from "./client.ts";
import type { WorkerOrder } from "./worker.ts";

/* The processes of a run: servers that can be killed and started again on their port, clients and workers. */

const START_MS = 30_000;

/** @returns The program and its arguments, for a port and a folder of its own. */
export type ServerProgram = (port: number, folder: string) => readonly [program: string, ...args: string[]];

export class Server {
  readonly #program: ServerProgram;
  readonly #folder = makeFolder();
  readonly port: number;
  #child: ChildProcess | undefined;

  private constructor(program: ServerProgram, port: number) {
    this.#program = program;
    this.port = port;
  }

  static async start(program: ServerProgram): Promise<Server> {
    const server = new Server(program, await freePort());
    await server.start();
    return server;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && isRunning(this.#child);
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    const [program, ...args] = this.#program(this.port, this.#folder);
    const child = startChild(program, args, { cwd: this.#folder, stdio: "ignore" });
    this.#child = child;
    await until(`${program} listens`, START_MS, () => {
      if (!isRunning(child)) throw new Error(`${program} ended at once`);
      return accepts(this.port);
    });
  }

  /** As a crash. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await kill(this.#child);
  }

  async stop(): Promise<void> {
    await this.kill();
    removeFolder(this.#folder);
  }
}

/** A process of ours, which does one order at a time. */
export class Puppet<Order> {
  readonly #child: ChildProcess;

  constructor(file: "client.ts" | "worker.ts") {
    const stdio: StdioOptions = ["ignore", "ignore", "inherit", "ipc"];
    // What a library warns of is not the bench's.
    const args = ["--no-warnings", join(import.meta.dirname, file)];
    this.#child = startChild(process.execPath, args, { stdio });
    this.#child.on("error", () => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return isRunning(this.#child);
  }

  /** What it answers, or undefined when it was killed. @throws What it throws. */
  async order<Answer>(order: Order): Promise<Answer | undefined> {
    if (!this.isRunning) return undefined;
    const answered = new Promise<{ answer?: Answer; error?: string } | undefined>((resolve) => {
      const ended = () => resolve(undefined);
      this.#child.once("exit", ended);
      this.#child.once("message", (message) => {
        this.#child.off("exit", ended);
        resolve(message as { answer?: Answer; error?: string });
      });
    });
    this.#child.send(order as object, () => {});
    const reply = await answered;
    if (reply?.error !== undefined) throw new Error(reply.error);
    return reply?.answer;
  }

  kill(): Promise<void> {
    return kill(this.#child);
  }
}

export type ClientProcess = Puppet<ClientOrder>;
export type WorkerProcess = Puppet<WorkerOrder>;

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

async function kill(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
