import { expect } from "vitest";
import {
  type ChainLink,
  type CoreLayout,
  cycleGraph,
  GateCore,
  type GateEffect,
  type GateEvent,
  type LandStep,
  type MergeStep,
  type QueueRules,
  type RefUpdate,
  type RunResult,
  type Subject,
  type WantedJob,
} from "../../../packages/gate/src/core/index.ts";
import { Forge, type Proposal } from "../../sim/gate/forge.ts";
import { layoutOf } from "../../sim/gate/layouts.ts";
import { BuildRecords } from "../../sim/gate/records.ts";
import type { SimulatedSharing } from "../../sim/gate/sharing.ts";
import { SimulatedAutoholds } from "./simulated-autoholds.ts";
import { frozen, isFurther, pipelinesOf } from "./simulated-layout.ts";
import type { AutoholdSetup, ChangeSetup, JobSetup, ReportName, ScenarioWorld, Setup } from "./world.ts";

interface Running {
  readonly build: number;
  readonly job: string;
  readonly change: string;
  readonly subject: Subject;
  /** From 1. */
  readonly attempt: number;
  /** In the notation of scenarios. */
  readonly name: string;
}

/** What a revision makes of a branch. */
interface Configured {
  readonly project: string;
  readonly branch: string;
  readonly jobs: readonly JobSetup[];
}

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;

/** The core with everything around it played by one object, at once and in order. */
export class SimulatedWorld implements ScenarioWorld {
  readonly core = new GateCore();
  readonly forge = new Forge();
  readonly #setup: Setup;
  readonly #proposals = new Map<string, Proposal>();
  /** Besides `main`. */
  readonly #branches = new Set<string>();
  /** Of jobs of cycles, their names in the configuration. */
  readonly #jobNames = new Map<string, string>();
  readonly #chains = new Map<number, readonly ChainLink[]>();
  readonly #requests = new Set<number>();
  /** Builds that have their slots. */
  readonly #held = new Set<number>();
  readonly #running = new Map<number, Running>();
  readonly #failing = new Set<string>();
  /** Jobs that revisions give to their branch, by `CHANGE@REVISION`. */
  readonly #configs = new Map<string, Configured>();
  readonly #failingEarly = new Set<number>();
  readonly #paused = new Set<number>();
  readonly #children = new Map<number, readonly string[]>();
  readonly #history: string[] = [];
  /** Of builds that are prepared, those that were. */
  readonly #run: string[] = [];
  readonly #records = new BuildRecords();
  /** By build, those that provide what it requires. */
  readonly #providers = new Map<number, readonly number[]>();
  readonly #named = new Map<number, string>();
  readonly #reports: Effect<"report">[] = [];
  /** None: nobody has asked for any. */
  #autoholds: SimulatedAutoholds | undefined;
  readonly #steps = new Map<number, readonly MergeStep[]>();
  readonly #sharing: SimulatedSharing | null;
  /** Builds that were started. */
  builds = 0;
  #layout: CoreLayout;
  #nowMs = 0;

