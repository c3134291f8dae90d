import {
  type ChainLink,
  GateCore,
  type GateEffect,
  type GateEvent,
  type MergeStep,
} from "../../../packages/gate/src/core/index.ts";
import { Random } from "../random.ts";
import { Forge } from "./forge.ts";
import { checkPipeline, gatePipeline, job, layoutOf } from "./layouts.ts";
import { SimulatedSharing } from "./sharing.ts";

/*
 * A working day of a gate: when changes are proposed and approved is the same whatever the gate does, jobs take their time,
 * and how one ends depends on nothing but what it looks at. Played with reuse and without, it says what reuse spares, and
 * that no verdict is another one.
 */

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SLOTS = 60;
const PROJECTS = ["lib", ...Array.from({ length: 11 }, (_, at) => `app${at + 1}`)];
const CHANGES = 120;
/** Of the changes: fail by themselves, or with another one that was merged before. */
const BROKEN = 0.1;
const CLASHING = 0.08;
const JOBS = [
  { name: "lint", minutes: 3, mounts: [] as string[] },
  { name: "unit", minutes: 12, mounts: [] as string[] },
  { name: "integration", minutes: 35, mounts: ["lib"] },
];

interface DayChange {
  readonly id: string;
  readonly project: string;
  readonly proposedMs: number;
  readonly approvedMs: number;
}

export interface DayResult {
  /** Builds that the core started. */
  readonly builds: number;
  /** What was really run for them. */
  readonly executions: number;
  readonly reused: number;
  readonly joined: number;
  /** Minutes of slots. */
  readonly slotMinutes: number;
  /** From approval to the end, of what merged, in minutes. */
  readonly meanMinutes: number;
  /** Of each change: the vote of check, and whether it merged. */
  readonly verdicts: Readonly<Record<string, string>>;
}

export interface DayOptions {
  readonly seed: number;
  readonly reuse: boolean;
  /** How often an execution fails for no reason in its content. Default: never. */
  readonly flakes?: number;
}

/** Plays one day to its end. */
export function playDay(options: DayOptions): DayResult {
  return new Day(options).play();
}

/** One day without reuse, and the same day with it. */
export interface ComparedDays {
  readonly seed: number;
  readonly without: DayResult;
  readonly with: DayResult;
  /** Verdicts that are not the same. */
  readonly different: readonly string[];
}

export function compareDays(seed: number): ComparedDays {
  const [without, reusing] = [playDay({ seed, reuse: false }), playDay({ seed, reuse: true })];
  const names = new Set([...Object.keys(without.verdicts), ...Object.keys(reusing.verdicts)]);
  const different = [...names].filter((name) => without.verdicts[name] !== reusing.verdicts[name]);
  return { seed, without, with: reusing, different };
}

export function dayText({ seed, without, with: reusing, different }: ComparedDays): string {
  const line = (name: string, { builds, executions, reused, joined, slotMinutes, meanMinutes }: DayResult) =>
    `${name.padEnd(14)} ${executions} executions for ${builds} builds (${reused} reused, ${joined} joined), ` +
    `${slotMinutes} minutes of slots, ${meanMinutes} minutes from approval to merge\n`;
  const spared = ((1 - reusing.executions / without.executions) * 100).toFixed(1);
  const verdicts = Object.keys(without.verdicts).length;
  return (
    `a day of ${CHANGES} changes in ${PROJECTS.length} projects, seed ${seed}\n` +
    line("without reuse", without) +
    line("with reuse", reusing) +
    `${spared} % fewer executions; ` +
    (different.length === 0
      ? `all ${verdicts} verdicts are the same\n`
      : `${different.length} of ${verdicts} verdicts differ: ${different.join(", ")}\n`)
  );
}

class Day {
  readonly #reuse: boolean;
  readonly #flakes: number;
  readonly #chance: Random;
  readonly #changes: readonly DayChange[];
  /** Changes that fail, or that fail with these. */
  readonly #broken = new Map<string, string | null>();
  readonly #core = new GateCore();
  readonly #forge = new Forge();
  readonly #sharing = new SimulatedSharing();
  readonly #chains = new Map<number, readonly ChainLink[]>();
  readonly #steps = new Map<number, readonly MergeStep[]>();
  readonly #tips = new Map<number, ReadonlyMap<string, string>>();
  readonly #requests = new Set<number>();
  readonly #held = new Set<number>();
  /** What is going to happen, in the order of its time. */
  readonly #agenda: { readonly atMs: number; readonly act: () => void }[] = [];
  /** When each execution began. */
  readonly #startedMs = new Map<number, number>();
  readonly #mergedMs = new Map<string, number>();
  readonly #verdicts: Record<string, string> = {};
  #nowMs = 0;
  #builds = 0;
  #slotMs = 0;

