/* What the gate's HTTP API answers below `/api/gate`. Times are milliseconds since 1970. A page may import this, as types. */

import type { FrozenBranch } from "../core/frozen-branches.ts";

/** An element of `GET /api/gate/config-problems`. */
export type { ConfigProblem } from "../core/events.ts";
export type { FrozenBranch };

export type BuildState = "waiting" | "queued" | "running" | "paused" | "ended";

/** A job of an item, and the build that does it. */
export interface JobView {
  readonly name: string;
  readonly voting: boolean;
  readonly state: BuildState;
  readonly result: string | null;
  /** Id of the newest build, once there is one. */
  readonly build: string | null;
  readonly attempt: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** From past runs of this job. `null` when there were none. */
  readonly estimatedMs: number | null;
  /** It runs, and will fail. */
  readonly isFailing: boolean;
  /** Why it does not run, or did not, or fails although it runs. */
  readonly reason: string | null;
  readonly dependencies: readonly string[];
}

export interface SubjectView {
  readonly kind: "change" | "ref";
  readonly id: string;
  /** Number of a change. */
  readonly number: number | null;
  readonly revision: number | null;
  readonly project: string;
  readonly branch: string | null;
  readonly commit: string | null;
  /** First line of the message, or the ref. */
  readonly title: string;
  readonly owner: string | null;
}

export interface ItemView {
  readonly id: number;
  /** The last of its members. */
  readonly subject: SubjectView;
  /** Several are the changes of a cycle, in the order in which they merge. */
  readonly members: readonly SubjectView[];
  readonly live: boolean;
  /** Inside the window. */
  readonly active: boolean;
  readonly failing: boolean;
  /** Why it is failing, and what it waits for, in sentences. */
  readonly reasons: readonly string[];
  readonly itemAhead: number | null;
  readonly itemsBehind: readonly number[];
  readonly enqueuedMs: number;
  /** Until the last of its jobs ends, from past runs; `null` = nothing is known. */
  readonly remainingMs: number | null;
  readonly buildset: number | null;
  /** How often its buildset was thrown away. */
  readonly resets: number;
  readonly jobs: readonly JobView[];
}

export interface QueueView {
  readonly name: string;
  readonly branch: string | null;
  readonly window: number;
  /** In the order of the queue. */
  readonly items: readonly ItemView[];
}

/** A change that is approved and waits for something elsewhere. */
export interface WaitingView {
  readonly subject: SubjectView;
  readonly pipeline: string;
  readonly reason: string;
}

export interface PipelineView {
  readonly name: string;
  readonly manager: string;
  /** It failed too often, and reports elsewhere until it is configured again. */
  readonly isDisabled: boolean;
  readonly description: string | null;
  readonly queues: readonly QueueView[];
  readonly waiting: readonly WaitingView[];
}

/** An element of `GET /api/gate/autoholds`, and `GET /api/gate/autoholds/NUMBER`. */
export interface AutoholdView {
  readonly id: number;
  readonly project: string;
  readonly job: string;
  /** `null`: of any, as in the next. */
  readonly change: number | null;
  readonly ref: string | null;
  readonly reason: string;
  readonly askedBy: string;
  /** Builds that are still to be held. */
  readonly count: number;
  readonly holdMs: number;
  readonly madeMs: number;
  readonly held: readonly {
    readonly build: string;
    readonly execution: string;
    /** Name of the one that holds it, as `GET /api/gate/workers` has it. */
    readonly executor: string;
    readonly sinceMs: number;
    readonly untilMs: number;
  }[];
}

/** An element of `GET /api/gate/semaphores`: those that are declared, held or waited for. */
export interface SemaphoreView {
  readonly name: string;
  /** Builds that may hold it at a time. */
  readonly max: number;
  /** Oldest first. */
  readonly holders: readonly SemaphoreUserView[];
  /** Those that could start but for this or another semaphore. */
  readonly waiting: readonly SemaphoreUserView[];
}

export interface SemaphoreUserView {
  /** `null`: it has not asked for nodes yet. */
  readonly build: string | null;
  readonly job: string;
  /** Id of a change or ref. */
  readonly subject: string;
  /** Number of a change. */
  readonly change: number | null;
  readonly pipeline: string;
}

