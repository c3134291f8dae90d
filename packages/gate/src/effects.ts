import type { Autoholds } from "./autohold/index.ts";
import type {
  BuildBus,
  BuildEnd,
  BuildFollower,
  BuildNews,
  MergerClient,
  RunningBuild,
} from "./bus/index.ts";
import { type FrozenJobDefinition, isConfigPath } from "./config/index.ts";
import type {
  BuildId,
  BuildsetId,
  ChainLink,
  GateEffect,
  GateEvent,
  MergeResult,
  RunResult,
  Subject,
} from "./core/index.ts";
import type { BuildRequest } from "./executor/index.ts";
import type { Landing } from "./forge/index.ts";
import type { MergeRequest, Merger } from "./merger/index.ts";
import { BuildSlots, type Shareable } from "./nodes/build-slots.ts";
import type { LocalSlots } from "./nodes/local-slots.ts";
import {
  HeldExecutions,
  type ReuseLedger,
  type SharedPlan,
  type Sharing,
  SharingPlanner,
} from "./reuse/index.ts";
import { BuildImpossible, buildRequest } from "./scheduler/build-request.ts";
import type { FrozenBuildset } from "./scheduler/build-table.ts";
import type { RepositoryConfig } from "./scheduler/config-source.ts";
import { freezeBuildset } from "./scheduler/freezing.ts";
import { providersOnRecord } from "./scheduler/providers.ts";
import { type ReportParts, writeReport } from "./scheduler/report-writing.ts";
import type { ProjectKeys } from "./secrets/keys.ts";

/** How long results answer at the job server at most. */
const MAX_LINGER_MS = 3_600_000;

export interface EffectParts extends ReportParts {
  /** Of this process, for what is kept. */
  readonly merger: Merger;
  /** Wherever they are. */
  readonly mergers: MergerClient;
  readonly source: RepositoryConfig;
  readonly slots: LocalSlots;
  readonly bus: BuildBus;
  readonly ledger: ReuseLedger;
  readonly sharing: SharingPlanner;
  readonly autoholds: Autoholds;
  /** Where builds run. */
  readonly zone: string;
  readonly keys: ProjectKeys;
  /** Something was written to the outbox, and is on the disk. */
  readonly wakeCourier: () => void;
  readonly tell: (event: GateEvent) => void;
  /** Changes the database and tells what that means, both or neither. */
  readonly record: (change: () => void, events?: readonly GateEvent[]) => void;
  /** Loads the configuration of projects again, and tells the core. What is wrong with that is logged. */
  readonly reconfigure: (projects: readonly string[]) => Promise<void>;
  /** Resolves when no configuration is being read that was asked for before. */
  readonly configRead: () => Promise<void>;
}

/** Does what the core asks for, and tells it what came of it. */
export class Effects {
  readonly #parts: EffectParts;
  readonly #running = new Map<BuildId, RunningBuild>();
  /** Builds of which was told that they are paused. */
  readonly #paused = new Set<BuildId>();
  /** Builds whose content is looked at before they start, unless they were taken back meanwhile. */
  readonly #preparing = new Set<BuildId>();
  readonly #held = new HeldExecutions();
  readonly #slots: BuildSlots;
  /** Version of the layout that each buildset is frozen under last. */
  readonly #freezing = new Map<BuildsetId, number>();
  /** Of changes to the configuration that are being merged, until what they change is read. */
  readonly #landingConfig = new Set<Promise<void>>();
  /** Of what is under way besides builds. */
  readonly #underWay = new Set<Promise<void>>();
  #isOver = false;
  readonly #ending = new AbortController();

