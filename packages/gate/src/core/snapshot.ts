import type { Change, Subject } from "./change.ts";
import { Decisions } from "./decisions.ts";
import type { BuildId, ChainLink, ConfigProblem, ItemId, MergeStep, Result } from "./events.ts";
import { type FrozenBranch, keyOf } from "./frozen-branches.ts";
import { type Intent, Intents } from "./intents.ts";
import { KnownChanges } from "./known-changes.ts";
import type { CoreLayout, FrozenJob, JobGraph, PipelineRules, QueueRules } from "./layout.ts";
import { indexRequiring } from "./providing.ts";
import { Queue } from "./queue.ts";
import { Holders, index as indexSemaphores } from "./semaphores.ts";
import {
  type Buildset,
  type Counters,
  type Gate,
  type Item,
  type JobRun,
  type Landing,
  linksOf,
  type Pipeline,
  type Report,
} from "./state.ts";

/* The state between two steps as JSON, and back. What many share (links of chains, job graphs) is written once. */

export const SNAPSHOT_VERSION = 1;

/** A layout as JSON. */
export interface LayoutData {
  readonly version: number;
  readonly pipelines: readonly (Omit<PipelineRules, "queues"> & {
    readonly queues: readonly (readonly [string, QueueRules])[];
  })[];
  readonly projects: readonly string[];
  readonly semaphores?: readonly (readonly [string, number])[];
  readonly maxDependencies?: number;
  readonly maxChangesPerPipeline?: number;
}

export function layoutData({ version, pipelines, projects, semaphores, ...rest }: CoreLayout): LayoutData {
  return {
    version,
    pipelines: pipelines.map((rules) => ({ ...rules, queues: [...rules.queues] })),
    projects: [...projects],
    ...rest,
    ...(semaphores === undefined ? {} : { semaphores: [...semaphores] }),
  };
}

export function layoutFrom({ version, pipelines, projects, semaphores, ...rest }: LayoutData): CoreLayout {
  return {
    version,
    pipelines: pipelines.map((rules) => ({ ...rules, queues: new Map(rules.queues) })),
    projects: new Set(projects),
    ...rest,
    ...(semaphores === undefined ? {} : { semaphores: new Map(semaphores) }),
  };
}

interface RunData {
  readonly name: string;
  readonly state: JobRun["state"];
  readonly build: BuildId | null;
  readonly attempt: number;
  readonly lost: number;
  readonly result: Result | null;
  readonly reason: string | null;
  readonly childJobs: readonly string[] | null;
  /** Not there in older snapshots, as what follows. */
  readonly failing?: string | null;
  readonly held?: readonly string[];
  readonly providers?: readonly BuildId[] | null;
}

interface BuildsetData {
  readonly id: number;
  readonly state: Buildset["state"];
  /** Places in `links`. */
  readonly chain: readonly number[];
  /** Places in `steps`. */
  readonly steps: readonly number[];
  readonly detail: string | null;
  readonly blockedBy: number;
  readonly mergeErrors: number;
  readonly retryAtMs: number;
  readonly problems: readonly ConfigProblem[];
  /** Place in `graphs`. */
  readonly graph: number | null;
  readonly runs: readonly RunData[];
  readonly isRefreezing: boolean;
  readonly layout: number;
}

interface ItemData {
  readonly id: ItemId;
  readonly subject: Subject;
  /** Of a cycle; of every other item there is only its subject. */
  readonly members?: readonly Subject[];
  readonly live: boolean;
  readonly enqueuedMs: number;
  readonly ignoreRequirements: boolean;
  readonly ignoreNeeds: readonly string[];
  readonly order: number;
  readonly itemAhead: ItemId | null;
  readonly buildset: BuildsetData | null;
  readonly resets: number;
  readonly resetReason: string | null;
  readonly disputes: number;
  readonly failing: string | null;
  readonly holds: boolean;
  readonly hasReportedStart: boolean;
  readonly landing: Landing | null;
  readonly lostNeed: string | null;
  /** Not there in older snapshots. */
  readonly past?: Item["past"];
}

interface QueueData {
  readonly serial: number;
  readonly pipeline: string;
  readonly key: string;
  readonly name: string;
  readonly branch: string | null;
  readonly window: number;
  readonly items: readonly ItemData[];
}

/** Everything that the core remembers between two steps, as plain JSON. */
export interface GateSnapshot {
  readonly version: typeof SNAPSHOT_VERSION;
  readonly nowMs: number;
  readonly isPaused: boolean;
  /** Default: none. */
  readonly frozenBranches?: readonly FrozenBranch[];
  readonly layout: LayoutData;
  readonly changes: { readonly changes: readonly Change[]; readonly closed: readonly string[] };
  readonly intents: readonly Intent[];
  readonly decisions: ReturnType<Decisions["list"]>;
  readonly links: readonly ChainLink[];
  readonly steps: readonly MergeStep[];
  readonly graphs: readonly JobGraph[];
  readonly queues: readonly QueueData[];
  /** Of pipelines whose last report was a failure. Default: none. */
  readonly failing?: readonly {
    readonly pipeline: string;
    readonly failuresInARow: number;
    readonly isDisabled: boolean;
  }[];
  readonly reports: readonly Report[];
  readonly counters: Counters;
  readonly last: Gate["last"];
}