/** `GET /api/gate/status`, with `at=MILLISECONDS` as it was then; `GET /api/gate/events` sends it as server-sent events `status`, whenever it is another. */
export interface StatusView {
  readonly tenant: string;
  readonly atMs: number;
  readonly version: number;
  readonly isPaused: boolean;
  /** Into which nothing is merged. */
  readonly frozenBranches: readonly FrozenBranch[];
  readonly pipelines: readonly PipelineView[];
  readonly slots: { readonly total: number; readonly used: number };
  /** `null` of a time that has passed, which they are not kept of. */
  readonly configProblems: number | null;
  /** Reports that their connections have not taken yet; `null` of a time that has passed. Older gates do not tell. */
  readonly undelivered?: number | null;
}

/** A job of a change or a ref in a pipeline: whether it runs there, and why. */
export interface JobExplanationView {
  readonly pipeline: string;
  readonly job: string;
  /** Whether it is one of its jobs there: of the item that is in the pipeline, else by the merged configuration. */
  readonly runs: boolean;
  /** What it does now: the end of a sentence that begins with the job. */
  readonly now: string;
  /** Why it is one of its jobs or is not, in sentences. */
  readonly reasons: readonly string[];
  /** The definitions that make it, the oldest ancestor's first; each adds to those before. Empty of one that does not run. */
  readonly definitions: readonly DefinitionView[];
  /** What ran for the change or the ref, the newest first. */
  readonly builds: readonly {
    readonly id: string;
    readonly result: string | null;
    readonly detail: string | null;
    readonly attempt: number;
    readonly startedMs: number;
    readonly endedMs: number | null;
    /** As in `BuildView`. */
    readonly shared: SharedView | null;
  }[];
}

