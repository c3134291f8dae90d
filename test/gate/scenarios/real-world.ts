import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { BuildView, ChangeView, ExplanationView, StatusView, SubjectView } from "@drover/gate/api";
import { expect } from "vitest";
import type { Clone } from "../../../packages/gate/test/forge/stage.ts";
import { FIRST_COMMIT, numberIn, type RunningGate } from "../running-gate.ts";
import { RealAutoholds } from "./real-autoholds.ts";
import { PIPELINE_MESSAGES, projectFiles, RUN_BEGINS, repositoryName } from "./real-config.ts";
import { takenReports, untakenReports } from "./real-connections.ts";
import { MARKS, type Proposed, type Seen, type SeenBuild } from "./real-seen.ts";
import { isItemSettled } from "./real-settled.ts";
import type { AutoholdSetup, ChangeSetup, JobSetup, ReportName, ScenarioWorld, Setup } from "./world.ts";

/** For whatever has to come true: long, since nothing waits for it to pass. */
const DEADLINE_MS = 60_000;
const LOOK_MS = 30;
const SELDOM_MS = 300;
const HOUR_MS = 3_600_000;

/** A gate that runs, used as people use it: git pushes, HTTP tells and asks, builds look at what they are given. */
export class RealWorld implements ScenarioWorld {
  readonly #running: RunningGate;
  readonly #setup: Setup;
  /** Goes before the names of its projects and jobs. */
  readonly #prefix: string;
  readonly #clones = new Map<string, Clone>();
  /** Jobs and queues that projects have brought along. */
  readonly #defined = new Map<string, string>();
  /** Besides `main`. */
  readonly #branches = new Set<string>();
  readonly #changes = new Map<string, Proposed>();
  readonly #failing = new Set<string>();
  /** Builds that have said that they wait. */
  readonly #waitingBuilds = new Set<string>();
  /** Builds that have asked to be paused. */
  readonly #paused = new Set<string>();
  /** Branches that cannot be moved, until a change has been told so. */
  readonly #locks = new Map<string, string>();
  readonly #autoholds: RealAutoholds;
  readonly #shares: boolean;

  /**
   * @param running Its pipelines are as the scenario wants them.
   * @param prefix Of the scenario's own projects.
   * @param shares Whether builds of equal content are one execution there.
   */
  constructor(running: RunningGate, setup: Setup, prefix: string, shares = false) {
    this.#shares = shares;
    this.#running = running;
    this.#setup = setup;
    this.#prefix = prefix;
    this.#autoholds = new RealAutoholds(running, prefix);
  }

  /** A project comes to the gate when it is needed first. */
  async #cloneOf(name: string): Promise<Clone> {
    const known = this.#clones.get(name);
    if (known !== undefined) return known;
    const project = repositoryName(this.#prefix, name);
    const { jobs } = this.#setup.projects.find((one) => one.name === name)!;
    const files = this.#filesOf(name, jobs);
    const clone = await this.#running.repository(project, "alice", files);
    await this.#running.post("/projects", "root", { name: project, importFrom: clone.folder });
    this.#clones.set(name, clone);
    return clone;
  }

  async create(name: string, change: ChangeSetup): Promise<void> {
    const { project, branch = "main", files = [`file-${name}`], dependsOn = [] } = change;
    const setup = { ...change, project, branch, files, dependsOn };
    await this.#propose(name, setup, `I${Buffer.from(`${this.#prefix}/${name}`).toString("hex")}`, 1);
  }

  async revise(name: string, change: Partial<ChangeSetup> = {}): Promise<void> {
    const { setup, changeId, revision } = this.#changeOf(name);
    await this.#propose(name, { ...setup, ...change }, changeId, revision + 1);
  }

