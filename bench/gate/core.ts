import {
  type Change,
  GateCore,
  type GateEffect,
  type GateEvent,
  type PipelineRules,
} from "../../packages/gate/src/core/index.ts";
import { Forge } from "../../test/sim/gate/forge.ts";
import { Judge } from "../../test/sim/gate/judge.ts";
import { checkPipeline, gatePipeline, job, layoutOf, WINDOW } from "../../test/sim/gate/layouts.ts";
import { Random } from "../../test/sim/random.ts";

/*
 * `node bench/gate/core.ts`: how fast the pure core of the gate is, without git, disk or network. Prints figures of this
 * machine; no figure makes it fail, a wrong end does.
 */

interface Shape {
  readonly changes: number;
  readonly queues: number;
  /** Per change, all of them at once. */
  readonly jobs: number;
  /** 0 = all. */
  readonly window: number;
  /** Of builds. */
  readonly failures: number;
  /** Changes in the gate at a time, about. */
  readonly atOnce: number;
  readonly check: boolean;
  /** With a forge that merges and a judge that holds every step against the invariants. */
  readonly judged: boolean;
}

interface Outcome {
  readonly events: number;
  readonly seconds: number;
  readonly builds: number;
  readonly merged: number;
  readonly failed: number;
  readonly resets: number;
}

/** Changes stream through a core that is answered at once, one event a step, as a shell without batches would. */
class Stream {
  readonly #shape: Shape;
  readonly #random = new Random(1);
  readonly #core = new GateCore();
  readonly #forge = new Forge();
  readonly #judge: Judge | null;
  readonly #running: number[] = [];
  #answers: GateEvent[] = [];
  #commits = 0;
  #builds = 0;
  #finals = 0;
  #failed = 0;
  #events = 0;
  /** Seconds inside of the core. */
  #seconds = 0;

  constructor(shape: Shape) {
    this.#shape = shape;
    const projects = Array.from({ length: shape.queues }, (_, i) => `P${i}`);
    const gate = gatePipeline(new Map(), { ...WINDOW, size: shape.window });
    const pipelines: PipelineRules[] = shape.check ? [checkPipeline(), gate] : [gate];
    const layout = layoutOf(1, pipelines, projects);
    this.#judge = shape.judged ? new Judge(this.#forge, { layout }) : null;
    this.#tell([{ kind: "configured", layout }]);
  }

