import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { git } from "@drover/gate";
import type { BuildView, ChangeView, StatusView } from "@drover/gate/api";
import { type Part, SeparateGate } from "../../gate/separate-gate.ts";
import { until } from "../../peers/until.ts";
import { Random } from "../../sim/random.ts";
import { Broken } from "../books.ts";

/*
 * A real gate of which each part is a process of its own, one of them killed at a random moment, again and again, while changes
 * are pushed and approved, some of which fail. In the end each approved change must be merged, once, or have failed by its own
 * fault; results that were seen must be as they were; repositories must be whole; and nothing may be left that runs.
 */

const PROJECTS = ["one", "two", "three"] as const;
const JOBS = 4;
const SLOTS = 20;
/** Items in the queue, above which no further changes are pushed. */
const MAX_QUEUED = 6;
const BAD_EVERY = 6;
/** Longest time from one kill to the next, and from a kill to the start after it, in milliseconds. */
const LIFE_MS = 5_000;
const AWAY_MS = 2_000;
const DRAIN_DEADLINE_MS = 600_000;

/** By how often each is killed. */
const VICTIMS: readonly Part[] = [
  "gate",
  "gate",
  "gate",
  "server",
  "server",
  "executor 1",
  "executor 2",
  "executor 1",
  "executor 2",
  "merger 1",
  "merger 2",
];

export interface ProcessCrashOptions {
  readonly rounds: number;
  readonly seed: number;
  /** No further round begins after it. */
  readonly minutes: number;
  readonly progress?: (round: number, totals: ProcessCrashTotals) => void;
}

export interface ProcessCrashTotals {
  /** Kills by what was killed. */
  readonly kills: Readonly<Record<"gate" | "server" | "executor" | "merger", number>>;
  /** Changes whose approval was answered: those that pass, and those that fail. */
  readonly good: number;
  readonly bad: number;
  readonly builds: number;
  /** Builds whose executor was lost, which were run again. */
  readonly lost: number;
  /** Results that were seen before a kill, and were the same after all of them. */
  readonly resultsSeen: number;
}

/** @throws Broken */
export async function playProcessCrashes(options: ProcessCrashOptions): Promise<ProcessCrashTotals> {
  const world = new World(options.seed);
  const endMs = performance.now() + options.minutes * 60_000;
  try {
    await world.make();
    for (let round = 1; round <= options.rounds && performance.now() < endMs; round++) {
      await world.round();
      options.progress?.(round, world.totals());
    }
    await world.judge();
    return world.totals();
  } finally {
    await world.remove();
  }
}

