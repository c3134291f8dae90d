import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Client } from "@drover/client";
import type { FunctionRule } from "@drover/server";
import type { Worker } from "@drover/worker";
import { AUTOHOLD_MIGRATIONS, Autoholds, AutoholdTable } from "./autohold/index.ts";
import {
  BUILD_FUNCTION_SETTINGS,
  BUILD_FUNCTIONS,
  BuildBus,
  buildWorker,
  MAX_PAUSED_BUILDS,
  MergerClient,
  mergerWorker,
} from "./bus/index.ts";
import { ConfigLoader, type LoadedLayout, type Tenant } from "./config/index.ts";
import type { Change, ConfigProblem, GateEvent, RefUpdate, Subject } from "./core/index.ts";
import { dialIn, GATE_FUNCTIONS } from "./dial-in.ts";
import { Effects } from "./effects.ts";
import { ExecutionStore, Executor } from "./executor/index.ts";
import { FORGE_MIGRATIONS, type ForgeEvent, type ForgeTrigger, LocalForge } from "./forge/index.ts";
import type { GateOptions } from "./gate-options.ts";
import { gitVersion } from "./git/version.ts";
import { Merger } from "./merger/index.ts";
import { LocalSlots } from "./nodes/local-slots.ts";
import { Courier, OUTBOX_MIGRATIONS, Outbox } from "./reporters/index.ts";
import { localEnvironment, REUSE_MIGRATIONS, ReuseLedger, SharingPlanner } from "./reuse/index.ts";
import type { SubjectFacts } from "./scheduler/build-request.ts";
import { BUILD_MIGRATIONS, BuildTable } from "./scheduler/build-table.ts";
import { RepositoryConfig } from "./scheduler/config-source.ts";
import { EVENT_LOG_MIGRATIONS } from "./scheduler/event-log.ts";
import { HistoryReader } from "./scheduler/history-reader.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { executorFacts, mergerFacts, WorkerList } from "./scheduler/worker-list.ts";
import { KEYS, ProjectKeys } from "./secrets/keys.ts";
import { GateDatabase } from "./store/database.ts";
import { addToTenant, GATE_FILE, GateError, type GateErrorCode, readTenant } from "./tenant-file.ts";
import { tidy } from "./tidying.ts";
import { Timers } from "./timers.ts";

export { GATE_FILE, GATE_FUNCTIONS, GateError, type GateErrorCode, type GateOptions };

/** What a job server must know of the gate's functions, before any rules of its operator. */
export const GATE_FUNCTION_RULES: readonly FunctionRule[] = [
  { glob: BUILD_FUNCTIONS, settings: BUILD_FUNCTION_SETTINGS },
];

const KEEP_MS = 30 * 24 * 3_600_000;
const KEEP_BYTES = 10 * 1024 ** 3;
const TIDY_MS = 600_000;
/** Merges that may be under way at a time: of one repository they are done one after the other. */
const MERGES = 4;

/** File names within the folder of a gate. */
export const DATABASE_FILE = "gate.db";
export const REPOSITORIES = "repositories";
const BUILDS = "builds";
/** Name of the executor in the gate's own process. */
const OWN_EXECUTOR = "gate";

export const GATE_MIGRATIONS = [
  ...FORGE_MIGRATIONS,
  ...EVENT_LOG_MIGRATIONS,
  ...BUILD_MIGRATIONS,
  ...REUSE_MIGRATIONS,
  ...AUTOHOLD_MIGRATIONS,
  ...OUTBOX_MIGRATIONS,
];

/** Where a change is. */
interface Place {
  readonly pipeline: string;
  /** `null`: it is in its queue. */
  readonly waits: string | null;
}