  #tell(events: readonly GateEvent[]): void {
    this.#events += events.length;
    const began = performance.now();
    const effects = this.#core.step(events, this.#events);
    this.#seconds += (performance.now() - began) / 1000;
    this.#judge?.step(events, effects, this.#core);
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: GateEffect): void {
    if (effect.kind === "merge") {
      const steps = effect.chain.map(() => ({ base: `c${this.#commits}`, commit: `c${++this.#commits}` }));
      const result =
        this.#judge === null ? ({ kind: "merged", steps } as const) : this.#forge.merge(effect.chain);
      this.#answers.push({ kind: "merged", buildset: effect.buildset, result });
    } else if (effect.kind === "freeze") {
      const jobs = Array.from({ length: this.#shape.jobs }, (_, i) => job(`job-${i}`));
      const graph = { jobs, failFast: false };
      const { buildset, layout } = effect;
      this.#answers.push({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    } else if (effect.kind === "requestNodes") {
      this.#answers.push({ kind: "nodes", build: effect.build, granted: true });
    } else if (effect.kind === "startBuild") {
      this.#running.push(effect.build);
      this.#builds++;
    } else if (effect.kind === "report") {
      this.#answers.push({ kind: "reported", report: effect.report });
      if (effect.pipeline !== "gate" || effect.what === "start") return;
      this.#finals++;
      if (effect.what === "failure") this.#failed++;
    } else if (effect.kind === "land") {
      this.#answers.push({ kind: "landed", buildset: effect.buildset, ...this.#land(effect) });
    }
  }

  #land({ buildset, steps }: Extract<GateEffect, { kind: "land" }>): { refused: string | null } {
    if (this.#judge === null) return { refused: null };
    const answer = this.#forge.land(steps);
    this.#judge.landed(buildset, steps);
    return answer;
  }

  #change(n: number): Change {
    const project = `P${n % this.#shape.queues}`;
    const id = `local:${n}`;
    if (this.#judge !== null)
      return this.#forge.propose(id, { project, branch: "main", files: [id], parent: null, dependsOn: [] });
    return {
      ...{ kind: "change", id, revision: 1, project, branch: "main" },
      ...{ commit: `h${n}`, state: "open", isApproved: false, needs: [] },
    };
  }

  #enter(n: number): void {
    const { check, judged } = this.#shape;
    const change = this.#change(n);
    this.#tell([{ kind: "change", change }]);
    if (check) this.#tell([{ kind: "offer", subject: change.id, pipelines: ["check"] }]);
    this.#drain();
    const approved = judged
      ? this.#forge.edit(change.id, { isApproved: true })
      : { ...change, isApproved: true };
    this.#tell([{ kind: "change", change: approved }]);
    this.#tell([{ kind: "offer", subject: change.id, pipelines: ["gate"] }]);
  }

  #drain(): void {
    for (let next = this.#answers; next.length > 0; next = this.#answers) {
      this.#answers = [];
      for (const event of next) this.#tell([event]);
    }
  }

  /** The longest running build ends, or one of the ten longest. */
  #end(): void {
    const at = this.#random.below(Math.min(10, this.#running.length));
    const [build] = this.#running.splice(at, 1);
    const result = this.#random.chance(this.#shape.failures) ? "FAILURE" : "SUCCESS";
    this.#tell([{ kind: "ended", build: build!, result: { kind: "final", result } }]);
  }

  run(): Outcome {
    const { changes, atOnce } = this.#shape;
    let entered = 0;
    while (this.#finals < changes) {
      if (entered < changes && entered - this.#finals < atOnce) this.#enter(++entered);
      else if (this.#running.length > 0) this.#end();
      else throw new Error(`${changes - this.#finals} changes never leave`);
      this.#drain();
    }
    const { landed: merged, resets } = this.#core.counters;
    if (merged + this.#failed !== changes) throw new Error(`${merged} merged and ${this.#failed} failed`);
    return {
      ...{ events: this.#events, seconds: this.#seconds, builds: this.#builds },
      ...{ merged, failed: this.#failed, resets },
    };
  }
}

function print(name: string, figures: string): void {
  process.stdout.write(`${name.padEnd(52)} ${figures}\n`);
}

function rate({ events, seconds }: Outcome): string {
  return `${Math.round(events / seconds).toLocaleString("en")} events/s`;
}

/** A queue of so many items, all of whose builds run: what a result in the middle of it costs. */
function oneDirty(items: number, rounds: number): { medianUs: number; statusMs: number; snapshotMs: number } {
  const core = new GateCore();
  const jobs = Array.from({ length: 10 }, (_, i) => job(`job-${i}`));
  const gate = gatePipeline(new Map(), { ...WINDOW, size: 0 });
  const running: number[] = [];
  let told: GateEvent[] = [{ kind: "configured", layout: layoutOf(1, [gate], ["P"]) }];
  for (let n = 1; n <= items; n++) {
    const change: Change = {
      ...{ kind: "change", id: `local:${n}`, revision: 1, project: "P", branch: "main" },
      ...{ commit: `h${n}`, state: "open", isApproved: true, needs: [] },
    };
    told.push({ kind: "change", change }, { kind: "offer", subject: change.id, pipelines: ["gate"] });
  }
  while (told.length > 0) {
    const answers: GateEvent[] = [];
    for (const effect of core.step(told, 1)) {
      const { kind } = effect;
      if (kind === "merge") {
        const steps = effect.chain.map(() => ({ base: "b", commit: "c" }));
        answers.push({ kind: "merged", buildset: effect.buildset, result: { kind: "merged", steps } });
      } else if (kind === "freeze") {
        const graph = { jobs, failFast: false };
        answers.push({ kind: "frozen", buildset: effect.buildset, result: { kind: "graph", graph } });
      } else if (kind === "requestNodes") answers.push({ kind: "nodes", build: effect.build, granted: true });
      else if (kind === "startBuild") running.push(effect.build);
    }
    told = answers;
  }
  const random = new Random(2);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const [build] = running.splice(random.below(running.length), 1);
    const began = performance.now();
    core.step([{ kind: "ended", build: build!, result: { kind: "final", result: "SUCCESS" } }], 2);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const timed = (work: () => unknown): number => {
    work();
    const began = performance.now();
    work();
    return performance.now() - began;
  };
  return {
    medianUs: times[times.length >> 1]! * 1000,
    statusMs: timed(() => JSON.stringify(core.status())),
    snapshotMs: timed(() => JSON.stringify(core.snapshot())),
  };
}

/** Measures the core, and prints what it found. */
export function benchGateCore(): void {
  const streaming: Shape = {
    ...{
      changes: 20_000,
      queues: 20,
      jobs: 3,
      window: 20,
      failures: 0,
      atOnce: 200,
      check: false,
      judged: false,
    },
  };
  new Stream({ ...streaming, changes: 4_000 }).run();
  const steady = new Stream(streaming).run();
  print("200 items in 20 queues, all pass", rate(steady));
  const flaky = new Stream({ ...streaming, failures: 0.05 }).run();
  print("the same, 5 % of builds fail", `${rate(flaky)}, ${flaky.resets} resets`);
  const { medianUs, statusMs, snapshotMs } = oneDirty(1_000, 2_000);
  print("a result in a queue of 1,000 items × 10 jobs", `${medianUs.toFixed(0)} µs`);
  print("its status as JSON", `${statusMs.toFixed(0)} ms`);
  print("its snapshot as JSON", `${snapshotMs.toFixed(0)} ms`);
  const began = performance.now();
  const day = new Stream({
    ...{
      changes: 1_500,
      queues: 6,
      jobs: 6,
      window: 20,
      failures: 0.05,
      atOnce: 60,
      check: true,
      judged: true,
    },
  }).run();
  const judgedSeconds = (performance.now() - began) / 1000;
  print(
    "a day of 1,500 changes in check and gate, 5 % flakes",
    `${day.seconds.toFixed(2)} s, ${judgedSeconds.toFixed(1)} s with every step judged`,
  );
  print("", `${day.builds} builds, ${day.merged} merged, ${day.resets} resets`);
}

if (import.meta.main) benchGateCore();