/** Writes equal values once, and gives their places. */
class Places<T> {
  readonly list: T[] = [];
  readonly #keyOf: (value: T) => string;
  readonly #places = new Map<string, number>();
  /** Of values that were seen before, so that their keys are not made again. */
  readonly #seen = new Map<T, number>();

  constructor(keyOf: (value: T) => string) {
    this.#keyOf = keyOf;
  }

  of(value: T): number {
    const seen = this.#seen.get(value);
    if (seen !== undefined) return seen;
    const key = this.#keyOf(value);
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.list.push(value) - 1;
      this.#places.set(key, place);
    }
    this.#seen.set(value, place);
    return place;
  }
}

interface Tables {
  readonly links: Places<ChainLink>;
  readonly steps: Places<MergeStep>;
  readonly graphs: Places<JobGraph>;
}

export function snapshotOf(gate: Gate): GateSnapshot {
  const tables: Tables = {
    links: new Places(({ change, revision, commit }) => `${change} ${revision} ${commit}`),
    steps: new Places(({ base, commit }) => `${base} ${commit}`),
    graphs: new Places((graph) => JSON.stringify(graph)),
  };
  const queues: QueueData[] = [];
  for (const pipeline of gate.pipelines.values()) {
    for (const { serial, key, name, branch, window, items } of pipeline.queues.values()) {
      const data = items.map((item) => itemData(item, tables));
      queues.push({ serial, pipeline: pipeline.rules.name, key, name, branch, window, items: data });
    }
  }
  return {
    version: SNAPSHOT_VERSION,
    nowMs: gate.nowMs,
    isPaused: gate.isPaused,
    ...(gate.frozenBranches.size === 0 ? {} : { frozenBranches: [...gate.frozenBranches.values()] }),
    layout: layoutData(gate.layout),
    changes: gate.changes.list(),
    intents: gate.intents.list().map((intent) => ({ ...intent })),
    decisions: gate.decisions.list(),
    links: tables.links.list,
    steps: tables.steps.list,
    graphs: tables.graphs.list,
    queues,
    ...failingOf(gate),
    reports: [...gate.reports.values()],
    counters: { ...gate.counters, builds: { ...gate.counters.builds } },
    last: { ...gate.last },
  };
}

function failingOf({ pipelines }: Gate): Pick<GateSnapshot, "failing"> {
  const failing = [...pipelines.values()]
    .filter(({ failuresInARow, isDisabled }) => failuresInARow > 0 || isDisabled)
    .map(({ rules, failuresInARow, isDisabled }) => ({ pipeline: rules.name, failuresInARow, isDisabled }));
  return failing.length === 0 ? {} : { failing };
}

function itemData(item: Item, tables: Tables): ItemData {
  const { pipeline, queue, active, links, members, isDirty, itemsBehind, itemAhead, ...rest } = item;
  const { buildset, landing, ...plain } = rest;
  return {
    ...plain,
    ...(members.length > 1 ? { members } : {}),
    itemAhead: itemAhead?.id ?? null,
    buildset: buildset === null ? null : buildsetData(buildset, tables),
    landing: landing === null ? null : { ...landing },
  };
}

function buildsetData(buildset: Buildset, tables: Tables): BuildsetData {
  const { item, chain, steps, graph, jobs, ...plain } = buildset;
  return {
    ...plain,
    chain: chain.map((link) => tables.links.of(link)),
    steps: steps.map((step) => tables.steps.of(step)),
    graph: graph === null ? null : tables.graphs.of(graph),
    runs: [...jobs.values()].map(({ job, buildset, ...run }) => ({ name: job.name, ...run })),
  };
}

/** @throws When it is of another version. */
export function gateFrom(snapshot: GateSnapshot): Gate {
  if (snapshot.version !== SNAPSHOT_VERSION)
    throw new Error(`a snapshot of version ${snapshot.version}, and this core reads ${SNAPSHOT_VERSION}`);
  const gate = emptyGate(layoutFrom(snapshot.layout));
  gate.nowMs = snapshot.nowMs;
  gate.isPaused = snapshot.isPaused;
  for (const frozen of snapshot.frozenBranches ?? []) gate.frozenBranches.set(keyOf(frozen), frozen);
  Object.assign(gate, {
    changes: KnownChanges.restore(snapshot.changes),
    decisions: Decisions.restore(snapshot.decisions),
  });
  for (const intent of snapshot.intents) gate.intents.remember({ ...intent });
  Object.assign(gate.counters, { ...snapshot.counters, builds: { ...snapshot.counters.builds } });
  Object.assign(gate.last, snapshot.last);
  for (const { pipeline, ...failing } of snapshot.failing ?? [])
    Object.assign(gate.pipelines.get(pipeline)!, failing);
  for (const report of snapshot.reports) gate.reports.set(report.report, report);
  for (const data of snapshot.queues) restoreQueue(gate, data, snapshot);
  index(gate);
  return gate;
}

