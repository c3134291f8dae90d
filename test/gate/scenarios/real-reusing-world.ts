import { expect } from "vitest";
import type { RealWorld } from "./real-world.ts";
import type { SimulatedWorld } from "./simulated-world.ts";
import type { AutoholdSetup, ChangeSetup, ReportName, ScenarioWorld, Setup } from "./world.ts";

/**
 * A gate that runs, with reuse. As in the simulated one, a scenario does what it does, each time when nothing is under way any
 * more, and what counts is what comes out in the end.
 */
export class RealReusingWorld implements ScenarioWorld {
  readonly #world: RealWorld;
  readonly #setup: Setup;

  constructor(world: RealWorld, setup: Setup) {
    this.#world = world;
    this.#setup = setup;
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
  async failEarly(build: string): Promise<void> {
    if (await this.#world.isRunning(build)) await this.#world.failEarly(build);
  }
  async pauseBuild(build: string): Promise<void> {
    if (await this.#world.isRunning(build)) await this.#world.pauseBuild(build);
  }
  async lose(build: string): Promise<void> {
    if (await this.#world.isRunning(build)) await this.#world.lose(build);
  }
  async chooseChildren(build: string, ...jobs: readonly string[]): Promise<void> {
    if (await this.#world.isRunning(build)) await this.#world.chooseChildren(build, ...jobs);
  }
  async release(...builds: readonly string[]): Promise<void> {
    if (builds.length === 0) await this.#world.release();
    for (const build of builds) if (await this.#world.isRunning(build)) await this.#world.release(build);
  }

  /** Lets everything end, and holds its verdicts to those of another world. @returns How many builds shared. */
  async compare({ merged, reports }: ReturnType<SimulatedWorld["verdicts"]>): Promise<number> {
    await this.#world.release();
    for (const [name, of] of Object.entries(reports))
      await this.#world.expectReports(name, ...(of as readonly ReportName[]));
    await this.#world.expectMerged(...merged);
    const { builds, shared } = await this.#world.counts();
    expect(builds, this.#setup.projects.map(({ name }) => name).join()).toBeGreaterThan(0);
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
