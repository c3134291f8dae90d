import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import { git } from "@drover/gate";
import type { ChangeView, StatusView } from "@drover/gate/api";
import { Author } from "../../gate/author.ts";
import { until } from "../../peers/until.ts";
import { Random } from "../../sim/random.ts";
import { Broken } from "../books.ts";
import { SeenResults } from "./seen-results.ts";
import { Sleepers } from "./sleepers.ts";

/*
 * A real gate with builds that sleep, killed at random moments and started again. Changes are pushed and approved meanwhile; in
 * the end everything that was approved must be merged, every result that was seen must be as it was, and nothing may be left
 * that runs.
 */

const DROVER = resolve(import.meta.dirname, "../../../packages/cli/bin/drover.js");
const PROJECTS = ["one", "two", "three"] as const;
const SLOTS = 50;
/** Jobs of each project: as many builds as there are slots run when a few changes are in the queue. */
const JOBS = 9;
/** Longest lives of gates after they are ready, in milliseconds: most are killed while builds begin, some when many have ended. */
const LIFE_MS = 6_000;
const LONG_LIFE_MS = 40_000;
const LONG_LIFE_EVERY = 5;
const DRAIN_DEADLINE_MS = 600_000;
/** Changes that are not merged yet, above which no further ones are pushed. */
const MAX_OPEN = 8;

export interface GateCrashOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly progress?: (round: number, totals: GateCrashTotals) => void;
}

export interface GateCrashTotals {
  readonly kills: number;
  /** Changes whose approval was answered. */
  readonly approved: number;
  /** Results that were seen before a kill. */
  readonly resultsSeen: number;
  /** Most builds that ran at the moment of a kill. */
  readonly mostRunning: number;
  /** Builds that were begun, those that a kill interrupted among them. */
  readonly builds: number;
}

/** @throws Broken */
export async function playGateCrashes(options: GateCrashOptions): Promise<GateCrashTotals> {
  const world = new World(options.seed);
  try {
    await world.make();
    for (let round = 1; round <= options.rounds; round++) {
      await world.life();
      options.progress?.(round, world.totals());
    }
    await world.drain();
    return world.totals();
  } finally {
    await world.remove();
  }
}