  async #propose(name: string, setup: Proposed["setup"], changeId: string, revision: number): Promise<void> {
    const { project, branch, files, config, parent, dependsOn } = setup;
    const clone = await this.#cloneOf(project);
    const place = `${project} ${branch}`;
    if (branch !== "main" && !this.#branches.has(place)) {
      const remote = this.#running.remote(repositoryName(this.#prefix, project), "root");
      await clone.ok("push", "--quiet", remote, `main:refs/heads/${branch}`);
      this.#branches.add(place);
    }
    // The gate puts it on top of whatever the branch is at.
    const onto = parent === undefined ? "main" : this.#changeOf(parent).commit;
    await clone.ok("checkout", "--quiet", "--detach", onto);
    const needs = dependsOn.map((needed) => {
      const { number, setup: of } = this.#changeOf(needed);
      return `Depends-On: gate:${repositoryName(this.#prefix, of.project)}/${number}\n`;
    });
    const message = `${name} ${revision}\n\n${needs.join("")}Change-Id: ${changeId}\n`;
    const configured = config === undefined ? {} : this.#filesOf(project, config);
    const written = Object.fromEntries(files.map((file) => [file, `${name} ${revision}\n`]));
    const commit = await clone.commit(message, { ...written, ...configured });
    const pushed = await clone.push(`refs/for/${branch}`);
    expect(pushed.code, pushed.text).toBe(0);
    const number = numberIn(pushed.text);
    this.#changes.set(name, { number, setup, changeId, revision, commit });
  }

  #filesOf(project: string, jobs: readonly JobSetup[]): Readonly<Record<string, string>> {
    const setup = this.#setup.projects.find(({ name }) => name === project)!;
    return projectFiles({ ...setup, jobs }, this.#setup, this.#prefix, this.#defined);
  }

  async approve(name: string): Promise<void> {
    await this.#act(name, "approve", "bob");
  }

  async unapprove(name: string): Promise<void> {
    await this.#act(name, "unapprove", "bob");
  }

  async abandon(name: string): Promise<void> {
    await this.#act(name, "abandon", "alice");
  }

  async dequeue(name: string, pipeline: string): Promise<void> {
    await this.#running.post("/dequeue", "root", { change: this.#changeOf(name).number, pipeline });
  }

  async promote(pipeline: string, ...names: readonly string[]): Promise<void> {
    const changes = names.map((name) => this.#changeOf(name).number);
    await this.#running.post("/promote", "root", { pipeline, changes });
  }

  async autohold(name: string, wish: AutoholdSetup): Promise<void> {
    await this.#cloneOf(wish.project);
    const change = wish.change === undefined ? undefined : this.#changeOf(wish.change).number;
    await this.#autoholds.ask(name, wish, change);
  }

  /** It does so each second here. */
  async strike(): Promise<void> {
    for (const { name, more } of this.#setup.projects)
      if (more?.nightly !== undefined) await this.#cloneOf(name);
    await this.#until("the clock has struck", ({ items }) =>
      items.some(({ pipeline }) => pipeline === "nightly"),
    );
  }

  async reconfigure(): Promise<void> {
    await this.#running.post("/reconfigure", "root");
  }

  async #act(name: string, verb: string, user: string): Promise<void> {
    await this.#running.post(`/changes/${this.#changeOf(name).number}/${verb}`, user);
  }

  async fail(job: string, change: string): Promise<void> {
    this.#failing.add(`${job} ${change}`);
  }

  async pass(job: string, change: string): Promise<void> {
    this.#failing.delete(`${job} ${change}`);
  }

  /** Git refuses to move the branch while somebody holds its lock. */
  async refuseMerge(name: string): Promise<void> {
    const { project, branch } = this.#changeOf(name).setup;
    const gitDir = this.#running.gate.forge.gitDir(repositoryName(this.#prefix, project));
    const lock = join(gitDir, "refs", "heads", `${branch}.lock`);
    writeFileSync(lock, "");
    // One that is old would be taken for a left-over.
    utimesSync(lock, new Date(), new Date(Date.now() + HOUR_MS));
    this.#locks.set(name, lock);
  }

  async failEarly(name: string): Promise<void> {
    const build = await this.#waitingBuild(name);
    await this.#tell(build.view.id, "early");
    await this.#until(`${name} is known to fail`, ({ items }) =>
      items.some(({ jobs }) => jobs.some((job) => job.build === build.view.id && job.isFailing)),
    );
  }

  async pauseBuild(name: string): Promise<void> {
    const build = await this.#waitingBuild(name);
    this.#paused.add(build.view.id);
    await this.#tell(build.view.id, "pause");
    await this.#until(`${name} is paused, or over`, ({ items, builds }) => {
      const isPaused = items.some(({ jobs }) =>
        jobs.some((job) => job.build === build.view.id && job.state === "paused"),
      );
      return isPaused || builds.some(({ view }) => view.id === build.view.id && view.result !== null);
    });
  }

  async chooseChildren(name: string, ...jobs: readonly string[]): Promise<void> {
    const build = await this.#waitingBuild(name);
    const names = jobs.map((job) => `${this.#prefix}-${job}`);
    await this.#tell(build.view.id, `children${JSON.stringify(names)}`);
  }

  async #tell(build: string, word: string): Promise<void> {
    if (this.#shares) await this.#running.tellExecution(build, word);
    else await this.#running.tellBuild(build, word);
  }

  /** Resolves when nothing is under way but builds that wait. */
  async settle(): Promise<void> {
    await this.#until("nothing is under way", ({ isSettled }) => isSettled);
  }

  /** Once nothing is under way. */
  async isRunning(name: string): Promise<boolean> {
    const { builds } = await this.#until("nothing is under way", ({ isSettled }) => isSettled);
    return builds.some((build) => build.name === name && build.isWaiting && build.view.result === null);
  }

  /** Builds so far, and those that were given what another one had. */
  async counts(): Promise<{ readonly builds: number; readonly shared: number }> {
    const { builds } = await this.#see();
    return { builds: builds.length, shared: builds.filter(({ view }) => view.shared != null).length };
  }

  async lose(name: string): Promise<void> {
    const { view } = await this.#waitingBuild(name);
    await this.#running.loseBuild(view.id);
    await this.#until(`${name} is lost`, ({ builds }) =>
      builds.some(({ view: { id, result } }) => id === view.id && result !== null),
    );
  }

  async #waitingBuild(name: string): Promise<SeenBuild> {
    const found = (seen: Seen) =>
      seen.builds.find((build) => build.name === name && build.isWaiting && build.view.result === null);
    return found(await this.#until(`${name} runs`, (seen) => found(seen) !== undefined))!;
  }

  async release(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const build = await this.#waitingBuild(name);
      await this.#end(build);
      await this.#until(`${name} ends`, ({ builds }) =>
        builds.some(({ view: { id, result } }) => id === build.view.id && result !== null),
      );
    }
    if (names.length > 0) return;
    const ended = new Set<string>();
    await this.#until("all builds have run", async (seen) => {
      for (const build of seen.builds) {
        const { id, result } = build.view;
        const of = this.#shares ? (this.#running.gate.builds.get(Number(id))?.execution ?? id) : id;
        if (!build.isWaiting || result !== null || ended.has(of) || this.#paused.has(id)) continue;
        ended.add(of);
        await this.#end(build);
      }
      // The clock strikes again and again.
      return seen.items.every(({ pipeline }) => pipeline === "nightly");
    });
  }

  async #end({ view, job, change }: SeenBuild): Promise<void> {
    await this.#tell(view.id, this.#failing.has(`${job} ${change}`) ? "1" : "0");
  }

  async expectRunning(...names: readonly string[]): Promise<void> {
    await this.#expect("builds that run", [...names].sort(), ({ builds }) =>
      builds
        .filter(({ view }) => view.result === null)
        .map(({ name }) => name)
        .sort(),
    );
  }

  async expectHistory(...names: readonly string[]): Promise<void> {
    await this.#expect("builds that have ended", [...names].sort(), ({ builds }) =>
      builds
        .filter(({ view }) => view.result !== null)
        .map(({ name, view }) => `${name}${MARKS[view.result!] ?? ` ${view.result} ${view.detail}`}`)
        .sort(),
    );
  }

  async expectHeld(name: string, left: number, ...builds: readonly string[]): Promise<void> {
    await this.#eventually(`what is held for ${name}`, [left, [...builds].sort()], async () => {
      const { count, held } = (await this.#autoholds.find(name)) ?? { count: 0, held: [] };
      const { builds: seen } = await this.#see();
      const names = held.map(({ build }) => seen.find(({ view }) => view.id === build)?.name ?? build);
      return [count, names.sort()];
    });
  }

  async expectLetGo(name: string): Promise<void> {
    await this.#eventually(`${name} is over`, undefined, () => this.#autoholds.find(name));
  }

  async expectRun(...names: readonly string[]): Promise<void> {
    const { builds } = await this.#until("nothing is under way", ({ isSettled }) => isSettled);
    const run: string[] = [];
    for (const { name, view } of builds) {
      const { body } = await this.#running.ask<string>("GET", `/builds/${view.id}/log`);
      if (RUN_BEGINS.test(body)) run.push(name);
    }
    expect(run.sort()).toEqual([...names].sort());
  }

  async expectQueue(pipeline: string, ...names: readonly string[]): Promise<void> {
    await this.#expect(`what is in ${pipeline}`, names, ({ items }) =>
      items
        .filter((item) => item.pipeline === pipeline)
        .map(({ live, members }) => {
          const name = members.map((member) => this.#subjectName(member)).join("+");
          return live ? name : `(${name})`;
        }),
    );
  }

  async expectWaiting(...names: readonly string[]): Promise<void> {
    await this.#expect("what waits", [...names].sort(), ({ waiting }) => [...waiting].sort());
  }

  async expectWindow(project: string, window: number): Promise<void> {
    const { queue } = this.#setup.projects.find(({ name }) => name === project)!;
    const name = queue === undefined ? repositoryName(this.#prefix, project) : `${this.#prefix}-${queue}`;
    // One in which nothing is has no place in the status.
    const windowNow = () =>
      this.#running.gate.scheduler.core.snapshot().queues.find((one) => one.name === name)?.window;
    await this.#expect(`window of ${name}`, window, windowNow);
  }

  async expectProviders(name: string, ...providers: readonly string[]): Promise<void> {
    const { view } = await this.#waitingBuild(name);
    const told = this.#running.gate.builds.request(Number(view.id))?.zuul?.artifacts as
      | readonly { readonly job: string; readonly change?: string }[]
      | undefined;
    const found = (told ?? []).flatMap(({ job, change }) =>
      change === undefined
        ? []
        : [`${job.slice(this.#prefix.length + 1)} of ${this.#nameOf(Number(change))}`],
    );
    expect([...new Set(found)].sort()).toEqual([...providers].sort());
  }

  async expectReports(name: string, ...reports: readonly ReportName[]): Promise<void> {
    await this.#eventually(`reports of ${name}`, reports, async () =>
      (await this.#reportsOf(name)).map(({ text }) => text.split("\n", 1)[0]),
    );
  }

  async expectReportsElsewhere(name: string, ...reports: readonly ReportName[]): Promise<void> {
    const { number } = this.#changeOf(name);
    await this.#eventually(`reports of ${name} elsewhere`, [reports, reports], async () => [
      takenReports(this.#running, number),
      await untakenReports(this.#running, number),
    ]);
  }

  async expectReason(name: string, text: string): Promise<void> {
    const reports = await this.#reportsOf(name);
    const last = (reports.at(-1)?.text ?? "").replace(/\bchange (\d+)\b/g, (_id, number) =>
      this.#nameOf(Number(number)),
    );
    expect(last).toContain(text);
  }

  async expectComment(name: string, file: string, text: string): Promise<void> {
    const { comments } = await this.#look(name);
    const found = comments.filter((one) => one.author === "gate" && one.file === file);
    const prefix = `${this.#prefix}-`;
    expect(found.map((one) => one.text.replaceAll(prefix, "")).join("\n")).toContain(text);
    expect(found.every(({ line }) => line !== null)).toBe(true);
  }

  async expectMerged(...names: readonly string[]): Promise<void> {
    await this.#expectMerged(names, () => "");
  }

  /** As `expectMerged`, but what is not of one queue may have merged in any order. */
  async expectMergedInQueues(...names: readonly string[]): Promise<void> {
    const queues = new Map(this.#setup.projects.map(({ name, queue }) => [name, queue ?? name]));
    await this.#expectMerged(names, (name) => queues.get(this.#changeOf(name).setup.project)!);
  }

  /** Also looks at the branches themselves: each has the commits of its changes, and no others. */
  async #expectMerged(names: readonly string[], queueOf: (name: string) => string): Promise<void> {
    const changes = async () => {
      const list = await Promise.all([...this.#changes.keys()].map((name) => this.#look(name)));
      return list.filter(({ state }) => state === "merged");
    };
    await this.#eventually("changes that have merged", [...names].sort(), async () =>
      (await changes()).map(({ subject }) => this.#nameOf(subject.number)).sort(),
    );
    const { gate } = this.#running;
    const order = (await changes()).map(({ subject }) => {
      const row = gate.forge.change(subject.number!)!;
      return { name: this.#nameOf(subject.number), atMs: row.updatedMs };
    });
    order.sort((a, b) => a.atMs - b.atMs || names.indexOf(a.name) - names.indexOf(b.name));
    for (const queue of new Set(names.map(queueOf))) {
      const isOfIt = (name: string): boolean => queueOf(name) === queue;
      expect(order.map(({ name }) => name).filter(isOfIt)).toEqual(names.filter(isOfIt));
    }
    for (const [project, clone] of this.#clones) {
      await clone.ok("fetch", "--quiet", "--prune", "origin");
      const branches = new Set([...this.#changes.values()].map(({ setup }) => setup.branch));
      for (const branch of branches) {
        const merged = names
          .map((name) => ({ name, ...this.#changeOf(name) }))
          .filter(({ setup }) => setup.project === project && setup.branch === branch);
        if (merged.length === 0) continue;
        const log = await clone.ok("log", "--no-merges", "--format=%s", `origin/${branch}`);
        const subjects = log.split("\n").filter((subject) => subject !== FIRST_COMMIT);
        expect(subjects.sort()).toEqual(merged.map(({ name, revision }) => `${name} ${revision}`).sort());
      }
    }
  }

  #changeOf(name: string): Proposed {
    const found = this.#changes.get(name);
    if (found === undefined) throw new Error(`there is no change ${name} yet`);
    return found;
  }

  #nameOf(number: number | null): string {
    for (const [name, change] of this.#changes) if (change.number === number) return name;
    return `change ${number}`;
  }

  /** In the notation of scenarios. */
  #subjectName({ number, branch, commit }: SubjectView): string {
    if (number !== null) return this.#nameOf(number);
    const merged = [...this.#changes].find(
      ([, change]) => this.#running.gate.forge.landed(change.number)?.commit === commit,
    );
    return merged === undefined ? branch! : `${branch}@${merged[0]}`;
  }

  #look(name: string): Promise<ChangeView> {
    return this.#running.get<ChangeView>(`/changes/${this.#changeOf(name).number}`);
  }

  async #reportsOf(name: string): Promise<ChangeView["comments"]> {
    const { comments } = await this.#look(name);
    const reports = comments.filter(({ author, file }) => author === "gate" && file === null);
    for (const { text } of reports) {
      const what = text.split("\n", 1)[0]!;
      expect(Object.values(PIPELINE_MESSAGES)).toContain(what);
    }
    return reports;
  }

  async #see(): Promise<Seen> {
    await this.#unlock();
    const mine = ({ subject }: { readonly subject: { readonly project: string } }) =>
      subject.project.startsWith(`${this.#prefix}/`);
    // Builds first: what has ended meanwhile is only the less settled.
    const lists = await Promise.all(
      [...this.#clones.keys()].map((name) => {
        const project = encodeURIComponent(repositoryName(this.#prefix, name));
        return this.#running.get<BuildView[]>(`/builds?limit=100&project=${project}`);
      }),
    );
    const { pipelines } = await this.#running.get<StatusView>("/status");
    const items = pipelines.flatMap(({ name, queues }) =>
      queues.flatMap((queue) => queue.items.filter(mine).map((item) => ({ ...item, pipeline: name }))),
    );
    const waiting = pipelines.flatMap((pipeline) =>
      pipeline.waiting.filter(mine).map(({ subject }) => this.#nameOf(subject.number)),
    );
    const builds = await Promise.all(lists.flat().map((view) => this.#seeBuild(view)));
    const known = new Map(builds.map((build) => [build.view.id, build]));
    const isSettled = items.every((item) =>
      isItemSettled(item, {
        areSlotsFew: this.#setup.slots !== undefined,
        isWaiting: (build) => known.get(build)?.isWaiting === true,
      }),
    );
    return { items, waiting, builds, isSettled };
  }

  async #seeBuild(view: BuildView): Promise<SeenBuild> {
    const { id, chain, subject } = view;
    const job = view.job.slice(this.#prefix.length + 1);
    const change = this.#subjectName(subject);
    const names = chain.length === 0 ? [change] : chain.map(({ number }) => this.#nameOf(number));
    if (!this.#waitingBuilds.has(id) && (view.result === null || view.result !== "CANCELED")) {
      const { body } = await this.#running.ask<string>("GET", `/builds/${id}/log`);
      if (/^waits$/m.test(body)) {
        this.#waitingBuilds.add(id);
        if (this.#shares) await this.#running.openExecution(id);
        await this.#compare(view, body);
      }
    }
    const isWaiting = this.#waitingBuilds.has(id);
    return { view, job, change, name: `${job}{${names.join(",")}}`, isWaiting };
  }

  /** A build was given what it is said to be a test of, on branches that hold nothing but what has merged. */
  async #compare({ chain, job, subject }: BuildView, log: string): Promise<void> {
    const placeOf = (name: string, revision: number) => {
      const { project, branch } = this.#changeOf(name).setup;
      return `${repositoryName(this.#prefix, project)} ${branch} ${name} ${revision}`;
    };
    // One that shares has only its own repository, on its own branch.
    const own = `${subject.project} ${subject.branch} `;
    const tested = chain
      .map(({ number, revision }) => placeOf(this.#nameOf(number), revision))
      .filter((place) => !this.#shares || place.startsWith(own));
    const held = [...log.matchAll(/^holds (.*)$/gm)]
      .map(([, text]) => text!)
      .filter((text) => !text.endsWith(` ${FIRST_COMMIT}`));
    const below: string[] = [];
    for (const name of this.#changes.keys()) {
      const { state, revisions } = await this.#look(name);
      const place = placeOf(name, revisions.at(-1)!.revision);
      if (state === "merged" && held.includes(place) && !tested.includes(place)) below.push(place);
    }
    expect(held.sort(), `what ${job} was given`).toEqual([...tested, ...below].sort());
  }

  /** A change that the forge refused has been told so: the next one may merge. */
  async #unlock(): Promise<void> {
    for (const [name, lock] of this.#locks) {
      const reports = await this.#reportsOf(name);
      if (!reports.some(({ text }) => text.startsWith(PIPELINE_MESSAGES.failure))) continue;
      rmSync(lock);
      this.#locks.delete(name);
    }
  }

  /** Waits until what is seen is this, with nothing under way that could change it. */
  async #expect<T>(what: string, wanted: T, of: (seen: Seen) => unknown): Promise<void> {
    let last: Seen | undefined;
    const isSo = (seen: Seen): boolean => {
      last = seen;
      return seen.isSettled && isDeepStrictEqual(of(seen), wanted);
    };
    await this.#until(what, isSo).catch((error: Error) => {
      if (last === undefined) throw error;
      expect(of(last), error.message).toEqual(wanted);
      throw error;
    });
  }

  async #until(what: string, holds: (seen: Seen) => boolean | Promise<boolean>): Promise<Seen> {
    let giveUpAt = Date.now() + DEADLINE_MS;
    let builds = 0;
    for (;;) {
      const seen = await this.#see();
      if (await holds(seen)) return seen;
      const ended = seen.builds.filter(({ view }) => view.result !== null).length;
      if (ended !== builds) giveUpAt = Date.now() + DEADLINE_MS;
      builds = ended;
      if (Date.now() > giveUpAt) {
        const jobs = seen.items.map(({ subject, reasons, jobs }) => [subject.title, reasons, jobs]);
        const told = await Promise.all([...this.#changes.keys()].map((name) => this.#explain(name)));
        throw new Error(`waited in vain until ${what}: ${JSON.stringify([jobs, told], null, 1)}`);
      }
      await this.#change(seen);
    }
  }

  async #explain(name: string): Promise<object> {
    const { now, decisions } = await this.#running.get<ExplanationView>(
      `/explain/${this.#changeOf(name).number}`,
    );
    return { name, now, decisions: decisions.map(({ text }) => text) };
  }

  /** Resolves when there may be something else to see. What a build writes is not told. */
  async #change({ builds }: Seen): Promise<void> {
    const isUnheard = builds.some(({ view, isWaiting }) => view.result === null && !isWaiting);
    let unwatch = (): void => {};
    const told = new Promise<void>((resolve) => {
      unwatch = this.#running.gate.watch(resolve);
    });
    await Promise.race([told, after(isUnheard ? LOOK_MS : SELDOM_MS)]);
    unwatch();
  }

  async #eventually<T>(what: string, wanted: T, of: () => Promise<unknown>): Promise<void> {
    let found: unknown;
    const isSo = async ({ isSettled }: Seen): Promise<boolean> => {
      found = await of();
      return isSettled && isDeepStrictEqual(found, wanted);
    };
    await this.#until(what, isSo).catch((error: Error) => {
      expect(found, error.message).toEqual(wanted);
      throw error;
    });
  }
}