/** Where something is defined. */
export interface DefinitionView {
  readonly job: string;
  readonly project: string;
  readonly branch: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/**
 * `GET /api/gate/explain/{change}`, or of a branch or tag `GET /api/gate/explain?ref=REF` with `project=NAME` and how its `commit` begins:
 * why it is where it is, and what runs for it. With `job=NAME` of that job only, with `at=MILLISECONDS` as it was then.
 */
export interface ExplanationView {
  /** Of a ref that is in pipelines several times the first. */
  readonly subject: SubjectView;
  /** The time that was asked for. `null`: now. Older gates do not tell. */
  readonly atMs?: number | null;
  /** Where it is and what it waits for, in sentences. */
  readonly now: readonly string[];
  readonly jobs: readonly JobExplanationView[];
  /** Each decision about it with its reason, oldest first. */
  readonly decisions: readonly {
    readonly atMs: number;
    readonly pipeline: string | null;
    readonly text: string;
  }[];
}

export interface CommentView {
  readonly atMs: number;
  readonly author: string;
  readonly revision: number;
  readonly vote: number | null;
  readonly text: string;
  readonly file: string | null;
  readonly line: number | null;
}

/** `GET /api/gate/changes/{number}` */
export interface ChangeView {
  readonly subject: SubjectView;
  readonly state: "open" | "merged" | "abandoned";
  readonly message: string;
  readonly approvals: readonly {
    readonly user: string;
    readonly revision: number;
    readonly atMs: number;
    /** The revision that the user approved, where this one has kept that; `null`: it is this one. */
    readonly keptFrom: number | null;
  }[];
  readonly isApproved: boolean;
  readonly needs: readonly {
    readonly source: string;
    readonly change: number | null;
    readonly problem: string | null;
  }[];
  readonly revisions: readonly {
    readonly revision: number;
    readonly commit: string;
    readonly atMs: number;
  }[];
  readonly comments: readonly CommentView[];
  /** `git fetch URL refs/changes/…` */
  readonly fetchCommand: string;
  readonly builds: readonly BuildView[];
}

/** `GET /api/gate/builds/{id}`, and an element of `GET /api/gate/builds`. */
export interface BuildView {
  readonly id: string;
  readonly buildset: number;
  readonly job: string;
  readonly pipeline: string;
  readonly subject: SubjectView;
  /** What was tested: each change of the chain, in its order. */
  readonly chain: readonly {
    readonly project: string;
    readonly number: number | null;
    readonly revision: number;
  }[];
  readonly voting: boolean;
  readonly attempt: number;
  readonly result: string | null;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  /** What went wrong, in a sentence. */
  readonly detail?: string | null;
  /**
   * Where it has its execution from: it took a result that was there, or joined what was under way, of an equal build, whose
   * id is `build`. `null`: it was run for itself.
   */
  readonly shared?: SharedView | null;
  readonly artifacts: readonly { readonly name: string; readonly url: string }[];
  /** `GET` it with `from=BYTES`; an `Accept` of `text/event-stream` follows it. */
  readonly logUrl: string;
  /** Bytes of its console so far, from which a viewer knows where the end begins. Undefined: not known. */
  readonly logBytes?: number;
}

export interface SharedView {
  readonly how: "reused" | "joined";
  readonly build: string;
}

/** An element of `GET /api/gate/changes`, newest first. */
export interface ChangeSummaryView {
  readonly subject: SubjectView;
  readonly state: "open" | "merged" | "abandoned";
  readonly isApproved: boolean;
  readonly topic: string | null;
  readonly updatedMs: number;
}

/** An element of `GET /api/gate/outbox`, the newest first: a report that a connection has not taken. */
export interface UndeliveredView {
  /** What receivers know it by, too. */
  readonly id: string;
  readonly connection: string;
  readonly pipeline: string;
  /** `success`, `failure`, … */
  readonly report: string;
  /** Id of a change, such as `local:12`, or of a ref. */
  readonly subject: string;
  readonly atMs: number;
  /** That failed. */
  readonly attempts: number;
  /** When it is tried next; `null`: it was given up. */
  readonly nextMs: number | null;
  /** Why it was not taken the last time. */
  readonly problem: string | null;
  readonly givenUpMs: number | null;
}

/** An element of `GET /api/gate/flakes`, the newest first: equal content that gave different results. */
export interface FlakeView {
  readonly project: string;
  readonly job: string;
  readonly key: string;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Oldest first. */
  readonly executions: readonly {
    /** The first build that it was for. */
    readonly build: string;
    readonly result: string;
    /** What went wrong, in a sentence. */
    readonly detail: string | null;
    readonly endedMs: number;
  }[];
}

/** An element of `GET /api/gate/jobs`, in the order of the configuration: a job and all that defines it. */
export interface JobDefinitionsView {
  readonly name: string;
  readonly description: string | null;
  /** Its parent, that one's parent, and so on, by the first definition of each. */
  readonly ancestors: readonly string[];
  /** All of them; which count for a change, `explain` tells. */
  readonly definitions: readonly (DefinitionView & {
    /** Branches, as `main`, or `any branch`. */
    readonly isFor: string;
    /** As written. `null`: it says none. */
    readonly parent: string | null;
    /** Zuul's names of the attributes that it sets. */
    readonly sets: readonly string[];
  })[];
}

/** What a write answers: what the gate made of it, in sentences. */
export interface DoneView {
  readonly done: readonly string[];
}

/** `GET /api/gate/whoami` */
export interface UserView {
  readonly name: string;
  readonly role: "user" | "operator" | "worker";
}

/** An element of `GET /api/gate/workers`. */
export interface WorkerView {
  readonly kind: "executor" | "merger";
  readonly name: string;
  /** In the gate's own process. */
  readonly isHere: boolean;
  /** Whether the job server has it. */
  readonly isConnected: boolean;
  /** It has not told of itself for 20 seconds. */
  readonly isSilent: boolean;
  readonly seenMs: number;
  /** Whether it takes more; else `why` says what keeps it from that. */
  readonly accepts: boolean;
  readonly why: string | null;
  /** Builds or merges at a time. */
  readonly slots: number;
  /** Numbers of builds that run there. */
  readonly builds: readonly string[];
  /** How builds are kept apart; `null` of a merger. */
  readonly isolation: string | null;
}

/** Where a replayed state is not as it was recorded, as `.queues[0].items[2].resets`. */
export interface Difference {
  readonly path: string;
  /** JSON; `undefined` where there is nothing. */
  readonly recorded: string | undefined;
  readonly replayed: string | undefined;
}

/** An element of `GET /api/gate/replay`: a part of the log between two recorded states. */
export interface ReplayedSpan {
  /** Number of the last batch of events before it, and of its own last. */
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** What it was compared with: a state that was written down, that of the running gate, or nothing, since there is none. */
  readonly comparedWith: "snapshot" | "running gate" | null;
  readonly difference: Difference | null;
}