class World {
  readonly #folder = mkdtempSync(join(tmpdir(), "drover-gate-crash-"));
  readonly #random: Random;
  readonly #sleepers: Sleepers;
  readonly #approved = new Set<number>();
  readonly #results = new SeenResults((path) => this.#get(path));
  readonly #author = new Author(join(this.#folder, "clones"), () => ({
    url: this.#url,
    token: this.#token,
  }));
  #token = "";
  #gate: ChildProcess | undefined;
  /** Of the gate that runs, or ran last. */
  #url = "";
  #pushed = 0;
  #kills = 0;
  #mostRunning = 0;
  #builds = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#sleepers = new Sleepers(seed);
  }

  totals(): GateCrashTotals {
    return {
      kills: this.#kills,
      approved: this.#approved.size,
      resultsSeen: this.#results.size,
      mostRunning: this.#mostRunning,
      builds: this.#builds,
    };
  }

  async make(): Promise<void> {
    const folder = join(this.#folder, "gate");
    const { stdout } = await this.#drover(
      "gate",
      "init",
      folder,
      "--user",
      "alice",
      "--no-sample",
      "--self-approval",
      "--json",
    );
    this.#token = (JSON.parse(stdout) as { token: string }).token;
    await this.#start();
    for (const project of PROJECTS) {
      await this.#post("/projects", { name: project });
      await this.#propose(project, { "zuul.yaml": this.#sleepers.config(project, JOBS, 0.25) });
    }
    // The first change of each project has no job yet: it brings them.
    await until("the jobs are merged", 60_000, async () => (await this.#open()).length === 0);
    await this.#kill(false);
  }

  /** From a start to a kill. */
  async life(): Promise<void> {
    await this.#start();
    await this.#results.check();
    const isLong = this.#kills % LONG_LIFE_EVERY === LONG_LIFE_EVERY - 1;
    const end = after(isLong ? LONG_LIFE_MS : 200 + this.#random.below(LIFE_MS));
    let isOver = false;
    const work = (async () => {
      while (!isOver) {
        if ((await this.#open()).length < MAX_OPEN) {
          const name = `another-${++this.#pushed}`;
          await this.#propose(this.#random.pick(PROJECTS), { [name]: name });
        }
        await this.#look();
        await after(50);
      }
    })().catch((error: Error) => {
      // Cut off by the kill, wherever it was.
      if (error instanceof Broken) throw error;
    });
    await end;
    isOver = true;
    await this.#kill();
    await work;
  }

  /** The end of all: everything that was approved is merged. */
  async drain(): Promise<void> {
    await this.#start();
    await this.#results.check();
    await until("the queue is empty", DRAIN_DEADLINE_MS, async () => {
      await after(200);
      const status = await this.#get<StatusView>("/status");
      return status.pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
    });
    for (const number of this.#approved) {
      const { state } = await this.#get<ChangeView>(`/changes/${number}`);
      if (state !== "merged") throw new Broken(`change ${number} was approved, and is ${state} in the end`);
    }
    await this.#results.check();
    for (const project of PROJECTS) {
      const gitDir = join(this.#folder, "gate", "repositories", `${project}.git`);
      await git(["fsck", "--connectivity-only"], { gitDir });
    }
    const child = this.#gate!;
    child.kill("SIGTERM");
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    this.#gate = undefined;
    if (code !== 0) throw new Broken(`the gate ended with ${code ?? signal}`);
    const left = this.#sleepers.processes();
    if (left.length > 0) throw new Broken(`processes of builds are left: ${left.join(", ")}`);
  }

  async remove(): Promise<void> {
    await this.#kill(false);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #start(): Promise<void> {
    const ready = join(this.#folder, "ready");
    rmSync(ready, { force: true });
    const before = this.#sleepers.processes();
    const child = spawn(
      process.execPath,
      [
        DROVER,
        "gate",
        "up",
        join(this.#folder, "gate"),
        "--slots",
        String(SLOTS),
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--store",
        "memory",
        "--warm-up-ms",
        "0",
        "--ready-file",
        ready,
      ],
      { env: this.#environment(), stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    child.stderr!.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-4_000);
    });
    await until("the gate is ready", 120_000, () => {
      if (child.exitCode !== null) throw new Broken(`the gate did not start: ${said}`);
      return existsSync(ready);
    });
    const { http } = JSON.parse(readFileSync(ready, "utf8")) as { http: string[] };
    this.#gate = child;
    this.#url = `http://${http[0]}`;
    // What the one before left must be gone by the time that this one serves.
    const now = new Set(this.#sleepers.processes());
    const left = before.filter((pid) => now.has(pid));
    if (left.length > 0)
      throw new Broken(`processes of builds outlived the start of the next gate: ${left.join(", ")}`);
  }

  async #kill(isCounted = true): Promise<void> {
    const gate = this.#gate;
    if (gate === undefined) return;
    this.#gate = undefined;
    gate.kill("SIGKILL");
    await once(gate, "exit");
    if (isCounted) this.#kills++;
  }

  /** Pushes a change and approves it; what the gate has answered counts. */
  async #propose(project: string, files: Readonly<Record<string, string>>): Promise<void> {
    const number = await this.#author.push(project, files);
    await this.#post(`/changes/${number}/approve`, {});
    this.#approved.add(number);
  }

  /** Remembers results. */
  async #look(): Promise<void> {
    const builds = await this.#results.look();
    const running = builds.filter(({ endedMs }) => endedMs === null).length;
    this.#builds = Math.max(this.#builds, ...builds.map(({ id }) => Number(id)));
    this.#mostRunning = Math.max(this.#mostRunning, running);
  }

  async #open(): Promise<unknown[]> {
    return this.#get<unknown[]>("/changes?state=open");
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/gate${path}`);
    if (!response.ok) throw new Broken(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async #post(path: string, body: unknown): Promise<void> {
    const response = await fetch(`${this.#url}/api/gate${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#token}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Broken(`POST ${path}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }

  #drover(...args: string[]): Promise<{ stdout: string }> {
    return promisify(execFile)(process.execPath, [DROVER, ...args], { env: this.#environment() });
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      XDG_STATE_HOME: join(this.#folder, "state"),
      XDG_CONFIG_HOME: join(this.#folder, "config"),
    };
  }
}
