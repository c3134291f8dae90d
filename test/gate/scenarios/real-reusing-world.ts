import { expect } from "vitest";
import type { RealWorld } from "./real-world.ts";
import type { SimulatedWorld } from "./simulated-world.ts";
import type { AutoholdSetup, ChangeSetup, ReportName, ScenarioWorld } from "./world.ts";

/**
 * A gate that runs, with reuse. As in the simulated one, a scenario does what it does, each time when nothing is under way any
 * more, and what counts is what comes out in the end.
 */
export class RealReusingWorld implements ScenarioWorld {
  readonly #world: RealWorld;

  constructor(world: RealWorld) {
    this.#world = world;
  }

  async create(name: string, change: ChangeSetup): Promise<void> {
    await this.#world.create(name, change);
    await this.#world.settle();
  }
  async revise(name: string, change?: Partial<ChangeSetup>): Promise<void> {
    await this.#world.revise(name, change);
    await this.#world.settle();
  }
  async approve(name: string): Promise<void> {
    await this.#world.approve(name);
    await this.#world.settle();
  }
  async unapprove(name: string): Promise<void> {
    await this.#world.unapprove(name);
    await this.#world.settle();
  }
  async abandon(name: string): Promise<void> {
    await this.#world.abandon(name);
    await this.#world.settle();
  }
  async promote(pipeline: string, ...names: readonly string[]): Promise<void> {
    await this.#world.promote(pipeline, ...names);
    await this.#world.settle();
  }
  async dequeue(name: string, pipeline: string): Promise<void> {
    await this.#world.dequeue(name, pipeline);
    await this.#world.settle();
  }
  autohold(name: string, wish: AutoholdSetup): Promise<void> {
    return this.#world.autohold(name, wish);
  }
  async strike(): Promise<void> {
    await this.#world.strike();
    await this.#world.settle();
  }
  async reconfigure(): Promise<void> {
    await this.#world.reconfigure();
    await this.#world.settle();
  }
  fail(job: string, change: string): Promise<void> {
    return this.#world.fail(job, change);
  }
  pass(job: string, change: string): Promise<void> {
    return this.#world.pass(job, change);
  }
  refuseMerge(name: string): Promise<void> {
    return this.#world.refuseMerge(name);
  }
  failEarly(build: string): Promise<void> {
    return this.#of(build, () => this.#world.failEarly(build));
  }
  pauseBuild(build: string): Promise<void> {
    return this.#of(build, () => this.#world.pauseBuild(build));
  }
  lose(build: string): Promise<void> {
    return this.#of(build, () => this.#world.lose(build));
  }
  chooseChildren(build: string, ...jobs: readonly string[]): Promise<void> {
    return this.#of(build, () => this.#world.chooseChildren(build, ...jobs));
  }
  async release(...builds: readonly string[]): Promise<void> {
    if (builds.length === 0) await this.#world.release();
    for (const build of builds) await this.#of(build, () => this.#world.release(build));
  }

  /** One that does not run has had its result from another. */
  async #of(build: string, act: () => Promise<void>): Promise<void> {
    if (!(await this.#world.isRunning(build))) return;
    await act();
    await this.#world.settle();
  }

  /** Lets everything end, and holds its verdicts to those of another world. @returns How many builds shared. */
  async compare(other: SimulatedWorld): Promise<number> {
    const { merged, reports } = other.verdicts();
    await this.#world.release();
    for (const [name, of] of Object.entries(reports))
      await this.#world.expectReports(name, ...(of as readonly ReportName[]));
    await this.#world.expectMergedInQueues(...merged);
    const { builds, shared } = await this.#world.counts();
    expect(builds > 0, "it has builds").toBe(other.builds > 0);
    return shared;
  }

  async expectRunning(): Promise<void> {}
  async expectHistory(): Promise<void> {}
  async expectHeld(): Promise<void> {}
  async expectLetGo(): Promise<void> {}
  async expectRun(): Promise<void> {}
  async expectProviders(): Promise<void> {}
  async expectReports(): Promise<void> {}
  async expectReportsElsewhere(): Promise<void> {}
  async expectReason(): Promise<void> {}
  async expectComment(): Promise<void> {}
  async expectMerged(): Promise<void> {}
  async expectWaiting(): Promise<void> {}
  async expectQueue(): Promise<void> {}
  async expectWindow(): Promise<void> {}
}
