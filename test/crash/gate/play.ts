import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import type { BuildView, ChangeView, StatusView } from "@drover/gate/api";
import { until } from "../../peers/until.ts";
import { Random } from "../../sim/random.ts";
import { Broken } from "../books.ts";

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
  /** In the command line of everything that builds run. */
  readonly #mark: string;
  readonly #approved = new Set<number>();
  readonly #results = new Map<string, string>();
  #token = "";
  #gate: { readonly child: ChildProcess; readonly url: string } | undefined;
  #pushed = 0;
  #kills = 0;
  #mostRunning = 0;
  #builds = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#mark = `0.${String(100_000 + (seed % 800_000))}`;
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
      const clone = join(this.#folder, project);
      await git(["clone", "-q", join(folder, "repositories", `${project}.git`), clone], this.#folder);
      writeFileSync(join(clone, "zuul.yaml"), this.#config());
      await this.#push(project, "Jobs");
    }
    // The first change of each project has no job yet: it brings them.
    await until("the jobs are merged", 60_000, async () => (await this.#open()).length === 0);
    await this.#kill(false);
  }

  /** Jobs that sleep for a while, each for its own. */
  #config(): string {
    const jobs = Array.from({ length: JOBS }, (_, at) => `PROJECT-${at}`);
    return [
      ...jobs.map(
        (name, at) =>
          `- job:\n    name: ${name}\n    command: [sh, -c, "sleep ${at / 4} && sleep ${this.#mark}"]\n`,
      ),
      "- project:\n    queue: together\n    gate:\n      jobs:\n",
      ...jobs.map((name) => `        - ${name}\n`),
    ].join("");
  }

  /** From a start to a kill. */
  async life(): Promise<void> {
    await this.#start();
    await this.#checkResults();
    const isLong = this.#kills % LONG_LIFE_EVERY === LONG_LIFE_EVERY - 1;
    const end = after(isLong ? LONG_LIFE_MS : 200 + this.#random.below(LIFE_MS));
    let isOver = false;
    const work = (async () => {
      while (!isOver) {
        if ((await this.#open()).length < MAX_OPEN) {
          await this.#push(PROJECTS[this.#random.below(PROJECTS.length)]!, "Another");
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
    await this.#checkResults();
    await until("the queue is empty", DRAIN_DEADLINE_MS, async () => {
      await after(200);
      const status = await this.#get<StatusView>("/status");
      return status.pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
    });
    for (const number of this.#approved) {
      const { state } = await this.#get<ChangeView>(`/changes/${number}`);
      if (state !== "merged") throw new Broken(`change ${number} was approved, and is ${state} in the end`);
    }
    await this.#checkResults();
    for (const project of PROJECTS) {
      const gitDir = join(this.#folder, "gate", "repositories", `${project}.git`);
      await git(["fsck", "--connectivity-only"], gitDir);
    }
    const { child } = this.#gate!;
    child.kill("SIGTERM");
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    this.#gate = undefined;
    if (code !== 0) throw new Broken(`the gate ended with ${code ?? signal}`);
    const left = this.#processes();
    if (left.length > 0) throw new Broken(`processes of builds are left: ${left.join(", ")}`);
  }

  async remove(): Promise<void> {
    await this.#kill(false);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #start(): Promise<void> {
    const ready = join(this.#folder, "ready");
    rmSync(ready, { force: true });
    const before = this.#processes();
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
    this.#gate = { child, url: `http://${http[0]}` };
    // What the one before left must be gone by the time that this one serves.
    const now = new Set(this.#processes());
    const left = before.filter((pid) => now.has(pid));
    if (left.length > 0)
      throw new Broken(`processes of builds outlived the start of the next gate: ${left.join(", ")}`);
  }

  async #kill(isCounted = true): Promise<void> {
    const gate = this.#gate;
    if (gate === undefined) return;
    this.#gate = undefined;
    gate.child.kill("SIGKILL");
    await once(gate.child, "exit");
    if (isCounted) this.#kills++;
  }

  /** Pushes a change and approves it; what the gate has answered counts. */
  async #push(project: string, title: string): Promise<void> {
    const clone = join(this.#folder, project);
    const name = `${title}-${++this.#pushed}`;
    await git(["fetch", "-q", "origin"], clone);
    await git(["checkout", "-q", "-f", "-B", "work", "origin/main"], clone);
    if (title === "Jobs")
      writeFileSync(join(clone, "zuul.yaml"), this.#config().replaceAll("PROJECT", project));
    else writeFileSync(join(clone, name), `${name}\n`);
    await git(["add", "-A"], clone);
    await git(["commit", "-q", "-m", name], clone);
    const { stderr } = await git(["push", "origin", "HEAD:refs/for/main"], clone, {
      DROVER_TOKEN: this.#token,
    });
    const number = Number(/Change (\d+) is new/.exec(stderr)?.[1]);
    if (!(number > 0)) throw new Broken(`a push was not answered with its change: ${stderr}`);
    await this.#post(`/changes/${number}/approve`, {});
    this.#approved.add(number);
  }

  /** Remembers results. */
  async #look(): Promise<void> {
    const builds = await this.#get<BuildView[]>("/builds?limit=100");
    let running = 0;
    for (const { id, result, endedMs } of builds) {
      if (endedMs === null) running++;
      else if (result !== null) this.#seen(id, result);
    }
    this.#builds = Math.max(this.#builds, ...builds.map(({ id }) => Number(id)));
    this.#mostRunning = Math.max(this.#mostRunning, running);
  }

  #seen(id: string, result: string): void {
    const before = this.#results.get(id);
    if (before !== undefined && before !== result)
      throw new Broken(`build ${id} was ${before}, and is ${result} now`);
    this.#results.set(id, result);
  }

  async #checkResults(): Promise<void> {
    let before: number | undefined;
    const found = new Map<string, string>();
    for (;;) {
      const page = await this.#get<BuildView[]>(
        `/builds?limit=500${before === undefined ? "" : `&before=${before}`}`,
      );
      for (const { id, result } of page) if (result !== null) found.set(id, result);
      if (page.length < 500) break;
      before = Number(page.at(-1)!.id);
    }
    for (const [id, result] of this.#results) {
      if (found.get(id) !== result)
        throw new Broken(`build ${id} was ${result}, and is ${found.get(id)} after a kill`);
    }
  }

  async #open(): Promise<unknown[]> {
    return this.#get<unknown[]>("/changes?state=open");
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#gate?.url}/api/gate${path}`);
    if (!response.ok) throw new Broken(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async #post(path: string, body: unknown): Promise<void> {
    const response = await fetch(`${this.#gate?.url}/api/gate${path}`, {
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

  /** Ids of what builds run. */
  #processes(): string[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`sleep ${this.#mark}`);
        } catch {
          return false;
        }
      });
  }
}

function git(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ stdout: string; stderr: string }> {
  const who = { GIT_AUTHOR_NAME: "Alice", GIT_AUTHOR_EMAIL: "alice@example.org" };
  return promisify(execFile)("git", [...args], {
    cwd,
    env: {
      PATH: process.env.PATH,
      HOME: "/nonexistent",
      GIT_CONFIG_NOSYSTEM: "1",
      ...who,
      GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
      GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
      ...env,
    },
  });
}
