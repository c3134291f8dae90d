import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { stringify } from "yaml";
import { withAdmin } from "../admin/admin-connection.ts";
import { CommandFailed, UsageError } from "../errors.ts";

const START_MS = 30_000;
const WAIT_MS = 60_000;

/** Something that had to hold. */
export interface Check {
  readonly what: string;
  readonly holds: boolean;
  /** What was seen. */
  readonly seen: string;
}

/** Something that was done or seen, and when. */
export interface Event {
  readonly ms: number;
  readonly text: string;
}

/** Where a drill plays: a server, what is done to it, and what was seen. */
export class Stage {
  readonly events: Event[] = [];
  readonly checks: Check[] = [];
  readonly #say: (text: string) => void;
  readonly #beganMs = performance.now();
  readonly #undo: (() => Promise<unknown> | unknown)[] = [];
  #scratch: Scratch | undefined;
  #target: string | undefined;

  private constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** @param target A server that is there already; without one the stage has a scratch server of its own. */
  static async set(
    target: string | undefined,
    settings: ScratchSettings,
    say: (text: string) => void,
  ): Promise<Stage> {
    const stage = new Stage(say);
    stage.#target = target;
    if (target === undefined) {
      stage.#scratch = new Scratch(settings);
      stage.#undo.push(() => stage.#scratch!.remove());
      await stage.#scratch.start();
      stage.tell(`started a scratch server on ${stage.#scratch.address}, with a store`);
    }
    return stage;
  }

  get server(): string {
    return this.#target ?? this.#scratch!.address;
  }

  /** The scratch server. */
  get scratch(): Scratch {
    return this.#scratch!;
  }

  tell(text: string): void {
    const event = { ms: Math.round(performance.now() - this.#beganMs), text };
    this.events.push(event);
    this.#say(`${`${event.ms} ms`.padStart(10)}  ${text}\n`);
  }

  check(what: string, holds: boolean, seen: string): void {
    this.checks.push({ what, holds, seen });
    this.#say(`${(holds ? "holds" : "BROKEN").padStart(10)}  ${what}: ${seen}\n`);
  }

  /** A client of the server. */
  client(): Client {
    const client = new Client({ servers: this.server });
    this.#undo.push(() => client.close());
    return client;
  }

  /** A worker of the server that does one function. */
  async worker(
    fn: string,
    handler: (workload: string) => string | Promise<string>,
    concurrency = 4,
    server = this.server,
  ): Promise<Worker> {
    const worker = new Worker({ servers: server, concurrency });
    worker.handle(fn, (job) => handler(Buffer.from(job.workload as Uint8Array).toString()));
    this.#undo.push(() => worker.close());
    await worker.run();
    return worker;
  }

  /** Something to be taken back at the end. */
  atEnd(undo: () => Promise<unknown> | unknown): void {
    this.#undo.push(undo);
  }

  /** Takes everything down. */
  async clear(): Promise<void> {
    for (const undo of this.#undo.toReversed()) await Promise.resolve(undo()).catch(() => {});
  }
}

/** Totals and levels of a server. */
export async function countsOf(server: string): Promise<ReadonlyMap<string, number>> {
  const lines = await withAdmin({ address: server, token: undefined }, (admin) => admin.list("counts"));
  return new Map(lines.map((line) => line.split("\t")).map(([name, value]) => [name!, Number(value)]));
}

/** Jobs of a function that a server has. */
export async function jobsOf(server: string, fn: string): Promise<number> {
  const lines = await withAdmin({ address: server, token: undefined }, (admin) => admin.list("status"));
  const row = lines.map((line) => line.split("\t")).find(([name]) => name === fn);
  return Number(row?.[1] ?? 0);
}

/** Waits until something holds. @throws CommandFailed when it does not in time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > giveUpAt)
      throw new CommandFailed("DRILL_FAILED", `waited ${WAIT_MS / 1000} s in vain until ${what}`);
    await after(20);
  }
}

export interface ScratchSettings {
  /** As in drover.yaml. */
  readonly functions?: Readonly<Record<string, unknown>>;
}

/** A real server in a process of its own, with a store in a temporary folder. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-drill-"));
  readonly store = join(this.folder, "jobs.db");
  readonly #settings: ScratchSettings;
  #process: ChildProcess | undefined;
  #address = "";
  #starts = 0;

  constructor(settings: ScratchSettings) {
    this.#settings = settings;
  }

  get address(): string {
    return this.#address;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Starts it, with what its store has. @param store Another store file than its own. */
  async start(store = this.store): Promise<void> {
    const ready = join(this.folder, `ready-${++this.#starts}`);
    const config = join(this.folder, "drover.yaml");
    writeFileSync(config, stringify({ functions: this.#settings.functions ?? {} }));
    const [program, script] = process.argv as [string, string];
    const words = [
      "serve",
      "-p",
      "0",
      "--config",
      config,
      "--store",
      `sqlite:${store}`,
      "--ready-file",
      ready,
    ];
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("DROVER_"));
    const child = spawn(
      program,
      [...process.execArgv, script, ...words, "--warm-up-ms", "0", "--log-file", join(this.folder, "log")],
      {
        env: Object.fromEntries(environment),
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.#process = child;
    let said = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const giveUpAt = performance.now() + START_MS;
    while (!existsSync(ready)) {
      if (child.exitCode !== null || performance.now() > giveUpAt) {
        throw new CommandFailed("DRILL_FAILED", `the scratch server did not start: ${said.trim()}`);
      }
      await after(10);
    }
    const { listeners } = JSON.parse(readFileSync(ready, "utf8")) as { listeners: { port: number }[] };
    this.#address = `127.0.0.1:${listeners[0]!.port}`;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** What it logged. */
  log(): string {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  async remove(): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @throws UsageError for a drill that a server which others use must not be asked for. */
export function refuseTarget(name: string): never {
  throw new UsageError(
    "OPTION_INVALID",
    `drill ${name} ends or fills its server: it plays on a scratch server only`,
  );
}