function restoreQueue(gate: Gate, data: QueueData, snapshot: GateSnapshot): void {
  const pipeline = gate.pipelines.get(data.pipeline)!;
  const { serial, key, name, branch, window } = data;
  const queue = new Queue(serial, pipeline, key, name, branch, window);
  pipeline.queues.set(key, queue);
  const byId = new Map<ItemId, Item>();
  for (const { itemAhead, buildset, landing, members: several, past = null, ...plain } of data.items) {
    const members = several ?? [plain.subject];
    const ahead = itemAhead === null ? null : byId.get(itemAhead)!;
    const item: Item = {
      ...plain,
      past,
      pipeline,
      queue,
      active: false,
      members,
      links: linksOf(members),
      itemAhead: ahead,
      itemsBehind: new Set(),
      buildset: null,
      landing: landing === null ? null : { ...landing },
      isDirty: false,
    };
    if (buildset !== null) item.buildset = buildsetFrom(item, buildset, snapshot);
    ahead?.itemsBehind.add(item);
    byId.set(item.id, item);
    queue.items.push(item);
    pipeline.size++;
  }
  queue.refreshActive();
}

function buildsetFrom(item: Item, data: BuildsetData, { links, steps, graphs }: GateSnapshot): Buildset {
  const { chain, graph, runs, ...plain } = data;
  const frozen = graph === null ? null : graphs[graph]!;
  const jobs = new Map<string, JobRun>();
  const buildset: Buildset = {
    ...plain,
    item,
    chain: chain.map((at) => links[at]!),
    steps: plain.steps.map((at) => steps[at]!),
    graph: frozen,
    jobs,
  };
  const byName = new Map<string, FrozenJob>(frozen?.jobs.map((job) => [job.name, job]));
  for (const { name, failing = null, held = [], providers = null, ...run } of runs)
    jobs.set(name, { ...run, failing, held, providers, job: byName.get(name)!, buildset });
  return buildset;
}

/** Everything by its id, in the order in which it came to be. */
function index(gate: Gate): void {
  const items: Item[] = [];
  for (const { queues } of gate.pipelines.values())
    for (const queue of queues.values()) items.push(...queue.items);
  items.sort((a, b) => a.id - b.id);
  const builds: JobRun[] = [];
  const buildsets: Buildset[] = [];
  for (const item of items) {
    gate.items.set(item.id, item);
    for (const { id } of item.members) {
      const others = gate.itemsOf.get(id) ?? new Set();
      gate.itemsOf.set(id, others.add(item));
    }
    if (item.buildset !== null) buildsets.push(item.buildset);
  }
  for (const buildset of buildsets.sort((a, b) => a.id - b.id)) {
    gate.buildsets.set(buildset.id, buildset);
    if (buildset.state === "retrying") gate.retrying.add(buildset);
    for (const run of buildset.jobs.values())
      if (run.state !== "waiting" && run.state !== "ended") builds.push(run);
  }
  for (const run of builds.sort((a, b) => a.build! - b.build!)) {
    gate.builds.set(run.build!, run);
    indexSemaphores(gate, run);
  }
  indexRequiring(gate);
}

export function emptyPipeline(rules: PipelineRules): Pipeline {
  return { rules, size: 0, failuresInARow: 0, isDisabled: false, queues: new Map() };
}

/** A gate that has seen nothing but a layout. */
export function emptyGate(layout: CoreLayout): Gate {
  const pipelines = layout.pipelines.map((rules): [string, Pipeline] => [rules.name, emptyPipeline(rules)]);
  return {
    nowMs: 0,
    isPaused: false,
    frozenBranches: new Map(),
    layout,
    pipelines: new Map(pipelines),
    changes: new KnownChanges(),
    intents: new Intents(),
    decisions: new Decisions(),
    items: new Map(),
    itemsOf: new Map(),
    buildsets: new Map(),
    builds: new Map(),
    reports: new Map(),
    holders: new Holders(),
    requiring: new Map(),
    counters: { enqueues: 0, resets: 0, landed: 0, refused: 0, stale: 0, builds: {} },
    last: { item: 0, buildset: 0, build: 0, report: 0, order: 0, queue: 0, lookup: 0 },
    effects: [],
    triggered: [],
    dirtyQueues: new Set(),
    retrying: new Set(),
  };
}
