import type { Log } from "@drover/server";
import { Cron } from "croner";
import { CRON_OPTIONS, type Layout, type TimerTrigger } from "./config/index.ts";
import type { GateEvent, RefUpdate } from "./core/index.ts";

export interface TimersOptions {
  readonly log: Log;
  readonly tell: (event: GateEvent) => void;
  /** Commit of each branch of a project. */
  readonly branches: (project: string) => Promise<ReadonlyMap<string, string>>;
}

/**
 * Starts pipelines by the clock: one item for each branch of each project that has jobs there. A time that passes while no gate
 * runs is not made up for.
 */
export class Timers {
  readonly #options: TimersOptions;
  #crons: Cron[] = [];
  /** What is late, by its timer. */
  readonly #late = new Map<TimerTrigger, NodeJS.Timeout>();
  /** Timers that are starting what is theirs. */
  readonly #starting = new Set<TimerTrigger>();
  #layout: Layout | undefined;
  /** Of the timers that run. */
  #key = "";
  #isClosed = false;

  constructor(options: TimersOptions) {
    this.#options = options;
  }

  /** Takes the timers of a layout in place of those before. Where they are the same, one that is late stays so. */
  set(layout: Layout): void {
    if (this.#isClosed) return;
    this.#layout = layout;
    const timers = layout.pipelines.flatMap(({ name, timers }) => timers.map((timer) => ({ name, timer })));
    const key = JSON.stringify(timers);
    if (key === this.#key) return;
    this.#stop();
    this.#key = key;
    this.#crons = timers.map(
      ({ name, timer }) =>
        new Cron(timer.cron, { ...CRON_OPTIONS, unref: true }, () => this.#due(name, timer)),
    );
  }

  /** Nothing is started any more. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #stop(): void {
    for (const cron of this.#crons) cron.stop();
    for (const late of this.#late.values()) clearTimeout(late);
    this.#late.clear();
    this.#crons = [];
  }

  /** A time of a timer that is late, or has not started all of its own yet, is passed over. */
  #due(pipeline: string, timer: TimerTrigger): void {
    if (this.#late.has(timer) || this.#starting.has(timer)) return;
    const late = setTimeout(
      () => {
        this.#late.delete(timer);
        this.#starting.add(timer);
        void this.#start(pipeline, timer).finally(() => this.#starting.delete(timer));
      },
      timer.jitterSec * 1000 * Math.random(),
    ).unref();
    this.#late.set(timer, late);
  }

  async #start(pipeline: string, { dereference }: TimerTrigger): Promise<void> {
    const layout = this.#layout!;
    const { log, tell, branches } = this.#options;
    for (const { name: project, branches: loaded } of layout.parts.projects.values()) {
      try {
        const wanted = loaded.filter((branch) => hasJobs(layout, pipeline, project, branch));
        if (wanted.length === 0) continue;
        const tips = await branches(project);
        if (this.#isClosed) return;
        for (const branch of wanted) {
          const tip = tips.get(branch);
          if (tip === undefined) continue;
          const subject = subjectOf(project, branch, dereference ? tip : null);
          tell({ kind: "offer", subject, pipelines: [pipeline] });
        }
      } catch (error) {
        if (this.#isClosed) return;
        log.error(
          { code: "GATE_EFFECT_FAILED", pipeline, project, error },
          "a timer did not start a project",
        );
      }
    }
  }
}

/** What is wrong with them is told by the item. */
function hasJobs(layout: Layout, pipeline: string, project: string, branch: string): boolean {
  const ref = `refs/heads/${branch}`;
  const frozen = layout.freeze(pipeline, { project, branch, ref, files: null });
  return frozen.kind === "problems" || frozen.graph.jobs.length > 0;
}

function subjectOf(project: string, branch: string, newCommit: string | null): RefUpdate {
  const ref = `refs/heads/${branch}`;
  const id = `ref:${project}:${ref}${newCommit === null ? "" : `@${newCommit}`}`;
  return { kind: "ref", id, project, ref, branch, oldCommit: null, newCommit };
}
