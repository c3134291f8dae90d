import {
  type CoreLayout,
  cycleGraph,
  type FrozenJob,
  type GateEffect,
  type GateEvent,
  type JobGraph,
  type QueueRules,
  type RunResult,
  type WantedJob,
  type WindowRules,
} from "../../../packages/gate/src/core/index.ts";
import type { Random } from "../random.ts";
import {
  checkPipeline,
  deployPipeline,
  gatePipeline,
  job,
  layoutOf,
  postPipeline,
  publishPipeline,
} from "./layouts.ts";

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;

/** The last one is never declared. */
const SEMAPHORES = ["s1", "s2", "s3"];
const TAGS = ["image", "package"];
const JOBS = ["build", "unit", "lint", "docs", "deploy"];

/** What one seed is like: projects and their queues, jobs, windows, and how often what fails. */
export class Settings {
  readonly #random: Random;
  readonly slots: number;
  readonly projects: readonly string[];
  readonly #window: WindowRules;
  readonly #failures: number;
  /** Equal jobs of a cycle run once. */
  readonly #deduplicates: boolean;
  readonly #usesSemaphores: number;
  /** How often it is told of a build that it will fail, before it has ended. */
  readonly failsEarly: number;
  /** How often a build pauses. */
  readonly pauses: number;
  /** How often a job provides or requires something. */
  readonly #provides: number;
  #version = 0;
  #graphs = new Map<string, JobGraph>();
  layout: CoreLayout;

  constructor(random: Random) {
    this.#random = random;
    this.slots = random.between(1, 12);
    this.projects = ["P0", "P1", "P2", "P3"].slice(0, random.between(1, 4));
    this.#deduplicates = random.chance(0.5);
    this.#failures = random.pick([0.02, 0.1, 0.3]);
    this.#usesSemaphores = random.pick([0, 0.1, 0.4]);
    this.failsEarly = random.pick([0, 0.05]);
    this.pauses = random.pick([0, 0.1, 0.4]);
    this.#provides = random.pick([0, 0.2, 0.6]);
    const step = () => ({
      type: random.pick(["linear", "exponential"] as const),
      factor: random.between(1, 2),
    });
    this.#window = {
      size: random.pick([0, 1, 2, 3, 20]),
      floor: random.between(1, 3),
      ceiling: random.chance(0.3) ? 6 : null,
      increase: step(),
      decrease: step(),
    };
    this.layout = this.reconfigure();
  }

  /** Another layout: queues, windows, projects and jobs may be others. */
  reconfigure(): CoreLayout {
    const random = this.#random;
    const queues = new Map<string, QueueRules>();
    const rules = ["q1", "q2"].map((name) => {
      return { name, perBranch: random.chance(0.1), allowsCycles: random.chance(0.7) };
    });
    for (const project of this.projects)
      if (random.chance(0.7)) queues.set(project, rules[random.chance(0.67) ? 0 : 1]!);
    const gone = this.#version > 0 && random.chance(0.2) ? random.pick(this.projects) : null;
    return this.#take(queues, gone);
  }

  /** Every project is there, and nothing is odd any more. */
  calm(): void {
    this.layout = this.#take(
      new Map(this.layout.pipelines.find(({ name }) => name === "gate")!.queues),
      null,
    );
  }

  #take(queues: Map<string, QueueRules>, gone: string | null): CoreLayout {
    this.#graphs = new Map(this.projects.map((project) => [project, this.#graph()]));
    const pipelines = [
      { ...checkPipeline(queues), triggers: { parentEnqueued: ["gate"], projectMerged: false } },
      gatePipeline(queues, this.#window),
      { ...postPipeline(queues), triggers: { parentEnqueued: null, projectMerged: true } },
      deployPipeline(queues),
      publishPipeline(),
    ].filter(({ name }) => name === "gate" || this.#random.chance(0.9));
    const projects = this.projects.filter((project) => project !== gone);
    const rooms = SEMAPHORES.slice(0, 2).map((name): [string, number] => [name, this.#random.between(1, 3)]);
    this.layout = { ...layoutOf(++this.#version, pipelines, projects), semaphores: new Map(rooms) };
    return this.layout;
  }

  #graph(): JobGraph {
    const random = this.#random;
    const jobs: FrozenJob[] = [];
    const holdsAny = random.chance(0.2);
    for (const name of JOBS) {
      if (random.chance(0.45)) continue;
      const dependencies = jobs
        .filter(() => random.chance(0.4))
        .map((parent) => ({ name: parent.name, soft: random.chance(0.3) }));
      const isNoop = random.chance(0.1);
      jobs.push(
        job(name, {
          dependencies,
          voting: random.chance(0.85),
          holdFollowingChanges: holdsAny && jobs.length === 0,
          isNoop,
          ...(isNoop ? {} : { ...this.#tags("provides"), ...this.#tags("requires") }),
          ...this.#semaphores(),
          attempts: random.between(1, 3),
        }),
      );
    }
    return { jobs, failFast: random.chance(0.2) };
  }

  #tags(what: "provides" | "requires"): Pick<FrozenJob, "provides" | "requires"> {
    const tags = TAGS.filter(() => this.#random.chance(this.#provides / 2));
    return tags.length === 0 ? {} : { [what]: tags };
  }

  #semaphores(): Pick<FrozenJob, "semaphores"> {
    const random = this.#random;
    const names = SEMAPHORES.filter(() => random.chance(this.#usesSemaphores));
    if (names.length === 0) return {};
    return { semaphores: names.map((name) => ({ name, resourcesFirst: random.chance(0.3) })) };
  }

  freeze({ buildset, subject, members, layout }: Effect<"freeze">, isCalm: boolean): GateEvent {
    if (!isCalm && this.#random.chance(0.03)) {
      const { project } = subject;
      const problem = { project, branch: "main", file: "zuul.yaml", line: 1, message: "no such job" };
      return { kind: "frozen", buildset, layout, result: { kind: "problems", problems: [problem] } };
    }
    const graphOf = (project: string): JobGraph => this.#graphs.get(project) ?? { jobs: [], failFast: false };
    const wanted = members.map(({ id, project }) => ({ change: id, graph: graphOf(project) }));
    const isSame = (a: WantedJob, b: WantedJob): boolean =>
      this.#deduplicates && JSON.stringify(a.job) === JSON.stringify(b.job);
    const graph = members.length === 1 ? graphOf(subject.project) : cycleGraph(wanted, isSame);
    return { kind: "frozen", buildset, layout, result: { kind: "graph", graph } };
  }

  end({ build }: Effect<"startBuild">, isCalm: boolean): GateEvent {
    const random = this.#random;
    const result = isCalm ? ({ kind: "final", result: "SUCCESS" } as const) : this.#result();
    const childJobs = !isCalm && random.chance(0.05) ? JOBS.filter(() => random.chance(0.7)) : undefined;
    return { kind: "ended", build, result, ...(childJobs === undefined ? {} : { childJobs }) };
  }

  #result(): RunResult {
    const random = this.#random;
    if (!random.chance(this.#failures)) return { kind: "final", result: "SUCCESS" };
    return random.weighted<RunResult>([
      [5, { kind: "final", result: "FAILURE" }],
      [1, { kind: "final", result: "TIMED_OUT" }],
      [1, { kind: "final", result: "POST_FAILURE" }],
      [2, { kind: "retry", again: random.chance(0.9) }],
      [2, { kind: "lost" }],
    ]);
  }
}
