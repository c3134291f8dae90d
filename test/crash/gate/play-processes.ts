import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { git, replayGate } from "@drover/gate";
import type { ChangeView, ExplanationView, StatusView } from "@drover/gate/api";
import { type Part, SeparateGate } from "../../gate/separate-gate.ts";
import { until } from "../../peers/until.ts";
import { Random } from "../../sim/random.ts";
import { Broken } from "../books.ts";
import { CycleWatch } from "./cycle-watch.ts";
import { SeenResults } from "./seen-results.ts";
import { Sleepers } from "./sleepers.ts";

/*
 * A real gate of which each part is a process of its own, one of them killed at a random moment, again and again, while changes
 * are pushed and approved, some of which fail, and some of which need each other across two projects. In the end each approved
 * change must be merged, once, or have failed by its own fault; of those that need each other all are merged or none, whenever a
 * gate is there; results that were seen must be as they were; repositories must be whole; nothing may be left that runs; and the
 * log must lead to the state.
 */

const PROJECTS = ["one", "two", "three"] as const;
const JOBS = 4;
const SLOTS = 20;
/** Items in the queue, above which no further changes are pushed. */
const MAX_QUEUED = 6;
const BAD_EVERY = 6;
const CYCLE_EVERY = 3;
/** The gate is killed so often at the moment at which a branch is moved; else at any. */
const AIMED_EVERY = 2;
/** Longest wait for that moment, in milliseconds. */
const AIM_MS = 20_000;
/** In which a gate that has started ends what it had decided to merge. */
const HALF_DEADLINE_MS = 10_000;
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
  /** Pairs of changes that need each other, of those. */
  readonly cycles: number;
  /** Kills of the gate after which one of a pair had merged, and the other had not. */
  readonly halves: number;
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
  readonly #sleepers: Sleepers;
  readonly #results = new SeenResults((path) => this.#gate.get(path));
  readonly #cycles = new CycleWatch(PROJECTS, (project) => this.#gitDirOf(project));
  readonly #kills = { gate: 0, server: 0, executor: 0, merger: 0 };
  /** What is approved, by number: the name of its file. */
  readonly #good = new Map<number, string>();
  readonly #bad = new Map<number, string>();
  #halves = 0;
  #builds = 0;
  #lost = 0;
  #pushed = 0;
  #isWorking = false;
  #broken: Broken | undefined;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#sleepers = new Sleepers(seed);
  }

  totals(): ProcessCrashTotals {
    return {
      kills: { ...this.#kills },
      good: this.#good.size,
      bad: this.#bad.size,
      cycles: this.#cycles.size,
      halves: this.#halves,
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

  #config(project: string): string {
    const queue =
      project === PROJECTS[0] ? "- queue: {name: together, allow-circular-dependencies: true}\n" : "";
    return queue + this.#sleepers.config(project, JOBS, 0.5, "test ! -e bad");
  }

  #gitDirOf(project: string): string {
    return join(this.#gate.folder, "gate", "repositories", `${project}.git`);
  }

  /** Changes come while one part is killed and started again. */
  async round(): Promise<void> {
    const part = this.#random.pick(VICTIMS);
    const [life, away] = [this.#random.below(LIFE_MS), this.#random.below(AWAY_MS)];
    this.#isWorking = true;
    const work = this.#work();
    if (part === "gate" && this.#random.below(AIMED_EVERY) === 0)
      await this.#cycles.moved(AbortSignal.timeout(AIM_MS));
    else await after(life);
    await this.#gate.kill(part);
    this.#kills[part.split(" ")[0] as keyof ProcessCrashTotals["kills"]]++;
    await after(away);
    const halves = part === "gate" ? await this.#cycles.halves() : [];
    if (halves.length > 0) this.#halves++;
    await this.#gate.run(part);
    this.#isWorking = false;
    await work;
    if (this.#broken !== undefined) throw this.#broken;
    if (part === "gate") {
      await this.#checkCycles();
      await this.#checkResults();
    }
  }

  /** One that is being merged at this moment may be half there. */
  async #checkCycles(): Promise<void> {
    const giveUpAt = performance.now() + HALF_DEADLINE_MS;
    for (let halves = await this.#cycles.halves(); halves.length > 0; halves = await this.#cycles.halves()) {
      if (performance.now() > giveUpAt) throw new Broken(`merged in part: ${halves.join("; ")}`);
      await after(50);
    }
  }

  async #work(): Promise<void> {
    while (this.#isWorking) {
      try {
        if ((await this.#queued()) < MAX_QUEUED) await this.#propose();
        await this.#results.look();
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
    if (this.#random.below(CYCLE_EVERY) === 0) return this.#proposeCycle(project, isBad);
    const { name, files } = this.#files(project, isBad);
    const number = await this.#gate.propose(project, files);
    (isBad ? this.#bad : this.#good).set(number, name);
  }

  #files(project: string, isBad: boolean): { readonly name: string; readonly files: Record<string, string> } {
    const name = `file-${++this.#pushed}`;
    return { name, files: isBad ? { [name]: project, bad: "" } : { [name]: project } };
  }

  /** Two changes of two projects, of which one may fail. */
  async #proposeCycle(project: string, isBad: boolean): Promise<void> {
    const other = this.#random.pick(PROJECTS.filter((one) => one !== project));
    const [one, two] = [this.#files(project, isBad), this.#files(other, false)];
    const { author } = this.#gate;
    const first = await author.push(project, one.files);
    const second = await author.push(other, two.files, { dependsOn: [`gate:${project}/${first}`] });
    await author.push(project, {}, { dependsOn: [`gate:${other}/${second}`], revises: first });
    this.#cycles.add([
      { project, file: one.name },
      { project: other, file: two.name },
    ]);
    await this.#gate.approve(first);
    await this.#gate.approve(second);
    const fate = isBad ? this.#bad : this.#good;
    fate.set(first, one.name).set(second, two.name);
  }

  async #queued(): Promise<number> {
    const { pipelines } = await this.#gate.get<StatusView>("/status");
    return pipelines.reduce(
      (sum, { queues }) => sum + queues.reduce((count, { items }) => count + items.length, 0),
      0,
    );
  }

  async #checkResults(): Promise<void> {
    const builds = await this.#results.check();
    this.#builds = builds.length;
    this.#lost = builds.filter(({ result }) => result === "LOST").length;
  }

  /** All parts are there, and nothing more comes: what has become of everything? */
  async judge(): Promise<void> {
    await until("the queue is empty", DRAIN_DEADLINE_MS, async () => {
      await after(500);
      return (await this.#queued()) === 0;
    });
    await this.#checkResults();
    const faults = (await this.#cycles.halves()).map((half) => `merged in part in the end: ${half}`);
    for (const number of this.#good.keys()) {
      const { state } = await this.#gate.get<ChangeView>(`/changes/${number}`);
      if (state !== "merged")
        faults.push(`change ${number} passes, was approved, and is ${state}: ${await this.#toldOf(number)}`);
    }
    for (const number of this.#bad.keys()) {
      const { state, comments } = await this.#gate.get<ChangeView>(`/changes/${number}`);
      const told = comments.filter(({ author, vote }) => author === "gate" && vote === -1);
      if (state !== "open" || told.length !== 1)
        faults.push(
          `change ${number} fails, is ${state}, and was told so ${told.length} times: ${await this.#toldOf(number)}`,
        );
    }
    for (const project of PROJECTS) faults.push(...(await this.#faultsOf(project)));
    for (const part of this.#gate.running.filter((one) => one !== "server" && one !== "gate"))
      await this.#gate.stop(part);
    const left = this.#sleepers.processes();
    if (left.length > 0) faults.push(`processes of builds are left: ${left.join(", ")}`);
    await this.#gate.stop("gate");
    for (const { fromSeq, toSeq, difference } of await replayGate(join(this.#gate.folder, "gate")))
      if (difference !== null)
        faults.push(
          `the log does not lead from ${fromSeq} to the state of ${toSeq}: ${JSON.stringify(difference)}`,
        );
    if (faults.length > 0) throw new Broken(faults.join("\n"));
  }

  async #toldOf(number: number): Promise<string> {
    const { comments } = await this.#gate.get<ChangeView>(`/changes/${number}`);
    const { decisions } = await this.#gate.get<ExplanationView>(`/explain/${number}`);
    return JSON.stringify({ comments, decisions }, null, 1);
  }

  /** A repository must be whole, and have each change in its history once. */
  async #faultsOf(project: string): Promise<string[]> {
    const gitDir = this.#gitDirOf(project);
    await git(["fsck", "--connectivity-only", "--no-dangling"], { gitDir });
    const { stdout } = await git(
      ["log", "--no-merges", "--name-only", "--diff-filter=A", "--format=", "refs/heads/main"],
      { gitDir },
    );
    const added = stdout.toString().split("\n").filter(Boolean);
    const twice = added.filter((name, at) => added.indexOf(name) !== at);
    const failed = ["bad", ...this.#bad.values()].filter((name) => added.includes(name));
    return [
      ...twice.map((name) => `${project} has ${name} twice`),
      ...failed.map((name) => `${project} has ${name}, whose change failed`),
    ];
  }

  async remove(): Promise<void> {
    this.#isWorking = false;
    await this.#gate[Symbol.asyncDispose]();
  }
}
