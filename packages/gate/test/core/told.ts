import {
  type Change,
  type FrozenJob,
  GateCore,
  type GateEffect,
  type GateEvent,
  type PipelineRules,
  type RunResult,
} from "../../src/core/index.ts";

type Kind = GateEffect["kind"];
type Effect<K extends Kind> = Extract<GateEffect, { kind: K }>;

export const GATE: PipelineRules = {
  ...{ name: "gate", manager: "dependent", precedence: "high" },
  ...{ require: { open: true }, reject: {}, dequeueOnNewRevision: true, ignoreDependencies: false },
  window: {
    ...{ size: 20, floor: 3, ceiling: null },
    ...{ increase: { type: "linear", factor: 1 }, decrease: { type: "exponential", factor: 2 } },
  },
  ...{ supercedes: ["check"], queues: new Map() },
};

export const CHECK: PipelineRules = { ...GATE, name: "check", manager: "independent", supercedes: [] };

export function changeOf(id: string, fields: Partial<Change> = {}): Change {
  return {
    ...{ kind: "change", id, revision: 1, project: "P", branch: "main", commit: `head of ${id}` },
    ...{ state: "open", isApproved: true, needs: [], ...fields },
  };
}

export function jobOf(name: string, fields: Partial<FrozenJob> = {}): FrozenJob {
  return {
    ...{ name, voting: true, attempts: 3, dependencies: [], labels: ["local"] },
    ...{ holdFollowingChanges: false, isNoop: false, ...fields },
  };
}

/** A core that is told one thing after the other, and what it asked for last. */
export class Told {
  core = new GateCore();
  effects: GateEffect[] = [];
  nowMs = 0;
  #version = 0;

  constructor(...pipelines: readonly PipelineRules[]) {
    this.configure(pipelines);
  }

  configure(
    pipelines: readonly PipelineRules[],
    projects: readonly string[] = ["P", "Q"],
    semaphores: Readonly<Record<string, number>> = {},
    atStart = false,
  ): void {
    const rooms = new Map(Object.entries(semaphores));
    const layout = { version: ++this.#version, pipelines, projects: new Set(projects), semaphores: rooms };
    this.tell({ kind: "configured", layout, atStart });
  }

  tell(...events: readonly GateEvent[]): void {
    this.effects = this.core.step(events, this.nowMs);
  }

  /** What was asked for last, of one kind. */
  asked<K extends Kind>(kind: K): Effect<K>[] {
    return this.effects.filter((effect): effect is Effect<K> => effect.kind === kind);
  }

  /** The first of them. @throws When there is none. */
  one<K extends Kind>(kind: K): Effect<K> {
    const [effect] = this.asked(kind);
    if (effect === undefined) throw new Error(`no ${kind} was asked for`);
    return effect;
  }

  /** Tells of a change and offers it. */
  offer(change: Change, pipeline = "gate"): void {
    this.tell({ kind: "change", change }, { kind: "offer", subject: change.id, pipelines: [pipeline] });
  }

  /** Answers the merge that was asked for last, and what follows from it, so that jobs are frozen. */
  freeze(...jobs: readonly FrozenJob[]): void {
    for (const { buildset, chain } of this.asked("merge")) {
      const steps = chain.map(({ change }) => ({ base: `before ${change}`, commit: `after ${change}` }));
      this.tell({ kind: "merged", buildset, result: { kind: "merged", steps } });
    }
    this.frozen(...jobs);
  }

  frozen(...jobs: readonly FrozenJob[]): void {
    const { buildset, layout } = this.one("freeze");
    const graph = { jobs, failFast: false };
    this.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
  }

  /** Grants what was asked for last. */
  grant(): void {
    const nodes = this.asked("requestNodes").map(
      ({ build }) => ({ kind: "nodes", build, granted: true }) as const,
    );
    this.tell(...nodes);
  }

  end(build: number, result: RunResult = { kind: "final", result: "SUCCESS" }): void {
    this.tell({ kind: "ended", build, result });
  }

  /** A change whose one job runs. @returns Its build. */
  run(change: Change, job: FrozenJob = jobOf("J")): number {
    this.offer(change);
    this.freeze(job);
    this.grant();
    return this.one("startBuild").build;
  }

  items(pipeline = "gate") {
    const found = this.core.status().pipelines.find(({ name }) => name === pipeline)!;
    return found.queues.flatMap(({ items }) => items);
  }

  waiting(pipeline = "gate") {
    return this.core.status().pipelines.find(({ name }) => name === pipeline)!.waiting;
  }

  /** As after a process has ended: from a snapshot that went through JSON. */
  restart(): void {
    this.core = GateCore.restore(JSON.parse(JSON.stringify(this.core.snapshot())));
    this.tell({ kind: "restarted" });
  }
}