  constructor({ seed, reuse, flakes = 0 }: DayOptions) {
    this.#reuse = reuse;
    this.#flakes = flakes;
    this.#chance = new Random(seed, 3);
    this.#changes = this.#plan(new Random(seed, 2));
    const queues = new Map(PROJECTS.map((name) => [name, { name: "together", perBranch: false }]));
    const layout = layoutOf(1, [checkPipeline(), { ...gatePipeline(queues), supercedes: [] }], PROJECTS);
    this.#tell({ kind: "configured", layout });
    for (const change of this.#changes) {
      this.#at(change.proposedMs, () => this.#propose(change));
      this.#at(change.approvedMs, () => this.#approve(change.id));
    }
  }

  /** Changes that clash are proposed together and approved late, so that nothing but the gate sees them together. */
  #plan(random: Random): DayChange[] {
    const changes: DayChange[] = [];
    let last: DayChange | undefined;
    for (let n = 1; n <= CHANGES; n++) {
      const id = `c${n}`;
      const clashes: boolean = last !== undefined && random.chance(CLASHING);
      const proposedMs: number = clashes ? last!.proposedMs : random.below(9 * HOUR_MS);
      const project: string = clashes ? last!.project : random.pick(PROJECTS);
      const approvedMs = proposedMs + 1.5 * HOUR_MS + random.below(3 * HOUR_MS);
      if (clashes) this.#broken.set(id, last!.id);
      else if (random.chance(BROKEN)) this.#broken.set(id, null);
      const change = { id, project, proposedMs, approvedMs };
      changes.push(change);
      last = clashes || this.#broken.has(id) ? undefined : change;
    }
    return changes;
  }

  play(): DayResult {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#nowMs = next.atMs;
      next.act();
    }
    const approved = new Map(this.#changes.map(({ id, approvedMs }) => [id, approvedMs]));
    const took = [...this.#mergedMs].map(([id, atMs]) => atMs - approved.get(id)!);
    const { executions, reused, joined } = this.#sharing;
    return {
      builds: this.#builds,
      executions,
      reused,
      joined,
      slotMinutes: Math.round(this.#slotMs / MINUTE_MS),
      meanMinutes: Math.round(took.reduce((sum, ms) => sum + ms, 0) / Math.max(1, took.length) / MINUTE_MS),
      verdicts: this.#verdicts,
    };
  }

  #next() {
    let first = 0;
    for (const [at, one] of this.#agenda.entries()) if (one.atMs < this.#agenda[first]!.atMs) first = at;
    return this.#agenda.splice(first, 1)[0];
  }

  #at(atMs: number, act: () => void): void {
    this.#agenda.push({ atMs, act });
  }

  #propose({ id, project }: DayChange): void {
    const change = this.#forge.propose(id, {
      ...{ project, branch: "main", files: [`file of ${id}`], parent: null, dependsOn: [] },
    });
    this.#tell({ kind: "change", change }, { kind: "offer", subject: id, pipelines: ["check"] });
  }

  #approve(id: string): void {
    const change = this.#forge.edit(id, { isApproved: true });
    this.#tell({ kind: "change", change }, { kind: "offer", subject: id, pipelines: ["gate"] });
  }

  #tell(...events: readonly GateEvent[]): void {
    for (let next: readonly GateEvent[] = events; next.length > 0; ) {
      const effects = this.#core.step(next, this.#nowMs);
      next = [...effects.flatMap((effect) => this.#do(effect)), ...this.#grant()];
    }
    for (const id of this.#sharing.letGo()) this.#spend(id);
  }

  #spend(execution: number): void {
    this.#slotMs += this.#nowMs - this.#startedMs.get(execution)!;
  }

  #do(effect: GateEffect): GateEvent[] {
    switch (effect.kind) {
      case "merge": {
        const { buildset, chain } = effect;
        const result = this.#forge.merge(chain);
        this.#chains.set(buildset, chain);
        if (result.kind === "merged") this.#steps.set(buildset, result.steps);
        return [{ kind: "merged", buildset, result }];
      }
      case "freeze": {
        const { buildset, layout } = effect;
        this.#tips.set(buildset, new Map(PROJECTS.map((name) => [name, this.#forge.tip(name, "main")])));
        const graph = { jobs: JOBS.map(({ name }) => job(name)), failFast: false };
        return [{ kind: "frozen", buildset, layout, result: { kind: "graph", graph } }];
      }
      case "requestNodes":
        this.#requests.add(effect.build);
        return [];
      case "releaseNodes":
        this.#requests.delete(effect.build);
        this.#held.delete(effect.build);
        return [];
      case "startBuild":
        return this.#start(effect);
      // No job of these requires anything.
      case "findProviders":
        return [];
      // No job of these pauses.
      case "resumeBuild":
        return [];
      case "cancelBuild":
        this.#sharing.leave(effect.build);
        return [];
      case "report":
        this.#report(effect);
        return [{ kind: "reported", report: effect.report }];
      case "land":
        return this.#land(effect);
    }
  }

  #grant(): GateEvent[] {
    const byRank = [...this.#requests].sort((a, b) => this.#core.rankOf(a)! - this.#core.rankOf(b)! || a - b);
    const granted = byRank.slice(0, Math.max(0, SLOTS - this.#held.size));
    for (const build of granted) {
      this.#requests.delete(build);
      this.#held.add(build);
    }
    return granted.map((build) => ({ kind: "nodes", build, granted: true }));
  }

  /** The trees that a job sees: of its own project, and of those that it mounts. */
  #mounted({ job: name, subject, buildset }: Effect<"startBuild">): Map<string, string> {
    const chain = this.#chains.get(buildset)!;
    const { mounts } = JOBS.find((one) => one.name === name)!;
    return new Map(
      [...new Set([subject.project, ...mounts])].map((project) => {
        const last = chain.findLastIndex((link) => link.project === project);
        const tip = this.#tips.get(buildset)!.get(project)!;
        return [project, this.#steps.get(buildset)![last]?.commit ?? tip];
      }),
    );
  }

  #start(effect: Effect<"startBuild">): GateEvent[] {
    const { build, job: name, subject } = effect;
    this.#builds++;
    const mounted = this.#mounted(effect);
    const trees = [...mounted.values()].map((commit) => this.#forge.tree(commit));
    const key = this.#reuse ? JSON.stringify([name, subject.project, trees]) : String(build);
    const { how, id } = this.#sharing.begin(build, key);
    if (how === "reused") return [ended(build, "SUCCESS")];
    if (how === "joined") return [];
    this.#startedMs.set(id, this.#nowMs);
    const isFailure = this.#fails(name, trees) || this.#chance.chance(this.#flakes);
    const { minutes } = JOBS.find((one) => one.name === name)!;
    this.#at(this.#nowMs + minutes * MINUTE_MS, () => this.#end(id, isFailure));
    return [];
  }

  /** Only one job of each finds a mistake, so that the others have their results. */
  #fails(name: string, trees: readonly string[]): boolean {
    const all = trees.join("\n");
    const has = (id: string) => all.includes(`"${id}@1"`);
    for (const [id, other] of this.#broken)
      if (has(id) && (other === null || has(other)) && JOBS[id.length % JOBS.length]!.name === name)
        return true;
    return false;
  }

  #end(execution: number, isFailure: boolean): void {
    const builds = this.#sharing.end(execution, !isFailure);
    if (builds.length === 0) return;
    this.#spend(execution);
    this.#tell(...builds.map((build) => ended(build, isFailure ? "FAILURE" : "SUCCESS")));
  }

  #report({ what, pipeline, subject }: Effect<"report">): void {
    if (what === "start" || what === "dequeue" || what === "enqueue") return;
    this.#verdicts[`${subject.id} ${pipeline}`] = what;
  }

  #land({ buildset, steps }: Effect<"land">): GateEvent[] {
    const answer = this.#forge.land(steps);
    for (const { link } of steps) if (answer.refused === null) this.#mergedMs.set(link.change, this.#nowMs);
    const changes = steps.map(
      ({ link }) => ({ kind: "change", change: this.#forge.get(link.change) }) as const,
    );
    return [{ kind: "landed", buildset, ...answer }, ...changes];
  }
}

function ended(build: number, result: "SUCCESS" | "FAILURE"): GateEvent {
  return { kind: "ended", build, result: { kind: "final", result } };
}