/** What a gate consists of. */
interface Parts {
  readonly id: string;
  readonly database: GateDatabase;
  readonly forge: LocalForge;
  readonly merger: Merger;
  readonly loader: ConfigLoader;
  readonly builds: BuildTable;
  readonly autoholds: Autoholds;
  readonly ledger: ReuseLedger;
  readonly slots: LocalSlots;
  readonly scheduler: Scheduler;
  readonly effects: Effects;
  readonly client: Client;
  readonly executions: ExecutionStore;
  readonly executor: Executor | undefined;
  readonly outbox: Outbox;
  readonly courier: Courier;
  /** Of merges and of builds. */
  readonly workers: readonly Worker[];
}

/** A gate in one process: the core with its log, the forge, a merger and an executor, over a job server. */
export class Gate {
  readonly folder: string;
  readonly forge: LocalForge;
  /** Names this gate for ever, before the numbers of its builds. */
  readonly id: string;
  readonly executor: Executor | undefined;
  /** Logs and artifacts. */
  readonly executions: ExecutionStore;
  /** Executors and mergers, wherever they are. */
  readonly workers: WorkerList;
  readonly scheduler: Scheduler;
  readonly history: HistoryReader;
  readonly builds: BuildTable;
  readonly autoholds: Autoholds;
  readonly ledger: ReuseLedger;
  readonly slots: LocalSlots;
  readonly loader: ConfigLoader;
  /** Reports that are on their way. */
  readonly outbox: Outbox;
  readonly #parts: Parts;
  readonly #options: GateOptions;
  /** Told when there may be something else to see. */
  readonly #watchers = new Set<() => void>();
  readonly #ids: RegExp;
  readonly #facts = new Map<string, SubjectFacts>();
  /** Added to the loader's numbers, which begin anew with each process. */
  #versionBase = 0;
  readonly #timers: Timers;
  #tidying: NodeJS.Timeout | undefined;
  #isTidying = false;
  /** One configuration is loaded after the other. */
  #loading: Promise<unknown> = Promise.resolve();