  constructor(parts: EffectParts) {
    this.#parts = parts;
    const { slots, tell } = parts;
    this.#slots = new BuildSlots({
      slots,
      granted: (build, granted) => tell({ kind: "nodes", build, granted }),
      contentOf: (effect) => this.#contentOf(effect),
      isThere: (content) => this.#find(content).how !== null,
    });
  }

  act(effect: GateEffect): void {
    if (this.#isOver) return;
    switch (effect.kind) {
      case "merge":
        this.#do(effect, () => this.#merge(effect.buildset, effect.chain));
        break;
      case "freeze":
        this.#do(effect, () => this.#freeze(effect));
        break;
      case "requestNodes":
        this.#slots.request(effect, !this.#running.has(effect.build));
        break;
      case "releaseNodes":
        this.#slots.release(effect.build);
        break;
      case "startBuild":
        this.#do(effect, async () => this.#start(effect));
        break;
      case "resumeBuild":
        this.#resume(effect.build);
        break;
      case "cancelBuild":
        this.#cancel(effect.build);
        break;
      case "findProviders":
        this.#do(effect, async () => this.#findProviders(effect));
        break;
      case "report":
        this.#do(effect, async () => this.#report(effect));
        break;
      case "land":
        this.#do(effect, () => this.#land(effect));
        break;
    }
  }

  /** Starts nothing more. Builds go on; they are joined again by whoever starts this gate again. */
  async close(): Promise<void> {
    this.#isOver = true;
    // The job server may be away, and what it was to answer is asked for again by whoever starts this gate again.
    this.#ending.abort();
    this.#slots.close();
    await Promise.all(this.#underWay);
  }

  #do(effect: GateEffect, act: () => Promise<void>): void {
    const done = act().catch((error: Error) => {
      this.#parts.log.error(
        { code: "GATE_EFFECT_FAILED", effect: effect.kind, error },
        "the gate could not do what it decided",
      );
      this.#answerFailure(effect, error);
    });
    this.#underWay.add(done);
    void done.finally(() => this.#underWay.delete(done));
  }

  /** Whatever is asked for is answered: a queue must not wait for a fault. */
  #answerFailure(effect: GateEffect, { message }: Error): void {
    const { tell } = this.#parts;
    if (effect.kind === "merge")
      tell({ kind: "merged", buildset: effect.buildset, result: { kind: "error", detail: message } });
    else if (effect.kind === "freeze") {
      const { project, branch } = effect.subject;
      const problems = [{ project, branch: branch ?? "", file: "", line: null, message }];
      tell({
        kind: "frozen",
        buildset: effect.buildset,
        layout: effect.layout,
        result: { kind: "problems", problems },
      });
    } else if (effect.kind === "startBuild") {
      this.#end(effect.build, { result: { kind: "final", result: "ERROR" }, outcome: null, detail: message });
    } else if (effect.kind === "findProviders") {
      // What cannot be looked up is not there.
      tell({ kind: "providersFound", item: effect.item, lookup: effect.lookup, providers: [] });
    } else if (effect.kind === "report") tell({ kind: "reported", report: effect.report });
    else if (effect.kind === "land") tell({ kind: "landed", buildset: effect.buildset, refused: message });
  }

  async #merge(buildset: number, chain: readonly ChainLink[]): Promise<void> {
    const { merger, mergers, tell } = this.#parts;
    const { signal } = this.#ending;
    const answer = await mergers.merge(this.#mergeRequest(chain), signal).catch((error: Error) => {
      if (!signal.aborted) throw error;
    });
    if (answer === undefined) return;
    let result: MergeResult;
    if (answer.kind === "merged") {
      const commits = chain.map(({ project }, at) => ({ project, commit: answer.steps[at]!.commit }));
      await merger.hold(`bs-${buildset}`, commits);
      result = { kind: "merged", steps: answer.steps };
    } else if (answer.kind === "conflict") {
      result = { kind: "conflict", link: answer.link, detail: answer.detail };
    } else result = answer;
    tell({ kind: "merged", buildset, result });
  }

  #mergeRequest(chain: readonly ChainLink[]): MergeRequest {
    const { loader, forge } = this.#parts;
    const layout = loader.current!.layout;
    const [only] = chain;
    if (chain.length === 1 && only !== undefined) {
      const { project, branch, change, revision } = only;
      const number = forge.numberOf(change);
      const isCurrent = number !== undefined && forge.change(number)?.revision === revision;
      const landed = isCurrent ? forge.landed(number) : null;
      // What is done after the merge is about what merged, and not about it once more.
      if (landed !== null) {
        const { base, commit } = landed;
        return {
          steps: [{ project, branch, commit, mode: "merge" }],
          bases: [{ project, branch, commit: base }],
        };
      }
    }
    return {
      steps: chain.map(({ change, revision, project, branch, commit }) => {
        const number = forge.numberOf(change);
        const row =
          number === undefined
            ? undefined
            : forge.change(number)?.revisions.find((one) => one.revision === revision);
        const mode = layout.mergeModeOf(project);
        return { project, branch, commit, mode, ...(row === undefined ? {} : { since: row.base }) };
      }),
    };
  }

  async #freeze(effect: Extract<GateEffect, { kind: "freeze" }>): Promise<void> {
    const { forge, loader, source, merger, slots, builds, nowMs, tell } = this.#parts;
    const { buildset, pipeline, layout } = effect;
    this.#freezing.set(buildset, layout);
    // Nothing is frozen by configuration of which it is known that it is not what is merged.
    await Promise.allSettled([...this.#landingConfig, this.#parts.configRead()]);
    const frozen = await freezeBuildset({ forge, loader, source, merger, maxNodes: slots.total }, effect);
    // Asked again meanwhile, for another configuration: this answer would only overwrite that one.
    if (this.#freezing.get(buildset) !== layout) return;
    this.#freezing.delete(buildset);
    if (frozen.kind === "graph") builds.freeze(buildset, pipeline, frozen.buildset, nowMs());
    const result = frozen.kind === "graph" ? { kind: "graph" as const, graph: frozen.graph } : frozen;
    tell({ kind: "frozen", buildset, layout, result });
  }

  async #start(effect: Extract<GateEffect, { kind: "startBuild" }>): Promise<void> {
    const { builds, record, nowMs, slots, ledger } = this.#parts;
    const { build, buildset, item, pipeline, subject, job, attempt } = effect;
    if (this.#running.has(build) || this.#preparing.has(build)) return;
    const frozen = builds.frozen(buildset);
    if (frozen === undefined)
      throw new Error(`nothing is on record of what was frozen for buildset ${buildset}`);
    const definition = frozen.jobs[job];
    if (effect.isPaused !== true) slots.adopt(build, definition?.nodes.length ?? 1);
    let request = builds.request(build);
    if (request === undefined) {
      try {
        request = this.#request(effect, frozen);
      } catch (error) {
        if (!(error instanceof BuildImpossible)) throw error;
        const detail = error.message;
        const row = { id: build, buildset, item, pipeline, job, subject, attempt, startedMs: nowMs() };
        // On record, so that its detail can be read.
        record(() => builds.begin({ ...row, voting: definition?.voting ?? true }, null));
        this.#end(build, { result: { kind: "final", result: "ERROR" }, outcome: null, detail });
        return;
      }
      let plan: SharedPlan | undefined;
      let isWithdrawn = false;
      if (this.#mayShare(definition, subject) || slots.isExcused(build)) {
        this.#preparing.add(build);
        plan = await this.#plan(definition, subject, request);
        await this.#slots.ready(build, plan);
        isWithdrawn = !this.#preparing.delete(build);
        request = plan?.request ?? request;
      }
      const name = definition?.name ?? job;
      const startedMs = nowMs();
      const row = { id: build, buildset, item, pipeline, job: name, subject, attempt, startedMs };
      const voting = definition?.voting ?? true;
      record(() => {
        builds.begin({ ...row, voting }, request!);
        if (isWithdrawn) builds.end(build, { result: "CANCELED", detail: null, outcome: null }, startedMs);
        else if (plan !== undefined)
          ledger.begin(build, plan.key, plan.maxAgeMs, startedMs, (unique) => this.#held.buildOf(unique));
      });
      if (isWithdrawn || this.#isOver) return;
    }
    this.#submit(effect, request, (definition?.maxAgeSec ?? 0) * 1_000);
  }

  /** @throws BuildImpossible */
  #request(
    wanted: Extract<GateEffect, { kind: "startBuild" | "requestNodes" }>,
    frozen: FrozenBuildset,
  ): BuildRequest {
    const { loader, forge, facts, gateId, keys, builds } = this.#parts;
    const { build, pipeline, buildset, job } = wanted;
    const { layout } = loader.current!;
    return buildRequest(wanted, frozen, {
      tenant: loader.tenant.name,
      buildName: `${gateId}-${build}`,
      gitDir: (project) => forge.gitDir(project),
      facts,
      postReview: layout.pipelines.find(({ name }) => name === pipeline)?.postReview ?? false,
      keys,
      parents: builds.parentsOf(buildset, job, frozen),
      providers: (wanted.providers ?? []).flatMap((id) => builds.get(id) ?? []),
    });
  }

  /** What a build that waits for its nodes could share. */
  async #contentOf(effect: Extract<GateEffect, { kind: "requestNodes" }>): Promise<Shareable | undefined> {
    const frozen = this.#parts.builds.frozen(effect.buildset);
    const definition = frozen?.jobs[effect.job];
    if (frozen === undefined || !this.#mayShare(definition, effect.subject)) return undefined;
    try {
      return await this.#plan(definition, effect.subject, this.#request(effect, frozen));
    } catch {
      // It is told of when it begins.
      return undefined;
    }
  }

  #find({ key, maxAgeMs }: Shareable): Sharing {
    const { ledger, nowMs } = this.#parts;
    return ledger.find(key, maxAgeMs, nowMs(), (unique) => this.#held.buildOf(unique));
  }

  #mayShare(
    definition: FrozenJobDefinition | undefined,
    subject: Subject,
  ): definition is FrozenJobDefinition {
    const { forge } = this.#parts;
    const number = forge.numberOf(subject.id);
    const hasMerged = number !== undefined && forge.change(number)?.state === "merged";
    return SharingPlanner.mayShare(definition, subject, hasMerged);
  }

  /** `undefined`: it shares nothing. What cannot be looked at is no reason not to run it. */
  async #plan(
    definition: FrozenJobDefinition | undefined,
    subject: Subject,
    request: BuildRequest,
  ): Promise<SharedPlan | undefined> {
    if (!this.#mayShare(definition, subject)) return undefined;
    try {
      return await this.#parts.sharing.plan(definition, request);
    } catch (error) {
      this.#parts.log.warn(
        { job: definition.name, error },
        "a build runs for itself, as its content could not be read",
      );
      return undefined;
    }
  }

  /** Has a build run, or gives it the result that there is. */
  #submit(
    effect: Extract<GateEffect, { kind: "startBuild" }>,
    request: BuildRequest,
    maxAgeMs: number,
  ): void {
    const { build } = effect;
    const { builds, record, bus, gateId, zone, ledger } = this.#parts;
    const shared = ledger.of(build);
    const known = shared === undefined ? undefined : ledger.ended(shared.unique);
    // Its own execution may have been recorded for another build before this process began.
    if (known !== undefined && (shared?.how === "reused" || known.endedMs >= builds.get(build)!.startedMs)) {
      const { outcome, detail } = known;
      this.#end(build, { result: outcome?.result ?? { kind: "lost" }, outcome, detail });
      return;
    }
    const follower: BuildFollower = {
      execution: (execution) => this.#execution(effect, running, execution),
      news: (news) => this.#news(build, running, news),
    };
    const running: RunningBuild =
      shared === undefined
        ? bus.start(`${gateId}-${build}`, request, zone, follower)
        : bus.start(shared.unique, request, zone, follower, Math.min(maxAgeMs, MAX_LINGER_MS));
    this.#running.set(build, running);
    if (shared !== undefined) {
      this.#slots.share(build, shared.unique);
      if (shared.how === null) this.#slots.begun(shared.key);
    }
    void running.ended.then((end) => {
      this.#slots.letGo(build);
      const isWanted = this.#running.get(build) === running;
      if (isWanted) this.#running.delete(build);
      if (end === undefined || this.#isOver) return;
      if (shared !== undefined) this.#held.release(shared.unique);
      if (isWanted) this.#end(build, end);
      // It ended before anybody came for it: whoever comes now need not run it again.
      else record(() => this.#recordExecution(build, end));
    });
  }

  #execution(
    { build, isPaused }: Extract<GateEffect, { kind: "startBuild" }>,
    running: RunningBuild,
    execution: string,
  ): void {
    const { builds, record } = this.#parts;
    const before = builds.get(build)?.execution ?? null;
    record(() => builds.setExecution(build, execution));
    const wasPaused = isPaused === true || this.#paused.has(build);
    if (!wasPaused || before === execution || this.#running.get(build) !== running) return;
    // It has begun anew, while what depends on it has used the one that is gone.
    this.#running.delete(build);
    running.cancel();
    this.#end(build, { result: { kind: "lost" }, outcome: null, detail: "it was lost while it was paused" });
  }

  #resume(build: BuildId): void {
    this.#paused.delete(build);
    const execution = this.#parts.builds.get(build)?.execution ?? null;
    if (execution !== null) this.#running.get(build)?.resume(execution);
  }

  #news(build: BuildId, running: RunningBuild, { failing, paused }: BuildNews): void {
    if (this.#isOver || this.#running.get(build) !== running) return;
    if (paused !== undefined && !this.#paused.has(build)) {
      const { builds, record } = this.#parts;
      const { childJobs } = paused;
      this.#paused.add(build);
      record(
        () => builds.setReturned(build, paused),
        [{ kind: "paused", build, ...(childJobs === null ? {} : { childJobs }) }],
      );
    }
    if (failing !== undefined) this.#parts.tell({ kind: "failing", build, detail: failing });
  }

  #end(build: BuildId, { result, outcome, detail }: BuildEnd): void {
    this.#paused.delete(build);
    const { builds, record, nowMs, autoholds } = this.#parts;
    const childJobs = outcome?.data.childJobs;
    const ended = { kind: "ended" as const, build, result, ...(childJobs == null ? {} : { childJobs }) };
    record(() => {
      builds.end(build, { result: nameOf(result), detail, outcome }, nowMs());
      this.#recordExecution(build, { result, outcome, detail });
      if (outcome?.held !== undefined) autoholds.keep(builds.get(build)!, outcome);
    }, [ended]);
  }

  #recordExecution(build: BuildId, { result, outcome, detail }: BuildEnd): void {
    const { builds, ledger, nowMs } = this.#parts;
    const row = builds.get(build);
    if (row === undefined) return;
    const { job, subject } = row;
    // What it kept going for the jobs behind it has ended with it, so that nobody else can have it.
    const hasPaused = outcome?.data.pause === true && nameOf(result) === "SUCCESS";
    const end = { result: hasPaused ? "PAUSED" : nameOf(result), detail, outcome };
    ledger.record(build, { project: subject.project, job }, end, nowMs());
  }

  #cancel(build: BuildId): void {
    const { builds, record, nowMs, ledger } = this.#parts;
    const running = this.#running.get(build);
    this.#running.delete(build);
    this.#paused.delete(build);
    this.#preparing.delete(build);
    const shared = running === undefined ? undefined : ledger.of(build);
    if (shared === undefined) running?.cancel();
    else {
      this.#slots.hold(build);
      this.#held.hold(shared.unique, build, () => running!.cancel());
    }
    record(() => builds.end(build, { result: "CANCELED", detail: null, outcome: null }, nowMs()));
  }

  #findProviders(effect: Extract<GateEffect, { kind: "findProviders" }>): void {
    const { item, lookup } = effect;
    const providers = providersOnRecord(this.#parts.builds, effect);
    this.#parts.tell({ kind: "providersFound", item, lookup, providers });
  }

  #report(effect: Extract<GateEffect, { kind: "report" }>): void {
    const { record, wakeCourier } = this.#parts;
    // In one go: a report that was written is not written again.
    record(() => writeReport(effect, this.#parts), [{ kind: "reported", report: effect.report }]);
    wakeCourier();
  }

  async #land({ buildset, steps }: Extract<GateEffect, { kind: "land" }>): Promise<void> {
    const { forge, gateId, tell, loader } = this.#parts;
    const landings: Omit<Landing, "key">[] = [];
    const configured = new Set<string>();
    for (const { link, base, commit } of steps) {
      const { project, branch, change, revision } = link;
      const changeNumber = forge.numberOf(change);
      if (changeNumber === undefined) {
        tell({ kind: "landed", buildset, refused: `${change} is no change of this forge` });
        return;
      }
      landings.push({ project, branch, base, commit, changeNumber, revision });
      const extraPaths = loader.tenant.projects.get(project)?.extraConfigPaths ?? [];
      const files = await forge.paths(changeNumber, revision);
      if (files.some((path) => isConfigPath(path.toString(), extraPaths))) configured.add(project);
    }
    const key = `${gateId}-${buildset}`;
    const [only] = landings;
    const landing = landings.length === 1 ? forge.land({ key, ...only! }) : forge.landTogether(key, landings);
    // What is configured now is so for whoever is next.
    if (configured.size > 0) await this.#readAfter(landing, [...configured]);
    const { refused } = await landing;
    if (refused === null) {
      tell({ kind: "landed", buildset, refused });
      return;
    }
    tell({ kind: "landed", buildset, refused, moved: await this.#hasMoved(landings) });
  }

  /** Whether a branch is not where the first of these that lands there begins. */
  async #hasMoved(landings: readonly Omit<Landing, "key">[]): Promise<boolean> {
    const seen = new Set<string>();
    for (const { project, branch, base } of landings) {
      const place = `${project}\n${branch}`;
      if (!seen.has(place) && (await this.#parts.forge.branches(project)).get(branch) !== base) return true;
      seen.add(place);
    }
    return false;
  }

  /** Reads the configuration of projects again once they have merged. */
  async #readAfter(
    landing: Promise<{ readonly refused: string | null }>,
    projects: readonly string[],
  ): Promise<void> {
    const read = landing.then(async ({ refused }) => {
      if (refused === null) await this.#parts.reconfigure(projects);
    });
    this.#landingConfig.add(read);
    try {
      await read;
    } finally {
      this.#landingConfig.delete(read);
    }
  }
}

/** A result as it is on record. */
function nameOf(result: RunResult): string {
  if (result.kind === "final") return result.result;
  return result.kind === "retry" ? "RETRY" : "LOST";
}
