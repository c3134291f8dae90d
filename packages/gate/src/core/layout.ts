import type { ChangeId } from "./change.ts";

/* What the core knows of a tenant's configuration: rules of pipelines, and which queue a project is in. */

export type Precedence = "high" | "normal" | "low";

export interface WindowRules {
  /** Items of a queue that are worked on at a time, at first. 0 = all. Default: 20. */
  readonly size: number;
  /** Default: 3. */
  readonly floor: number;
  /** Default: none. */
  readonly ceiling: number | null;
  /** Default: linear, 1. */
  readonly increase: { readonly type: "linear" | "exponential"; readonly factor: number };
  /** Default: exponential, 2. */
  readonly decrease: { readonly type: "linear" | "exponential"; readonly factor: number };
}

/** What must hold of a change for it to be enqueued. `undefined`: it does not matter. */
export interface Requirements {
  readonly open?: boolean;
  readonly currentRevision?: boolean;
  readonly approved?: boolean;
}

/** What happens in the gate itself and starts a pipeline. */
export interface InnerTriggers {
  /** A change that another one needs entered one of these pipelines; none named: any. `null`: this starts nothing. */
  readonly parentEnqueued: readonly string[] | null;
  /** A change merged: all open ones of its project. */
  readonly projectMerged: boolean;
}

/** A queue that projects share, as it is configured. */
export interface QueueRules {
  readonly name: string;
  readonly perBranch: boolean;
  /** Changes that need each other are one item; where not, they wait. Default: false. */
  readonly allowsCycles?: boolean;
}

export interface PipelineRules {
  readonly name: string;
  readonly manager: "dependent" | "independent" | "serial" | "supercedent";
  readonly precedence: Precedence;
  readonly require: Requirements;
  readonly reject: Requirements;
  /** Default: true. */
  readonly dequeueOnNewRevision: boolean;
  /** Independent only: changes that are needed are not put ahead. Default: false. */
  readonly ignoreDependencies: boolean;
  readonly window: WindowRules;
  /** Default: nothing. */
  readonly triggers?: InnerTriggers;
  /** After so many failures in a row it reports elsewhere until it is configured again. Default: never. */
  readonly disableAfter?: number | null;
  /** Pipelines that a change leaves when it enters this one. */
  readonly supercedes: readonly string[];
  /** Not of a supercedent one. The queue that a project is in by name; a project without one has a queue of its own. */
  readonly queues: ReadonlyMap<string, QueueRules>;
}

export interface CoreLayout {
  /** Goes up with each configuration that takes effect. */
  readonly version: number;
  /** In the order of the configuration, which is the order in which triggers are tried. */
  readonly pipelines: readonly PipelineRules[];
  /** Names of projects that the tenant has. */
  readonly projects: ReadonlySet<string>;
  /** Builds that may hold each semaphore at a time. One that is not there: 1. */
  readonly semaphores?: ReadonlyMap<string, number>;
  /** Changes that are not merged yet and that one may need, directly or not. Default: no limit but `MAX_DEPENDENCIES`. */
  readonly maxDependencies?: number;
  /** Changes of all items of a pipeline, those of a cycle and those underneath among them. Default: no limit. */
  readonly maxChangesPerPipeline?: number;
}

/** What scheduling must know of a job that was frozen for an item; what it runs is none of the core's business. */
export interface FrozenJob {
  /** No two jobs of an item have one. */
  readonly name: string;
  /** In a cycle: its name in the configuration, and the changes that it is a job of. It runs for the first of them. */
  readonly of?: { readonly job: string; readonly changes: readonly ChangeId[] };
  readonly voting: boolean;
  /** Runs at most, when its preparation fails. Default: 3. */
  readonly attempts: number;
  readonly dependencies: readonly { readonly name: string; readonly soft: boolean }[];
  /** While it has not succeeded, nothing starts for the items behind. */
  readonly holdFollowingChanges: boolean;
  /** The built-in `noop`: succeeds without nodes and without an executor. */
  readonly isNoop: boolean;
  /** Nodes that it needs, by label; one slot each of this machine. */
  readonly labels: readonly string[];
  /** What it holds while it runs; each name once. Default: none. */
  readonly semaphores?: readonly SemaphoreUse[];
  /** Tags that jobs of items behind may require. Default: none. */
  readonly provides?: readonly string[];
  /** It waits for jobs of items ahead that provide one of these. Default: none. */
  readonly requires?: readonly string[];
}

export interface SemaphoreUse {
  readonly name: string;
  /** Taken once its nodes are there, rather than before they are asked for. */
  readonly resourcesFirst: boolean;
}

/** The jobs of an item, in the order of the configuration. */
export interface JobGraph {
  readonly jobs: readonly FrozenJob[];
  /** The first voting build that fails cancels the others of its item. */
  readonly failFast: boolean;
}