class World {
  readonly #gate = new SeparateGate(SLOTS);
  readonly #random: Random;
  /** In the command line of everything that builds run. */
  readonly #mark: string;
  readonly #kills = { gate: 0, server: 0, executor: 0, merger: 0 };
  /** What is approved, by number: the name of its file. */
  readonly #good = new Map<number, string>();
  readonly #bad = new Map<number, string>();
  readonly #results = new Map<string, string>();
  #builds = 0;
  #lost = 0;
  #pushed = 0;
  #isWorking = false;
  #broken: Broken | undefined;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#mark = `0.${String(100_000 + (seed % 800_000))}`;
  }

  totals(): ProcessCrashTotals {
    return {
      kills: { ...this.#kills },
      good: this.#good.size,
      bad: this.#bad.size,
      builds: this.#builds,
      lost: this.#lost,
      resultsSeen: this.#results.size,
    };
  }

  async make(): Promise<void> {
    await this.#gate.start({ executors: 2, mergers: 2 });
    for (const project of PROJECTS)
      await this.#gate.addProject(project, { "zuul.yaml": this.#config(project) });
  }

  /** Jobs that sleep, each for its own time, and fail where a file says so. */
  #config(project: string): string {
    const jobs = Array.from({ length: JOBS }, (_, at) => `${project}-${at}`);
    const definitions = jobs.map(
      (name, at) =>
        `- job:\n    name: ${name}\n    command: [sh, -c, "sleep ${at / 2} && sleep ${this.#mark} && test ! -e bad"]\n`,
    );
    const list = jobs.map((name) => `        - ${name}\n`).join("");
    return `${definitions.join("")}- project:\n    queue: together\n    gate:\n      jobs:\n${list}`;
  }

  /** Changes come while one part is killed and started again. */
  async round(): Promise<void> {
    const part = this.#random.pick(VICTIMS);
    const [life, away] = [this.#random.below(LIFE_MS), this.#random.below(AWAY_MS)];
    this.#isWorking = true;
    const work = this.#work();
    await after(life);
    await this.#gate.kill(part);
    this.#kills[part.split(" ")[0] as keyof ProcessCrashTotals["kills"]]++;
    await after(away);
    await this.#gate.run(part);
    this.#isWorking = false;
    await work;
    if (this.#broken !== undefined) throw this.#broken;
    if (part === "gate") await this.#checkResults();
  }

  async #work(): Promise<void> {
    while (this.#isWorking) {
      try {
        if ((await this.#queued()) < MAX_QUEUED) await this.#propose();
        await this.#look();
      } catch (error) {
        // Cut off by the kill, wherever it was; then it is not known whether it was done.
        if (error instanceof Broken) this.#broken = error;
      }
      await after(100);
    }
  }

  async #propose(): Promise<void> {
    const project = this.#random.pick(PROJECTS);
    const isBad = this.#random.below(BAD_EVERY) === 0;
    const name = `file-${++this.#pushed}`;
    const files = isBad ? { [name]: project, bad: "" } : { [name]: project };
    const number = await this.#gate.propose(project, files);
    (isBad ? this.#bad : this.#good).set(number, name);
  }

  async #queued(): Promise<number> {
    const { pipelines } = await this.#gate.get<StatusView>("/status");
    return pipelines.reduce(
      (sum, { queues }) => sum + queues.reduce((count, { items }) => count + items.length, 0),
      0,
    );
  }

  async #look(): Promise<void> {
    for (const { id, result } of await this.#gate.get<BuildView[]>("/builds?limit=100"))
      if (result !== null) this.#seen(id, result);
  }

  #seen(id: string, result: string): void {
    const before = this.#results.get(id);
    if (before !== undefined && before !== result)
      throw new Broken(`build ${id} was ${before}, and is ${result} now`);
    this.#results.set(id, result);
  }

  async #checkResults(): Promise<void> {
    const found = new Map<string, string | null>();
    for (let before = ""; ; ) {
      const page = await this.#gate.get<BuildView[]>(`/builds?limit=500${before}`);
      for (const { id, result } of page) found.set(id, result);
      if (page.length < 500) break;
      before = `&before=${page.at(-1)!.id}`;
    }
    for (const [id, result] of this.#results) {
      if (found.get(id) !== result)
        throw new Broken(`build ${id} was ${result}, and is ${found.get(id)} after a kill`);
    }
    this.#builds = found.size;
    this.#lost = [...found.values()].filter((result) => result === "LOST").length;
  }

  /** All parts are there, and nothing more comes: what has become of everything? */
  async judge(): Promise<void> {
    await until("the queue is empty", DRAIN_DEADLINE_MS, async () => {
      await after(500);
      return (await this.#queued()) === 0;
    });
    await this.#checkResults();
    for (const [number] of this.#good) {
      const { state } = await this.#gate.get<ChangeView>(`/changes/${number}`);
      if (state !== "merged")
        throw new Broken(`change ${number} passes, was approved, and is ${state} in the end`);
    }
    for (const [number] of this.#bad) {
      const { state, comments } = await this.#gate.get<ChangeView>(`/changes/${number}`);
      if (state === "merged") throw new Broken(`change ${number} fails, and is merged`);
      const told = comments.filter(({ author, vote }) => author === "gate" && vote === -1);
      if (told.length !== 1) throw new Broken(`change ${number} fails, which was told ${told.length} times`);
    }
    for (const project of PROJECTS) await this.#checkRepository(project);
    for (const part of this.#gate.running.filter((one) => one !== "server" && one !== "gate"))
      await this.#gate.stop(part);
    const left = this.#processes();
    if (left.length > 0) throw new Broken(`processes of builds are left: ${left.join(", ")}`);
  }

  /** Whole, and each change in its history once. */
  async #checkRepository(project: string): Promise<void> {
    const gitDir = join(this.#gate.folder, "gate", "repositories", `${project}.git`);
    await git(["fsck", "--connectivity-only", "--no-dangling"], { gitDir });
    const { stdout } = await git(
      ["log", "--no-merges", "--name-only", "--diff-filter=A", "--format=", "refs/heads/main"],
      { gitDir },
    );
    const added = stdout.toString().split("\n").filter(Boolean);
    if (added.includes("bad")) throw new Broken(`${project} has what fails`);
    const twice = added.find((name, at) => added.indexOf(name) !== at);
    if (twice !== undefined) throw new Broken(`${project} has ${twice} twice`);
    for (const name of this.#bad.values())
      if (added.includes(name)) throw new Broken(`${project} has ${name}, whose change failed`);
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

  async remove(): Promise<void> {
    this.#isWorking = false;
    await this.#gate[Symbol.asyncDispose]();
  }
}