  private constructor(options: GateOptions, make: (gate: Gate) => Parts) {
    this.folder = options.folder;
    this.#options = options;
    const parts = make(this);
    this.#parts = parts;
    this.forge = parts.forge;
    this.#ids = new RegExp(`\\b${parts.forge.connection}:(\\d+)\\b`, "g");
    this.id = parts.id;
    this.executor = parts.executor;
    this.executions = parts.executions;
    this.workers = new WorkerList(() => [
      ...(parts.executor === undefined ? [] : [executorFacts(OWN_EXECUTOR, parts.executor, options.slots)]),
      ...(options.hasMerger !== false ? [mergerFacts("gate", MERGES)] : []),
    ]);
    this.scheduler = parts.scheduler;
    this.history = new HistoryReader(parts.database.path);
    this.builds = parts.builds;
    this.autoholds = parts.autoholds;
    this.ledger = parts.ledger;
    this.slots = parts.slots;
    this.loader = parts.loader;
    this.outbox = parts.outbox;
    this.#timers = new Timers({
      log: options.log,
      tell: (event) => this.scheduler.tell(event),
      branches: (project) => this.forge.branches(project),
    });
  }

  /**
   * Opens a gate, which goes on where the process before it was ended.
   * @throws GateError, GateStoreError, GitError, ExecutorError
   */
  static async open(options: GateOptions): Promise<Gate> {
    const { folder, log, server, slots: slotCount, zone = "local", nowMs = Date.now } = options;
    await gitVersion();
    const tenant = tenantOf(options);
    const inFolder = (name: string): string => join(folder, name);
    const database = new GateDatabase(inFolder(DATABASE_FILE), GATE_MIGRATIONS);
    const undo: (() => unknown)[] = [() => database.close()];
    try {
      const gateId = selfOf(database);
      const executions = new ExecutionStore(join(inFolder(BUILDS), "executions"));
      let executor: Executor | undefined;
      if (options.hasExecutor !== false) {
        const started = await Executor.start({
          folder: inFolder(BUILDS),
          store: executions,
          sealingKey: new ProjectKeys(inFolder(KEYS)).sealingKey(),
          hidden: [folder],
          readOnly: options.readOnly ?? [],
          name: OWN_EXECUTOR,
          holdMs: async (build, result) => gate?.autoholds.holdMs(build, result) ?? null,
        });
        executor = started;
        undo.push(() => started.close());
        if (started.warning !== null) log.warn({ isolation: started.isolation }, started.warning);
      }
      let gate: Gate | undefined;
      const forge = await LocalForge.open({
        database,
        folder: inFolder(REPOSITORIES),
        log,
        nowMs,
        urls: options.urls ?? [],
        directPush: options.directPush ?? false,
        selfApproval: tenant.selfApproval,
        keepApprovals: tenant.keepApprovals,
        onEvents: (events) => (gate === undefined ? keepUnheard(database, events) : gate.#onForge(events)),
      });
      undo.push(() => forge.close());
      const merger = new Merger({
        repositoryOf: (project) => (forge.repositories.exists(project) ? forge.gitDir(project) : undefined),
        cacheFile: inFolder("merges.db"),
      });
      undo.push(() => merger.close());
      const place = "servers" in server ? server : { servers: "gate", dial: dialIn(server) };
      const client = new Client(place);
      undo.push(() => client.close());
      const workers: Worker[] = [];
      if (options.hasMerger !== false) workers.push(mergerWorker(merger, { ...place, concurrency: MERGES }));
      if (executor !== undefined)
        workers.push(buildWorker(executor, { ...place, zone, slots: slotCount, paused: MAX_PAUSED_BUILDS }));
      undo.push(() => Promise.all(workers.map((worker) => worker.close())));
      const source = new RepositoryConfig(forge, merger);
      const loader = new ConfigLoader(tenant, source);
      const loaded = await loader.load();
      gate = new Gate(options, (self) => {
        const builds = new BuildTable(database);
        const ledger = new ReuseLedger(database, (execution) => executions.folderOf(execution) !== undefined);
        const table = new AutoholdTable(database);
        const buildsNamed = (name: string) => buildsByName(gateId, ledger, name);
        const autoholds = new Autoholds({ table, builds, buildsNamed, log, nowMs });
        const outbox = new Outbox(database);
        const connection = (name: string) => loader.tenant.connections?.get(name);
        const courier = new Courier({ outbox, connection, folder, log, nowMs });
        const environment = localEnvironment(executor?.isolation ?? null, options.image ?? "");
        const slots = new LocalSlots(slotCount, (build) => scheduler.core.rankOf(build));
        const scheduler: Scheduler = new Scheduler({
          database,
          log,
          nowMs,
          act: (effect) => effects.act(effect),
          onStep: () => self.#tellWatchers(),
          onLost: options.onLost ?? (() => {}),
        });
        const effects: Effects = new Effects({
          forge,
          merger,
          mergers: new MergerClient(client),
          loader,
          source,
          builds,
          ledger,
          sharing: new SharingPlanner({ tenant: tenant.name, zone, environment, merger }),
          autoholds,
          slots,
          bus: new BuildBus(client),
          zone,
          keys: new ProjectKeys(inFolder(KEYS)),
          outbox,
          wakeCourier: () => database.afterCommit(() => courier.wake()),
          gateId,
          log,
          nowMs,
          tell: (event) => scheduler.tell(event),
          record: (change, events) => scheduler.record(change, events),
          recordSoon: (change, events) => scheduler.recordSoon(change, events),
          reconfigure: (projects) => self.#follow(projects),
          configRead: async () => void (await self.#loading),
          facts: (subject) => self.factsOf(subject),
          readable: (text) => self.readable(text),
          buildUrl: (build) =>
            forge.urls[0] === undefined ? null : `${forge.urls[0]}/#/gate/builds/${build}`,
        });
        return {
          id: gateId,
          executions,
          database,
          forge,
          merger,
          loader,
          builds,
          ledger,
          autoholds,
          slots,
          scheduler,
          effects,
          client,
          executor,
          outbox,
          courier,
          workers,
        };
      });
      gate.#versionBase = gate.scheduler.status().version;
      const registered = Promise.all(workers.map((worker) => worker.run()));
      // One elsewhere may come later: changes are taken meanwhile.
      if (!("servers" in server)) await registered;
      gate.#begin(loaded);
      if (executor !== undefined) gate.autoholds.tend(OWN_EXECUTOR, executor);
      return gate;
    } catch (error) {
      for (const act of undo.reverse()) await act();
      throw error;
    }
  }

  get tenant(): Tenant {
    return this.loader.tenant;
  }

  /** What is wrong with the merged configuration. */
  get configProblems(): readonly ConfigProblem[] {
    return this.loader.current?.problems ?? [];
  }

  /** Calls `told` whenever there may be something else to see. @returns Ends that. */
  watch(told: () => void): () => void {
    this.#watchers.add(told);
    return () => this.#watchers.delete(told);
  }

  /**
   * Puts a change or ref into a pipeline, as an operator.
   * @returns Whether it is in the pipeline or waits for it, and what became of it, in sentences.
   */
  enqueue(
    subject: Subject,
    pipeline: string,
    wanted: { readonly ignoreRequirements?: boolean; readonly ignoreNeeds?: readonly string[] } = {},
  ): { readonly isTaken: boolean; readonly done: string[] } {
    const { ignoreRequirements = false, ignoreNeeds = [] } = wanted;
    const asked = subject.kind === "change" ? subject.id : subject;
    this.scheduler.tellNow({ kind: "enqueue", subject: asked, pipeline, ignoreRequirements, ignoreNeeds });
    const isTaken = this.#places(subject.id).some((place) => place.pipeline === pipeline);
    if (isTaken) return { isTaken, done: this.pipelinesOf(subject.id) };
    const last = this.scheduler.core.explain(subject.id).findLast((one) => one.pipeline === pipeline);
    return { isTaken, done: [this.readable(last?.text ?? `it has not entered ${pipeline}`)] };
  }

  /**
   * @param subject Id of a change or ref.
   * @returns `null` when it was not in the pipeline.
   */
  dequeue(subject: string, pipeline: string): string[] | null {
    const isThere = (): boolean => this.#places(subject).some((place) => place.pipeline === pipeline);
    if (!isThere()) return null;
    this.scheduler.tellNow({ kind: "dequeue", subject, pipeline });
    return [`it has left ${pipeline}`, ...this.pipelinesOf(subject)];
  }

  /**
   * Puts changes ahead of the others of their queue, in this order, each behind what it needs.
   * @param subjects Ids of changes.
   * @returns why not, in a sentence; `null` when it is done.
   */
  promote(pipeline: string, subjects: readonly string[]): string | null {
    const obstacle = this.scheduler.core.promotionObstacle(pipeline, subjects);
    if (obstacle !== null) return this.readable(obstacle);
    this.scheduler.tellNow({ kind: "promote", pipeline, subjects });
    return null;
  }

  /** Where a change or ref is, in sentences. */
  pipelinesOf(subject: string): string[] {
    return this.#places(subject).map(({ pipeline, waits }) =>
      waits === null ? `it is in ${pipeline}` : `it waits for ${pipeline}: ${this.readable(waits)}`,
    );
  }

  #places(subject: string): Place[] {
    return this.scheduler.status().pipelines.flatMap(({ name, queues, waiting }): Place[] => {
      const isIn = queues.some(({ items }) =>
        items.some((item) => item.live && item.members.some(({ id }) => id === subject)),
      );
      if (isIn) return [{ pipeline: name, waits: null }];
      return waiting
        .filter(({ change }) => change === subject)
        .map(({ reason }) => ({ pipeline: name, waits: reason }));
    });
  }

  /** While it is paused no build starts and nothing merges; pushes and results are taken. */
  pause(on: boolean): void {
    this.scheduler.tell({ kind: "pause", on });
  }

  /**
   * Makes a project, or takes it from a folder or URL, and adds it to the tenant.
   * @throws ForgeError, GateError, GitError
   */
  async addProject(name: string, importFrom?: string): Promise<void> {
    await this.forge.createProject(name, importFrom === undefined ? {} : { importFrom });
    if (!this.tenant.projects.has(name)) addToTenant(join(this.folder, GATE_FILE), this.tenant.name, name);
    this.loader.tenant = tenantOf(this.#options);
    // Of the others nothing has changed, and there may be many.
    this.scheduler.tell(await this.#reload([name]));
  }

  /** Reads the tenant file and the whole configuration again. @throws GateError */
  async reconfigure(): Promise<readonly ConfigProblem[]> {
    this.loader.tenant = tenantOf(this.#options);
    const event = await this.#reload(undefined);
    this.scheduler.tell(event);
    return this.configProblems;
  }

  /** A text of the core as people read it: its ids of changes are numbers here. */
  readable(text: string): string {
    return text.replaceAll(this.#ids, "change $1");
  }

  /** A change as the forge has it; `undefined` when it is of another one. */
  recordOf(id: string): Change | undefined {
    const number = this.forge.numberOf(id);
    return number === undefined ? undefined : this.forge.record(number);
  }

  /** What is shown of a subject, and told to its builds. */
  factsOf(subject: Subject): SubjectFacts {
    if (subject.kind === "ref") {
      return { number: null, title: subject.ref, owner: null, message: "", topic: null, url: null };
    }
    const key = `${subject.id}@${subject.revision}`;
    const known = this.#facts.get(key);
    if (known !== undefined) return known;
    const number = this.forge.numberOf(subject.id) ?? null;
    const change = number === null ? undefined : this.forge.change(number);
    const row = change?.revisions.find((one) => one.revision === subject.revision);
    const [base] = this.forge.urls;
    const facts = {
      number,
      title: row?.title ?? subject.id,
      message: row?.message ?? "",
      topic: change?.topic ?? null,
      owner: change?.owner ?? null,
      url: base === undefined ? null : `${base}/changes/${number}`,
    };
    if (this.#facts.size > 10_000) this.#facts.clear();
    this.#facts.set(key, facts);
    return facts;
  }

  /** Takes nothing more, ends what runs here, and leaves everything so that the next start goes on. */
  async close(): Promise<void> {
    const { scheduler, effects, client, workers, executor, merger, forge, database, courier } = this.#parts;
    clearInterval(this.#tidying);
    await this.history.close();
    this.autoholds.close();
    this.#timers.close();
    await forge.close();
    await effects.close();
    await courier.close();
    scheduler.close();
    await client.close();
    // Builds are ended: they would be run again anyway.
    await executor?.close();
    await Promise.all(workers.map((worker) => worker.close()));
    await merger.close();
    database.close();
  }

  #begin({ layout }: LoadedLayout): void {
    const { database } = this.#parts;
    this.scheduler.tell(this.#configured(layout.toCoreLayout(), true));
    this.scheduler.resume();
    this.#timers.set(layout);
    database.transaction(() => {
      const rows = database.db.prepare("SELECT events FROM gate_unheard ORDER BY seq").all();
      for (const { events } of rows as { events: string }[])
        this.#onForge(JSON.parse(events) as ForgeEvent[]);
      database.db.exec("DELETE FROM gate_unheard");
    });
    this.#parts.courier.wake();
    this.#tidying = setInterval(() => void this.#tidy(), TIDY_MS).unref();
  }

  #configured(layout: ReturnType<LoadedLayout["layout"]["toCoreLayout"]>, atStart = false): GateEvent {
    const version = this.#versionBase + layout.version;
    return { kind: "configured", layout: { ...layout, version }, atStart };
  }

  /** Loads projects again; all when none are named. */
  #reload(projects: readonly string[] | undefined): Promise<GateEvent> {
    const next = this.#loading.then(async () => {
      const { layout } = await this.loader.load(projects);
      this.#timers.set(layout);
      return this.#configured(layout.toCoreLayout());
    });
    this.#loading = next.catch(() => {});
    return next;
  }

  /** In the transaction of the act that caused the events. */
  #onForge(events: readonly ForgeEvent[]): void {
    const told: GateEvent[] = [];
    for (const event of events) {
      if (event.kind === "change") told.push(event);
      else if (event.kind === "trigger") told.push(...this.#offered(event.trigger));
      else {
        told.push(event);
        const { project } = event;
        if (this.tenant.projects.has(project)) void this.#follow([project]);
      }
    }
    this.scheduler.append(told);
    this.#parts.database.afterCommit(() => this.#tellWatchers());
  }

  /** Takes configuration into use that has changed in these projects. */
  async #follow(projects: readonly string[]): Promise<void> {
    try {
      this.scheduler.tell(await this.#reload(projects));
    } catch (error) {
      this.#options.log.error(
        { code: "GATE_EFFECT_FAILED", projects, error },
        "configuration was not read again",
      );
    }
  }

  #offered(trigger: ForgeTrigger): GateEvent[] {
    const layout = this.loader.current!.layout;
    let subject: string | RefUpdate;
    let pipelines: readonly string[];
    if (trigger.event === "ref-updated") {
      const { ref } = trigger;
      const { project, newCommit } = ref;
      subject = ref;
      pipelines = layout.triggersMatching({ kind: "ref-updated", project, ref: ref.ref, newCommit });
    } else {
      const number = this.forge.numberOf(trigger.change);
      const change = number === undefined ? undefined : this.forge.record(number);
      if (change === undefined) return [];
      const { project, branch } = change;
      subject = trigger.change;
      pipelines = layout.triggersMatching(
        trigger.event === "comment"
          ? { kind: "comment", project, branch, text: trigger.text }
          : { kind: trigger.event, project, branch },
      );
    }
    return pipelines.length === 0 ? [] : [{ kind: "offer", subject, pipelines }];
  }

  #tellWatchers(): void {
    for (const told of this.#watchers) told();
  }

  /** Lets go what nobody needs any more: commits, logs, records, and what lies loose in repositories. */
  async #tidy(): Promise<void> {
    if (this.#isTidying) return;
    this.#isTidying = true;
    const { keepMs = KEEP_MS, keepBytes = KEEP_BYTES, log, nowMs = Date.now } = this.#options;
    try {
      await tidy(this.#parts, nowMs() - keepMs, keepBytes);
    } catch (error) {
      log.warn({ error }, "what nobody needs any more was not all removed");
    } finally {
      this.#isTidying = false;
    }
  }
}

/** Builds that have this name on executors: their own, or that of the content that they share. */
export function buildsByName(gateId: string, ledger: ReuseLedger, name: string): number[] {
  return name.startsWith(`${gateId}-`) ? [Number(name.slice(gateId.length + 1))] : ledger.runningOf(name);
}

/** @throws GateError */
function tenantOf({ folder, reportsElsewhere = true }: GateOptions): Tenant {
  const tenant = readTenant(folder);
  return reportsElsewhere ? tenant : { ...tenant, connections: undefined };
}

/** What recovering finds done: it has happened, though nobody can be told yet. */
function keepUnheard({ db }: GateDatabase, events: readonly ForgeEvent[]): void {
  db.prepare("INSERT INTO gate_unheard (events) VALUES (?)").run(JSON.stringify(events));
}

/** The name of this gate, made with its database. */
function selfOf({ db }: GateDatabase): string {
  const row = db.prepare("SELECT id FROM gate_self").get() as { id: string } | undefined;
  if (row !== undefined) return row.id;
  const id = randomBytes(6).toString("hex");
  db.prepare("INSERT INTO gate_self (id) VALUES (?)").run(id);
  return id;
}
