import type { ChangeId, Subject } from "./change.ts";
import type { BuildId, BuildsetId, ItemId, Result } from "./events.ts";
import type { FrozenBranch } from "./frozen-branches.ts";
import type { FrozenJob } from "./layout.ts";
import { managerOf } from "./managers.ts";
import { waitingReasons } from "./reasons.ts";
import type { Gate, Item, JobRun } from "./state.ts";

/* What there is to see, as plain data. */

export interface JobStatus {
  readonly name: string;
  /** In a cycle: its name in the configuration, and the changes that it is a job of. */
  readonly of?: FrozenJob["of"];
  readonly voting: boolean;
  /**
   * `queued` has asked for nodes, and may have them while the gate is paused. `paused` has run, and waits for the jobs that
   * depend on it, or for nodes to end on.
   */
  readonly state: "waiting" | "queued" | "running" | "paused" | "ended";
  readonly result: Result | null;
  readonly build: BuildId | null;
  /** From 1; 0 before the first. */
  readonly attempt: number;
  /** It runs, and will fail. */
  readonly isFailing: boolean;
  /** Why it does not run, or did not, or fails although it runs. */
  readonly reason: string | null;
  readonly dependencies: readonly string[];
}

export interface ItemStatus {
  readonly id: ItemId;
  /** The last of its members. */
  readonly subject: Subject;
  /** Several are the changes of a cycle, in the order in which they merge. */
  readonly members: readonly Subject[];
  readonly live: boolean;
  /** Inside the window. */
  readonly active: boolean;
  /** Why it is failing. */
  readonly failing: string | null;
  /** What it waits for. */
  readonly waiting: readonly string[];
  readonly itemAhead: ItemId | null;
  readonly itemsBehind: readonly ItemId[];
  readonly enqueuedMs: number;
  readonly buildset: BuildsetId | null;
  readonly resets: number;
  /** Why it was reset last. */
  readonly resetReason: string | null;
  readonly isLanding: boolean;
  readonly jobs: readonly JobStatus[];
}

export interface QueueStatus {
  readonly name: string;
  readonly branch: string | null;
  /** 0 = all. */
  readonly window: number;
  /** In the order of the queue. */
  readonly items: readonly ItemStatus[];
}

/** A change that was asked for and cannot enter yet. */
export interface WaitingStatus {
  readonly change: ChangeId;
  readonly revision: number;
  readonly sinceMs: number;
  /** The end of a sentence that begins with the change. */
  readonly reason: string;
}

export interface PipelineStatus {
  readonly name: string;
  readonly manager: string;
  /** It failed too often, and reports elsewhere until it is configured again. */
  readonly isDisabled: boolean;
  readonly queues: readonly QueueStatus[];
  readonly waiting: readonly WaitingStatus[];
}

export interface CoreStatus {
  readonly isPaused: boolean;
  /** Into which nothing is merged. */
  readonly frozenBranches: readonly FrozenBranch[];
  /** Of the layout. */
  readonly version: number;
  readonly pipelines: readonly PipelineStatus[];
}

export function statusOf(gate: Gate): CoreStatus {
  const intents = gate.intents.list();
  const pipelines = [...gate.pipelines.values()].map(({ rules: { name, manager }, isDisabled, queues }) => ({
    name,
    manager,
    isDisabled,
    queues: [...queues.values()]
      .filter(({ items }) => items.length > 0)
      .map(({ name, branch, window, items }) => ({
        name,
        branch,
        window,
        items: items.map((item) => itemStatus(gate, item)),
      })),
    waiting: intents
      .filter(({ pipeline }) => pipeline === name)
      .map(({ change, revision, sinceMs, reason }) => ({ change, revision, sinceMs, reason })),
  }));
  const frozenBranches = [...gate.frozenBranches.values()];
  return { isPaused: gate.isPaused, frozenBranches, version: gate.layout.version, pipelines };
}

/** A queue that projects share; empty ones remember their window, too. */
export interface WindowStatus {
  readonly pipeline: string;
  readonly queue: string;
  readonly branch: string | null;
  /** 0 = all. */
  readonly window: number;
}

export function windowsOf(gate: Gate): WindowStatus[] {
  const sharing = [...gate.pipelines.values()].filter((pipeline) => managerOf(pipeline).queues === "shared");
  return sharing.flatMap(({ rules, queues }) =>
    [...queues.values()].map(({ name: queue, branch, window }) => {
      return { pipeline: rules.name, queue, branch, window };
    }),
  );
}

function itemStatus(gate: Gate, item: Item): ItemStatus {
  const { id, subject, members, live, active, itemAhead, itemsBehind, enqueuedMs, buildset, resets } = item;
  return {
    id,
    subject,
    members,
    live,
    active,
    failing: item.failing,
    waiting: waitingReasons(gate, item),
    itemAhead: itemAhead?.id ?? null,
    itemsBehind: [...itemsBehind].map((behind) => behind.id).sort((a, b) => a - b),
    enqueuedMs,
    buildset: buildset?.id ?? null,
    resets,
    resetReason: item.resetReason,
    isLanding: item.landing !== null,
    jobs: [...(buildset?.jobs.values() ?? [])].map(jobStatus),
  };
}

function jobStatus({ job, state, result, build, attempt, reason, failing }: JobRun): JobStatus {
  return {
    name: job.name,
    ...(job.of === undefined ? {} : { of: job.of }),
    voting: job.voting,
    state: state === "granted" ? "queued" : state === "resuming" ? "paused" : state,
    result,
    build,
    attempt,
    isFailing: failing !== null && result === null,
    reason,
    dependencies: job.dependencies.map(({ name }) => name),
  };
}
