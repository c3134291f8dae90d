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
import type { ForgeError, Landing } from "./forge/index.ts";
import type { Merger } from "./merger/index.ts";
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
import { landWhole } from "./scheduler/landing-whole.ts";
import { mergeRequest, tipsOf } from "./scheduler/merge-request.ts";
import { Pace } from "./scheduler/pace.ts";
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
  /** The same with all else of this turn, in the order of asking: builds are begun and ended by it alone. */
  readonly recordSoon: (change: () => void, events?: readonly GateEvent[]) => Promise<boolean>;
  /** Loads the configuration of projects again, and tells the core. What is wrong with that is logged. */
  readonly reconfigure: (projects: readonly string[]) => Promise<void>;
  /** Resolves when no configuration is being read that was asked for before. */
  readonly configRead: () => Promise<void>;
}

/** A build that was submitted. */
interface Followed {
  readonly running: RunningBuild;
  /** What it is submitted as with others of equal content; `null`: it is for itself. */
  readonly unique: string | null;
}

/** Does what the core asks for, and tells it what came of it. */
export class Effects {
  readonly #parts: EffectParts;
  readonly #running = new Map<BuildId, Followed>();
  /** Builds of which was told that they are paused. */
  readonly #paused = new Set<BuildId>();
  /** Builds that are to start, unless they are taken back before. */
  readonly #preparing = new Set<BuildId>();
  readonly #held = new HeldExecutions();
  readonly #slots: BuildSlots;
  /** Version of the layout that each buildset is frozen under last. */
  readonly #freezing = new Map<BuildsetId, number>();
  /** Of changes to the configuration that are being merged, until what they change is read. */
  readonly #landingConfig = new Set<Promise<void>>();
  /** Of what is under way besides builds. */
  readonly #underWay = new Set<Promise<void>>();
  /** Hundreds of builds start at once, and each takes its time. */
  readonly #pace = new Pace();
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
        this.#do(effect, () => this.#start(effect));
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
    this.#await(done);
  }

  #await(done: Promise<void>): void {
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
    const answer = await mergers.merge(mergeRequest(this.#parts, chain), signal).catch((error: Error) => {
      if (!signal.aborted) throw error;
    });
    if (answer === undefined) return;
    let result: MergeResult;
    if (answer.kind === "merged") {
      await merger.hold(`bs-${buildset}`, tipsOf(chain, answer.steps));
      result = { kind: "merged", steps: answer.steps };
    } else if (answer.kind === "conflict") {
      result = { kind: "conflict", link: answer.link, detail: answer.detail };
    } else result = answer;
    tell({ kind: "merged", buildset, result });
  }

  async #freeze(effect: Extract<GateEffect, { kind: "freeze" }>): Promise<void> {
    const { forge, loader, source, merger, slots, builds, nowMs, recordSoon } = this.#parts;
    const { buildset, pipeline, layout } = effect;
    this.#freezing.set(buildset, layout);
    // Nothing is frozen by configuration of which it is known that it is not what is merged.
    await Promise.allSettled([...this.#landingConfig, this.#parts.configRead()]);
    const frozen = await freezeBuildset({ forge, loader, source, merger, maxNodes: slots.total }, effect);
    // Asked again meanwhile, for another configuration: this answer would only overwrite that one.
    if (this.#freezing.get(buildset) !== layout) return;
    this.#freezing.delete(buildset);
    const result = frozen.kind === "graph" ? { kind: "graph" as const, graph: frozen.graph } : frozen;
    await recordSoon(() => {
      if (frozen.kind === "graph") builds.freeze(buildset, pipeline, frozen.buildset, nowMs());
    }, [{ kind: "frozen", buildset, layout, result }]);
  }

  async #start(effect: Extract<GateEffect, { kind: "startBuild" }>): Promise<void> {
    const { builds, slots } = this.#parts;
    const { build, buildset, job } = effect;
    if (this.#running.has(build) || this.#preparing.has(build)) return;
    const frozen = builds.frozen(buildset);
    if (frozen === undefined)
      throw new Error(`nothing is on record of what was frozen for buildset ${buildset}`);
    const definition = frozen.jobs[job];
    if (effect.isPaused !== true) slots.adopt(build, definition?.nodes.length ?? 1);
    this.#preparing.add(build);
    try {
      // One that runs already is joined at once, since it may be asked to go on.
      const request = builds.request(build) ?? (await this.#begin(effect, frozen));
      if (request === undefined || this.#isOver || !this.#preparing.has(build)) return;
      this.#submit(effect, request, (definition?.maxAgeSec ?? 0) * 1_000);
    } finally {
      this.#preparing.delete(build);
    }
  }

  /** Works out what is to run, and puts it on record. @returns `undefined` when it cannot even be asked for */
  async #begin(
    effect: Extract<GateEffect, { kind: "startBuild" }>,
    frozen: FrozenBuildset,
  ): Promise<BuildRequest | undefined> {
    const { builds, record, recordSoon, nowMs, slots, ledger } = this.#parts;
    const { build, buildset, item, pipeline, subject, job, attempt } = effect;
    const definition = frozen.jobs[job];
    await this.#pace.turn();
    const row = { id: build, buildset, item, pipeline, subject, attempt, voting: definition?.voting ?? true };
    let request: BuildRequest;
    try {
      request = this.#request(effect, frozen);
    } catch (error) {
      if (!(error instanceof BuildImpossible)) throw error;
      const detail = error.message;
      // On record, so that its detail can be read.
      void recordSoon(() => builds.begin({ ...row, job, startedMs: nowMs() }, null));
      this.#end(build, { result: { kind: "final", result: "ERROR" }, outcome: null, detail });
      return undefined;
    }
    let plan: SharedPlan | undefined;
    const isExcused = slots.isExcused(build);
    if (this.#mayShare(definition, subject) || isExcused) {
      plan = await this.#plan(definition, subject, request);
      await this.#slots.ready(build, plan);
      request = plan?.request ?? request;
    }
    const startedMs = nowMs();
    const begin = (): void => {
      builds.begin({ ...row, job: definition?.name ?? job, startedMs }, request);
      if (!this.#preparing.has(build))
        builds.end(build, { result: "CANCELED", detail: null, outcome: null }, startedMs);
      else if (plan !== undefined)
        ledger.begin(build, plan.key, plan.maxAgeMs, startedMs, (unique) => this.#held.buildOf(unique));
    };
    if (!isExcused) return (await recordSoon(begin)) ? request : undefined;
    // What it shares is there now, and may not be so later.
    record(begin);
    return builds.request(build);
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
    await this.#pace.turn();
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
    const hasMerged = number !== undefined && forge.stateOf(number) === "merged";
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
    const { builds, recordSoon, bus, gateId, zone, ledger } = this.#parts;
    const shared = ledger.of(build);
    const known = shared === undefined ? undefined : ledger.ended(shared);
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
    this.#running.set(build, { running, unique: shared?.unique ?? null });
    if (shared !== undefined) {
      this.#slots.share(build, shared.unique);
      if (shared.how === null) this.#slots.begun(shared.key);
    }
    void running.ended.then((end) => {
      this.#slots.letGo(build);
      const isWanted = this.#running.get(build)?.running === running;
      if (isWanted) this.#running.delete(build);
      if (end === undefined || this.#isOver) return;
      if (shared !== undefined) this.#held.release(shared.unique);
      if (isWanted) this.#end(build, end);
      // It ended before anybody came for it: whoever comes now need not run it again.
      else void recordSoon(() => this.#recordExecution(build, end));
    });
  }

  #execution(
    { build, isPaused }: Extract<GateEffect, { kind: "startBuild" }>,
    running: RunningBuild,
    execution: string,
  ): void {
    const { builds, recordSoon } = this.#parts;
    const wasPaused = isPaused === true || this.#paused.has(build);
    const before = wasPaused ? (builds.get(build)?.execution ?? null) : null;
    void recordSoon(() => builds.setExecution(build, execution));
    if (!wasPaused || before === execution || this.#running.get(build)?.running !== running) return;
    // It has begun anew, while what depends on it has used the one that is gone.
    this.#running.delete(build);
    running.cancel();
    this.#end(build, { result: { kind: "lost" }, outcome: null, detail: "it was lost while it was paused" });
  }

  #resume(build: BuildId): void {
    this.#paused.delete(build);
    const execution = this.#parts.builds.get(build)?.execution ?? null;
    if (execution !== null) this.#running.get(build)?.running.resume(execution);
  }

  #news(build: BuildId, running: RunningBuild, { failing, paused }: BuildNews): void {
    if (this.#isOver || this.#running.get(build)?.running !== running) return;
    if (paused !== undefined && !this.#paused.has(build)) {
      const { builds, recordSoon } = this.#parts;
      const { childJobs } = paused;
      this.#paused.add(build);
      void recordSoon(
        () => builds.setReturned(build, paused),
        [{ kind: "paused", build, ...(childJobs === null ? {} : { childJobs }) }],
      );
    }
    if (failing !== undefined) this.#parts.tell({ kind: "failing", build, detail: failing });
  }

  #end(build: BuildId, { result, outcome, detail }: BuildEnd): void {
    this.#paused.delete(build);
    const { builds, recordSoon, nowMs, autoholds } = this.#parts;
    const childJobs = outcome?.data.childJobs;
    const ended = { kind: "ended" as const, build, result, ...(childJobs == null ? {} : { childJobs }) };
    void recordSoon(() => {
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
    const { builds, recordSoon, nowMs } = this.#parts;
    const followed = this.#running.get(build);
    this.#running.delete(build);
    this.#paused.delete(build);
    this.#preparing.delete(build);
    if (followed !== undefined) {
      const { running, unique } = followed;
      // A reset takes back hundreds. It is done before this gate closes, as nobody else would do it.
      if (unique === null) this.#await(this.#pace.turn().then(() => running.cancel()));
      else {
        this.#slots.hold(build);
        this.#held.hold(unique, build, () => running.cancel());
      }
    }
    void recordSoon(() => builds.end(build, { result: "CANCELED", detail: null, outcome: null }, nowMs()));
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
    const landing = landings.length === 1 ? forge.land({ key, ...only! }) : this.#landTogether(key, landings);
    // What is configured now is so for whoever is next.
    if (configured.size > 0) await this.#readAfter(landing, [...configured]);
    const landed = await landing;
    if (landed === undefined) return;
    const { refused } = landed;
    if (refused === null) {
      tell({ kind: "landed", buildset, refused });
      return;
    }
    tell({ kind: "landed", buildset, refused, moved: await this.#hasMoved(landings) });
  }

  #landTogether(
    key: string,
    landings: readonly Omit<Landing, "key">[],
  ): Promise<{ readonly refused: string | null } | undefined> {
    const { forge, log } = this.#parts;
    const unfinished = (error: ForgeError): void =>
      log.error(
        { code: error.code, landing: key, error },
        "changes that land together are not all merged yet; trying again",
      );
    return landWhole(() => forge.landTogether(key, landings), unfinished, this.#ending.signal);
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
    landing: Promise<{ readonly refused: string | null } | undefined>,
    projects: readonly string[],
  ): Promise<void> {
    const read = landing.then(async (landed) => {
      if (landed?.refused === null) await this.#parts.reconfigure(projects);
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
