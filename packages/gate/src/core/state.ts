import type { ChangeId, Subject } from "./change.ts";
import type { Decisions } from "./decisions.ts";
import type {
  BuildId,
  BuildsetId,
  ChainLink,
  ConfigProblem,
  GateEffect,
  ItemId,
  MergeStep,
  PastProvider,
  ReportId,
  Result,
} from "./events.ts";
import type { FrozenBranch } from "./frozen-branches.ts";
import type { Intents } from "./intents.ts";
import type { KnownChanges } from "./known-changes.ts";
import type { CoreLayout, FrozenJob, JobGraph, PipelineRules } from "./layout.ts";
import type { Queue } from "./queue.ts";
import type { Holders } from "./semaphores.ts";

/* What the core remembers between two steps. Everything here can be written down: see snapshot.ts. */

/** A job of one buildset, and the build that does it now. */
export interface JobRun {
  readonly job: FrozenJob;
  readonly buildset: Buildset;
  /**
   * `queued`: nodes are asked for. `granted`: they are there, and the gate is paused or a semaphore is not free. `paused`: its
   * build has run, has lent its nodes to others, and waits for the jobs that depend on it. `resuming`: it has asked for nodes
   * again, to end.
   */
  state: "waiting" | "queued" | "granted" | "running" | "paused" | "resuming" | "ended";
  /** The newest one. */
  build: BuildId | null;
  /** From 1; 0 before the first. */
  attempt: number;
  /** How often its executor was lost. */
  lost: number;
  result: Result | null;
  /** Why it does not run, or did not. */
  reason: string | null;
  /** Of the jobs that depend on it only these run. `null`: all. */
  childJobs: readonly string[] | null;
  /** It runs, and fails already: why. */
  failing: string | null;
  /** Semaphores that its build holds. */
  held: readonly string[];
  /** Builds ahead that provide what it requires. `null`: not looked for yet. */
  providers: readonly BuildId[] | null;
}

/** One attempt at all jobs of an item, against exactly one chain of changes. */
export interface Buildset {
  readonly id: BuildsetId;
  readonly item: Item;
  /** The changes ahead in their order and the item's own; none for a ref. Never changes (I1). */
  readonly chain: readonly ChainLink[];
  /**
   * `blocked`: a change ahead does not merge, and it is for that one's item to find out. `retrying`: it could not be
   * tried. `conflict` and `broken` end it; `ready` has jobs.
   */
  state: "merging" | "retrying" | "blocked" | "conflict" | "freezing" | "broken" | "ready";
  /** What became of each link. */
  steps: readonly MergeStep[];
  /** Why it is `conflict`, `blocked`, `retrying`. */
  detail: string | null;
  /** The link that does not merge, of `blocked`. */
  blockedBy: number;
  /** Merges that could not be tried. */
  mergeErrors: number;
  /** When a `retrying` one is tried again. */
  retryAtMs: number;
  problems: readonly ConfigProblem[];
  graph: JobGraph | null;
  /** By name, in the order of the configuration. */
  readonly jobs: Map<string, JobRun>;
  /** Its jobs are frozen again after a reconfiguration, and meanwhile none starts. */
  isRefreezing: boolean;
  /** The layout that its jobs are frozen under. */
  layout: number;
}

/** A place in a queue: of one subject, or of all changes of a cycle. */
export interface Item {
  readonly id: ItemId;
  readonly pipeline: Pipeline;
  /**
   * What it is about, as it was when it was enqueued; work under test keeps its revision. Several are the changes of a cycle,
   * in the order in which they merge.
   */
  readonly members: readonly Subject[];
  /** The last of its members, which is the only one of most. */
  readonly subject: Subject;
  /** What its members are in chains; none for a ref. */
  readonly links: readonly ChainLink[];
  /** Runs jobs and reports. If not, it is only merged underneath the ones behind it. */
  readonly live: boolean;
  readonly enqueuedMs: number;
  readonly ignoreRequirements: boolean;
  readonly ignoreNeeds: readonly string[];
  queue: Queue;
  /** Its place in the list of its queue: lower is ahead. */
  order: number;
  active: boolean;
  itemAhead: Item | null;
  readonly itemsBehind: Set<Item>;
  buildset: Buildset | null;
  /** How often its buildset was thrown away, and why it was the last time. */
  resets: number;
  resetReason: string | null;
  /** Times that items behind it found it not to merge although it did. */
  disputes: number;
  /** Why it cannot merge as things are. */
  failing: string | null;
  /** While a job of it, or of an item ahead, holds what follows. */
  holds: boolean;
  hasReportedStart: boolean;
  landing: Landing | null;
  /** What it needs has left the queue; in a sentence. */
  lostNeed: string | null;
  /**
   * Of one that is not live: what is on record of its jobs that provide something, once that was asked for. `providers`:
   * `null` until it is answered.
   */
  past: { readonly lookup: number; readonly providers: readonly PastProvider[] | null } | null;
  /** Something that it depends on changed since it was last looked at. */
  isDirty: boolean;
}