  /** @param sharing How builds of equal content are one execution. Default: none is. */
  constructor(setup: Setup, sharing: SimulatedSharing | null = null) {
    this.#setup = setup;
    this.#sharing = sharing;
    const queues = new Map<string, QueueRules>();
    const allowsCycles = setup.cycles === true;
    for (const { name, queue } of setup.projects)
      if (queue !== undefined) queues.set(name, { name: queue, perBranch: false, allowsCycles });
    const names = setup.projects.map(({ name }) => name);
    const pipelines = pipelinesOf(setup, queues);
    const semaphores = new Map(Object.entries(setup.semaphores ?? {}));
    this.#layout = { ...layoutOf(1, pipelines, names), semaphores };
    this.tell({ kind: "configured", layout: this.#layout });
  }

  /** Tells the core, and does what it asks for until it asks for nothing. */
  tell(...events: readonly GateEvent[]): void {
    for (let next: readonly GateEvent[] = events; next.length > 0; )
      next = this.#recorded(next, this.core.step(next, ++this.#nowMs));
    this.#sharing?.letGo();
  }

  #recorded(events: readonly GateEvent[], effects: readonly GateEffect[]): GateEvent[] {
    for (const event of events) this.#records.told(event);
    for (const effect of effects) this.#records.asked(effect);
    return this.#do(effects);
  }

  #do(effects: readonly GateEffect[]): GateEvent[] {
    const answers: GateEvent[] = [];
    for (const effect of effects) answers.push(...this.#doOne(effect));
    answers.push(...this.#grant());
    return answers;
  }

  #doOne(effect: GateEffect): GateEvent[] {
    switch (effect.kind) {
      case "merge": {
        const { buildset, chain } = effect;
        this.#chains.set(buildset, chain);
        const result = this.forge.merge(chain);
        if (result.kind === "merged") this.#steps.set(buildset, result.steps);
        return [{ kind: "merged", buildset, result }];
      }
      case "freeze":
        return [this.#freeze(effect)];
      case "requestNodes":
        if (effect.labels.length > (this.#setup.slots ?? Number.POSITIVE_INFINITY))
          return [{ kind: "nodes", build: effect.build, granted: false }];
        this.#requests.add(effect.build);
        return [];
      case "releaseNodes":
        this.#requests.delete(effect.build);
        this.#held.delete(effect.build);
        return [];
      case "startBuild": {
        const { build, subject, buildset } = effect;
        const job = this.#jobNames.get(effect.job) ?? effect.job;
        const chain = this.#chains.get(buildset)?.map(({ change }) => change) ?? [this.#nameOf(subject)];
        this.builds++;
        this.#providers.set(build, effect.providers ?? []);
        this.#named.set(build, `${job} of ${subject.id}`);
        const key = this.#contentOf(effect);
        if (this.#sharing?.begin(build, key).how === "reused")
          return [{ kind: "ended", build, result: { kind: "final", result: "SUCCESS" } }];
        const { id: change } = subject;
        const name = `${job}{${chain.join(",")}}`;
        this.#running.set(build, { build, job, change, subject, attempt: effect.attempt, name });
        return [];
      }
      case "resumeBuild": {
        const { build, name } = this.#running.get(effect.build)!;
        this.#running.delete(build);
        this.#history.push(`${name}✓`);
        return [{ kind: "ended", build, result: { kind: "final", result: "SUCCESS" } }];
      }
      case "cancelBuild":
        this.#sharing?.leave(effect.build);
        this.#history.push(`${this.#running.get(effect.build)!.name}∅`);
        this.#running.delete(effect.build);
        return [];
      case "findProviders": {
        const { item, lookup } = effect;
        return [{ kind: "providersFound", item, lookup, providers: this.#records.find(effect) }];
      }
      case "report":
        this.#reports.push(effect);
        // The worst of reporters: the core never learns that it was told, and must not wait for it.
        if (this.#setup.reportsElsewhere) return [];
        return [{ kind: "reported", report: effect.report }];
      case "land":
        return this.#land(effect);
    }
  }

  /**
   * What a result depends on: the job, the repository as it is with the chain merged, and, since scenarios have jobs fail for
   * changes, the change and whether it does.
   */
  #contentOf({ build, pipeline, job, subject, buildset }: Effect<"startBuild">): string {
    const { project, branch } = subject;
    // What is done for what has merged, or because of the time, is done each time.
    if (isFurther(pipeline)) return String(build);
    const own = this.#chains
      .get(buildset)!
      .findLastIndex((link) => link.project === project && link.branch === branch);
    const commit = this.#steps.get(buildset)?.[own]?.commit ?? this.forge.tip(project, branch!);
    const isFailing = this.#failing.has(`${job} ${subject.id}`);
    return JSON.stringify([job, project, this.forge.tree(commit), subject.id, isFailing]);
  }

  #freeze({ buildset, pipeline, members, chain, layout }: Effect<"freeze">): GateEvent {
    const configs = this.#configsOf(chain);
    const all = [...configs.values()].flatMap((config) => config.jobs);
    const jobsOf = ({ project, branch }: Subject): readonly JobSetup[] =>
      isFurther(pipeline)
        ? (this.#setup.projects.find(({ name }) => name === project)!.more?.[pipeline] ?? [])
        : (configs.get(`${project} ${branch}`) ?? configs.get(`${project} main`)!).jobs;
    const isMissing = ({ name, isDefined = true }: JobSetup): boolean =>
      !isDefined && !all.some((job) => job.name === name && job.isDefined !== false);
    const problems = members.flatMap((member) =>
      jobsOf(member)
        .filter(isMissing)
        .map(({ name }) => ({
          ...{ project: member.project, branch: member.branch!, file: "zuul.yaml", line: 1 },
          message: `there is the job ${name}, which is not defined`,
        })),
    );
    const graphs = members.map((member) => ({
      change: member.id,
      graph: { jobs: jobsOf(member).map(frozen), failFast: false },
    }));
    const placeOf = ({ change }: WantedJob): string => {
      const { project, branch } = members.find(({ id }) => id === change)!;
      return `${project} ${branch}`;
    };
    const isSame = (earlier: WantedJob, later: WantedJob): boolean => {
      const { deduplicate, requiredProjects = [] } = all.find(({ name }) => name === earlier.job.name)!;
      return deduplicate ?? (requiredProjects.length > 0 || placeOf(earlier) === placeOf(later));
    };
    const graph = graphs.length === 1 ? graphs[0]!.graph : cycleGraph(graphs, isSame);
    for (const { name, of } of graph.jobs) if (of !== undefined) this.#jobNames.set(name, of.job);
    const result = problems.length > 0 ? { kind: "problems", problems } : { kind: "graph", graph };
    return { kind: "frozen", buildset, layout, result } as GateEvent;
  }

  /** By project and branch: what has merged, and what the chain does to it. */
  #configsOf(chain: readonly ChainLink[]): ReadonlyMap<string, Configured> {
    const configs = new Map<string, Configured>();
    const put = (config: Configured): void => void configs.set(`${config.project} ${config.branch}`, config);
    for (const { name, jobs } of this.#setup.projects) put({ project: name, branch: "main", jobs });
    for (const { change, revision } of [...this.forge.merged, ...chain]) {
      const config = this.#configs.get(`${change}@${revision}`);
      if (config !== undefined) put(config);
    }
    return configs;
  }

  #land({ buildset, steps }: Effect<"land">): GateEvent[] {
    const answer = this.forge.land(steps);
    const changes = steps.map(
      ({ link }) => ({ kind: "change", change: this.forge.get(link.change) }) as const,
    );
    const merged = answer.refused === null ? steps.flatMap((step) => this.#afterMerge(step)) : [];
    const landed: GateEvent[] = [{ kind: "landed", buildset, ...answer }, ...changes, ...merged];
    const isConfigured = steps.some(({ link }) => this.#configs.has(`${link.change}@${link.revision}`));
    if (!isConfigured || answer.refused !== null) return landed;
    this.#layout = { ...this.#layout, version: this.#layout.version + 1 };
    return [{ kind: "configured", layout: this.#layout }, ...landed];
  }

  #afterMerge({ link: { change, project, branch }, base, commit }: LandStep): GateEvent[] {
    const moved = { ...this.#branch(project, branch, commit), oldCommit: base, newCommit: commit };
    return [
      { kind: "offer", subject: change, pipelines: ["deploy"] },
      { kind: "offer", subject: moved, pipelines: ["publish"] },
    ];
  }

  /** As it is, or after a move. */
  #branch(project: string, branch: string, commit?: string): RefUpdate {
    const ref = `refs/heads/${branch}`;
    const id = `ref:${project}:${ref}${commit === undefined ? "" : `@${commit}`}`;
    return { kind: "ref", id, project, ref, branch, oldCommit: null, newCommit: null };
  }

  /** In the notation of scenarios. */
  #nameOf(subject: Subject): string {
    if (subject.kind === "change") return subject.id;
    const merged = this.forge.merged.find(({ commit }) => commit === subject.newCommit);
    return merged === undefined ? subject.branch! : `${subject.branch}@${merged.change}`;
  }

  #grant(): GateEvent[] {
    const free = (this.#setup.slots ?? Number.POSITIVE_INFINITY) - this.#held.size;
    const byRank = [...this.#requests].sort((a, b) => this.core.rankOf(a)! - this.core.rankOf(b)! || a - b);
    const granted = byRank.slice(0, Math.min(free, byRank.length));
    for (const build of granted) {
      this.#requests.delete(build);
      this.#held.add(build);
    }
    return granted.map((build) => ({ kind: "nodes", build, granted: true }));
  }

  #end({ build, job, change }: Running): void {
    const isFailing = this.#failing.has(`${job} ${change}`);
    const childJobs = this.#children.get(build);
    const isFailure = isFailing || this.#failingEarly.has(build);
    const children = childJobs === undefined ? {} : { childJobs };
    if (isFailing && this.#prepares(job)) this.#tellEnd(build, { kind: "retry", again: true }, "↻");
    else {
      if (this.#prepares(job)) this.#run.push(this.#running.get(build)!.name);
      const result = isFailing ? "FAILURE" : "SUCCESS";
      this.#tellEnd(build, { kind: "final", result }, isFailure ? "✗" : "✓", children);
    }
  }

  #prepares(job: string): boolean {
    return this.#setup.projects.some(({ jobs }) =>
      jobs.some(({ name, prepares }) => name === job && prepares === true),
    );
  }

  #attemptsOf(job: string): number {
    const jobs = this.#setup.projects.flatMap((project) => project.jobs);
    return frozen(jobs.find(({ name }) => name === job) ?? { name: job }).attempts;
  }

  /** Ends all builds that share the execution of one. */
  #tellEnd(
    build: number,
    result: RunResult,
    mark: string,
    children: { readonly childJobs?: readonly string[] } = {},
  ): void {
    const execution = this.#sharing?.idOf(build) ?? build;
    const ended = this.#sharing?.end(this.#sharing.idOf(build), mark === "✓") ?? [build];
    for (const one of ended) {
      const running = this.#running.get(one)!;
      const isLastAttempt = running.attempt >= this.#attemptsOf(running.job);
      this.#autoholds?.ended({ ...running, execution: String(execution), isLastAttempt }, result);
      this.#history.push(`${running.name}${mark}`);
      this.#running.delete(one);
    }
    this.tell(...ended.map((one) => ({ kind: "ended", build: one, result, ...children }) as const));
  }

  async create(name: string, change: ChangeSetup): Promise<void> {
    const { project, branch = "main", files = [`file-${name}`], parent = null, dependsOn = [] } = change;
    this.#propose(name, { project, branch, files, parent, dependsOn }, change.config);
  }

  async revise(name: string, change: Partial<ChangeSetup> = {}): Promise<void> {
    const before = this.forge.get(name);
    const config = change.config ?? this.#configs.get(`${name}@${before.revision}`)?.jobs;
    this.#propose(name, { ...this.#proposals.get(name)!, ...change }, config);
  }

  #propose(name: string, proposal: Proposal, jobs: readonly JobSetup[] | undefined): void {
    this.#proposals.set(name, proposal);
    const change = this.forge.propose(name, proposal);
    const { project, branch } = proposal;
    this.#makeBranch(project, branch);
    if (jobs !== undefined) this.#configs.set(`${name}@${change.revision}`, { project, branch, jobs });
    this.tell({ kind: "change", change }, { kind: "offer", subject: name, pipelines: ["check"] });
  }

  #makeBranch(project: string, branch: string): void {
    const place = `${project} ${branch}`;
    if (branch === "main" || this.#branches.has(place)) return;
    this.#branches.add(place);
    const newCommit = this.forge.tip(project, branch);
    const made = { ...this.#branch(project, branch, newCommit), newCommit };
    this.tell({ kind: "offer", subject: made, pipelines: ["publish"] });
  }

  async approve(name: string): Promise<void> {
    const change = this.forge.edit(name, { isApproved: true });
    this.tell({ kind: "change", change }, { kind: "offer", subject: name, pipelines: ["gate"] });
  }

  async unapprove(name: string): Promise<void> {
    this.tell({ kind: "change", change: this.forge.edit(name, { isApproved: false }) });
  }

  async abandon(name: string): Promise<void> {
    this.tell({ kind: "change", change: this.forge.edit(name, { state: "abandoned" }) });
  }

  async dequeue(subject: string, pipeline: string): Promise<void> {
    this.tell({ kind: "dequeue", subject, pipeline });
  }

  async promote(pipeline: string, ...subjects: readonly string[]): Promise<void> {
    this.tell({ kind: "promote", pipeline, subjects });
  }

  async autohold(name: string, wish: AutoholdSetup): Promise<void> {
    this.#autoholds ??= new SimulatedAutoholds();
    this.#autoholds.ask(name, wish);
  }

  async strike(): Promise<void> {
    for (const { name, more } of this.#setup.projects)
      if (more?.nightly !== undefined)
        this.tell({ kind: "offer", subject: this.#branch(name, "main"), pipelines: ["nightly"] });
  }

  async reconfigure(): Promise<void> {
    this.#layout = { ...this.#layout, version: this.#layout.version + 1 };
    this.tell({ kind: "configured", layout: this.#layout });
  }

  async fail(job: string, change: string): Promise<void> {
    this.#failing.add(`${job} ${change}`);
  }

  async failEarly(name: string): Promise<void> {
    const { build } = this.#find(name);
    for (const one of this.#sharing?.buildsWith(build) ?? [build]) {
      this.#failingEarly.add(one);
      this.tell({ kind: "failing", build: one, detail: "its output says so" });
    }
  }

  async pauseBuild(name: string): Promise<void> {
    const { build } = this.#find(name);
    this.#paused.add(build);
    this.tell({ kind: "paused", build });
  }

  async chooseChildren(name: string, ...jobs: readonly string[]): Promise<void> {
    this.#children.set(this.#find(name).build, jobs);
  }

  #find(name: string): Running {
    expect(this.#names(), `of which ${name} is one`).toContain(name);
    return [...this.#running.values()].find((build) => build.name === name)!;
  }

  async pass(job: string, change: string): Promise<void> {
    this.#failing.delete(`${job} ${change}`);
  }

  async lose(name: string): Promise<void> {
    this.#tellEnd(this.#find(name).build, { kind: "lost" }, "†");
  }

  async release(...builds: readonly string[]): Promise<void> {
    for (const name of builds) this.#end(this.#find(name));
    if (builds.length > 0) return;
    for (let next = this.#first(); next !== undefined; next = this.#first()) this.#end(next);
  }

  #first(): Running | undefined {
    return [...this.#running.values()].find(({ build }) => !this.#paused.has(build));
  }

  async refuseMerge(name: string): Promise<void> {
    this.forge.refuse(name);
  }

  isRunning(name: string): boolean {
    return this.#names().includes(name);
  }

  /** What has merged, in its order, and what was reported of each change. */
  verdicts(): {
    readonly merged: readonly string[];
    readonly reports: Readonly<Record<string, readonly string[]>>;
  } {
    const names = [...this.#proposals.keys()].sort();
    return {
      merged: this.forge.merged.map(({ change }) => change),
      reports: Object.fromEntries(names.map((name) => [name, this.#of(name).map(({ what }) => what)])),
    };
  }

  #names(): string[] {
    return [...this.#running.values()].map(({ name }) => name).sort();
  }

  async expectRunning(...builds: readonly string[]): Promise<void> {
    expect(this.#names()).toEqual([...builds].sort());
  }

  async expectHistory(...builds: readonly string[]): Promise<void> {
    expect([...this.#history].sort()).toEqual([...builds].sort());
  }

  async expectHeld(name: string, left: number, ...builds: readonly string[]): Promise<void> {
    expect(this.#autoholds?.of(name)).toEqual({ left, held: [...builds].sort() });
  }

  async expectLetGo(name: string): Promise<void> {
    this.#autoholds?.pass();
    expect(this.#autoholds?.of(name)).toBeUndefined();
  }

  async expectRun(...builds: readonly string[]): Promise<void> {
    expect([...this.#run].sort()).toEqual([...builds].sort());
  }

  async expectProviders(name: string, ...providers: readonly string[]): Promise<void> {
    const given = this.#providers.get(this.#find(name).build)!;
    expect(given.map((build) => this.#named.get(build)).sort()).toEqual([...providers].sort());
  }

  #of(name: string): Effect<"report">[] {
    return this.#reports.filter(({ subject, what, pipeline, isDisabled = false }) => {
      if (subject.id !== name || isDisabled || what === "dequeue") return false;
      return pipeline === "merge-check" ? what === "merge-conflict" : what !== "start" || pipeline === "gate";
    });
  }

  async expectReports(name: string, ...reports: readonly ReportName[]): Promise<void> {
    expect(this.#of(name).map(({ what }) => what)).toEqual(reports);
  }

  /** Where they go is nothing to the core, which tells each once. */
  async expectReportsElsewhere(name: string, ...reports: readonly ReportName[]): Promise<void> {
    const untold = this.core.snapshot().reports.filter(({ subject }) => subject.id === name);
    expect(untold.map(({ what }) => what)).toEqual(reports);
  }

  async expectReason(name: string, text: string): Promise<void> {
    expect(this.#of(name).at(-1)?.reason).toContain(text);
  }

  async expectComment(name: string, file: string, text: string): Promise<void> {
    const problems = this.#of(name).flatMap((report) => report.problems.filter((one) => one.file === file));
    expect(problems.map(({ message }) => message).join("\n")).toContain(text);
  }

  async expectMerged(...names: readonly string[]): Promise<void> {
    expect(this.forge.merged.map(({ change }) => change)).toEqual(names);
  }

  #pipeline(name: string) {
    return this.core.status().pipelines.find((pipeline) => pipeline.name === name)!;
  }

  async expectWaiting(...names: readonly string[]): Promise<void> {
    const waiting = this.#pipeline("gate").waiting.map(({ change }) => change);
    expect(waiting.sort()).toEqual([...names].sort());
  }

  async expectQueue(pipeline: string, ...names: readonly string[]): Promise<void> {
    const items = this.#pipeline(pipeline).queues.flatMap((queue) => queue.items);
    const shown = items.map(({ live, members }) => {
      const name = members.map((member) => this.#nameOf(member)).join("+");
      return live ? name : `(${name})`;
    });
    expect(shown).toEqual(names);
  }

  async expectWindow(project: string, window: number): Promise<void> {
    const { queue } = this.#setup.projects.find(({ name }) => name === project)!;
    const found = this.core.snapshot().queues.find(({ name }) => name === (queue ?? project));
    expect(found?.window).toBe(window);
  }
}
