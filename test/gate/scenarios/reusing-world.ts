import { SimulatedSharing } from "../../sim/gate/sharing.ts";
import { SimulatedWorld } from "./simulated-world.ts";
import type { AutoholdSetup, ChangeSetup, ScenarioWorld, Setup } from "./world.ts";

/**
 * The simulated world with reuse. A scenario does in it what it does; which builds run on the way, and how far a queue is, is
 * another thing where results are there already: what counts is what comes out in the end.
 */
export class ReusingWorld implements ScenarioWorld {
  readonly sharing = new SimulatedSharing();
  readonly world: SimulatedWorld;

  constructor(setup: Setup) {
    this.world = new SimulatedWorld(setup, this.sharing);
  }

  create(name: string, change: ChangeSetup): Promise<void> {
    return this.world.create(name, change);
  }
  revise(name: string, change?: Partial<ChangeSetup>): Promise<void> {
    return this.world.revise(name, change);
  }
  approve(name: string): Promise<void> {
    return this.world.approve(name);
  }
  unapprove(name: string): Promise<void> {
    return this.world.unapprove(name);
  }
  abandon(name: string): Promise<void> {
    return this.world.abandon(name);
  }
  promote(pipeline: string, ...names: readonly string[]): Promise<void> {
    return this.world.promote(pipeline, ...names);
  }
  dequeue(name: string, pipeline: string): Promise<void> {
    return this.world.dequeue(name, pipeline);
  }
  autohold(name: string, wish: AutoholdSetup): Promise<void> {
    return this.world.autohold(name, wish);
  }
  strike(): Promise<void> {
    return this.world.strike();
  }
  reconfigure(): Promise<void> {
    return this.world.reconfigure();
  }
  fail(job: string, change: string): Promise<void> {
    return this.world.fail(job, change);
  }
  pass(job: string, change: string): Promise<void> {
    return this.world.pass(job, change);
  }
  refuseMerge(name: string): Promise<void> {
    return this.world.refuseMerge(name);
  }
  async lose(build: string): Promise<void> {
    if (this.world.isRunning(build)) await this.world.lose(build);
  }
  async failEarly(build: string): Promise<void> {
    if (this.world.isRunning(build)) await this.world.failEarly(build);
  }
  async pauseBuild(build: string): Promise<void> {
    if (this.world.isRunning(build)) await this.world.pauseBuild(build);
  }
  async chooseChildren(build: string, ...jobs: readonly string[]): Promise<void> {
    if (this.world.isRunning(build)) await this.world.chooseChildren(build, ...jobs);
  }
  /** One that does not run has had its result from another. */
  async release(...builds: readonly string[]): Promise<void> {
    if (builds.length === 0) await this.world.release();
    for (const build of builds) if (this.world.isRunning(build)) await this.world.release(build);
  }

  async expectRunning(): Promise<void> {}
  async expectHistory(): Promise<void> {}
  async expectReports(): Promise<void> {}
  async expectHeld(): Promise<void> {}
  async expectLetGo(): Promise<void> {}
  async expectRun(): Promise<void> {}
  async expectProviders(): Promise<void> {}
  async expectReportsElsewhere(): Promise<void> {}
  async expectReason(): Promise<void> {}
  async expectComment(): Promise<void> {}
  async expectMerged(): Promise<void> {}
  async expectWaiting(): Promise<void> {}
  async expectQueue(): Promise<void> {}
  async expectWindow(): Promise<void> {}
}