/** A merge that was asked for cannot be taken back: what comes meanwhile waits for its answer. */
export interface Landing {
  /** The branch was moved meanwhile: a refusal is not the item's failure. */
  isStale: boolean;
  /** It is to leave, and why, unless it merges. */
  leave: string | null;
}

/** Items of a pipeline. Changes beyond them wait until there is room. */
export const MAX_ITEMS = 10_000;

export interface Pipeline {
  rules: PipelineRules;
  /** Items in all of its queues. */
  size: number;
  /** Without a success in between, since it was configured. */
  failuresInARow: number;
  /** There were too many of them. */
  isDisabled: boolean;
  readonly queues: Map<string, Queue>;
}

export type Report = Extract<GateEffect, { kind: "report" }>;

/** Since the state began. */
export interface Counters {
  enqueues: number;
  resets: number;
  landed: number;
  refused: number;
  /** Answers to what was no longer asked. */
  stale: number;
  builds: Partial<Record<Result, number>>;
}

export interface Gate {
  nowMs: number;
  isPaused: boolean;
  layout: CoreLayout;
  /** In the order of the layout. */
  pipelines: Map<string, Pipeline>;
  readonly changes: KnownChanges;
  readonly intents: Intents;
  readonly decisions: Decisions;
  readonly items: Map<ItemId, Item>;
  /** By each of their members, live or not. */
  readonly itemsOf: Map<string, Set<Item>>;
  /** Current ones only. */
  readonly buildsets: Map<BuildsetId, Buildset>;
  /** Queued and running ones only. */
  readonly builds: Map<BuildId, JobRun>;
  /** Not answered yet. */
  readonly reports: Map<ReportId, Report>;
  readonly holders: Holders;
  /** By project and branch. */
  readonly frozenBranches: Map<string, FrozenBranch>;
  /** By the item that they wait for: items of which a job requires what that one's jobs may provide. */
  readonly requiring: Map<ItemId, Set<Item>>;
  readonly counters: Counters;
  /** The last number given of each kind. */
  readonly last: {
    item: number;
    buildset: number;
    build: number;
    report: number;
    order: number;
    queue: number;
    lookup: number;
  };
  /** Changes that the running step has pipelines offered, which it does before it ends. */
  readonly triggered: { readonly change: ChangeId; readonly pipelines: readonly string[] }[];
  /** What the running step asks for. */
  effects: GateEffect[];
  readonly dirtyQueues: Set<Queue>;
  /** Buildsets in state `retrying`. */
  readonly retrying: Set<Buildset>;
}

/** Has an item looked at again before the step ends. */
export function markDirty(gate: Gate, item: Item): void {
  item.isDirty = true;
  gate.dirtyQueues.add(item.queue);
}

/** The item ahead that counts: one that is not live is only a part of the chain. */
export function liveAhead(item: Item): Item | null {
  return item.itemAhead?.live ? item.itemAhead : null;
}

export function itemsOf(gate: Gate, subject: string): Iterable<Item> {
  return gate.itemsOf.get(subject) ?? [];
}

/** The live item that holds a subject in a pipeline; of exactly this revision, when one is given. */
export function liveItem(gate: Gate, pipeline: Pipeline, subject: string, revision?: number): Item | null {
  for (const item of itemsOf(gate, subject)) {
    if (!item.live || item.pipeline !== pipeline) continue;
    if (revision === undefined || revisionOf(memberOf(item, subject)!) === revision) return item;
  }
  return null;
}

/** 0 for a ref. */
export function revisionOf(subject: Subject): number {
  return subject.kind === "change" ? subject.revision : 0;
}

export function memberOf({ members }: Item, id: string): Subject | undefined {
  return members.find((member) => member.id === id);
}

/** What members are in chains. */
export function linksOf(members: readonly Subject[]): ChainLink[] {
  return members.flatMap((member) => {
    if (member.kind === "ref") return [];
    const { id: change, revision, project, branch, commit } = member;
    return [{ change, revision, project, branch, commit }];
  });
}

/** The links of a buildset's chain that are its item's own: the last ones. */
export function ownLinks({ chain, item }: Buildset): readonly ChainLink[] {
  return chain.slice(chain.length - item.links.length);
}
