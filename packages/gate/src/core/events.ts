import type { Change, ChangeId, RefUpdate, Subject } from "./change.ts";
import type { CoreLayout, JobGraph } from "./layout.ts";

/* Everything that the core is told, and everything that it asks for. All of it is plain data, so that it can be stored. */

/** Numbers that the core counts up and never uses again. */
export type ItemId = number;
export type BuildsetId = number;
export type BuildId = number;
export type ReportId = number;

export type Result =
  | "SUCCESS"
  | "FAILURE"
  | "TIMED_OUT"
  | "POST_FAILURE"
  | "RETRY_LIMIT"
  | "NODE_FAILURE"
  | "SKIPPED"
  | "CANCELED"
  | "ABORTED"
  | "DISK_FULL"
  | "ERROR";

/** How a run of an executor ended. */
export type RunResult =
  | {
      readonly kind: "final";
      readonly result: "SUCCESS" | "FAILURE" | "TIMED_OUT" | "POST_FAILURE" | "DISK_FULL" | "ERROR";
    }
  /** Its preparation failed: run again while there are attempts. `again: false`: the job asked not to be. */
  | { readonly kind: "retry"; readonly again: boolean }
  /** Its executor was lost: run again, up to five times, which are no attempts. */
  | { readonly kind: "lost" };

/** A change of a chain, exactly as it is merged. */
export interface ChainLink {
  readonly change: ChangeId;
  readonly revision: number;
  readonly project: string;
  readonly branch: string;
  readonly commit: string;
}

/** What a branch was before a link of a chain was merged into it, and the commit that it became. */
export interface MergeStep {
  readonly base: string;
  readonly commit: string;
}

/** A change's branch goes from `base` to exactly `commit`. Of several on one branch, each begins where the one before ends. */
export interface LandStep extends MergeStep {
  readonly link: ChainLink;
}

/** What a merger made of a chain. */
export type MergeResult =
  | {
      readonly kind: "merged";
      /** One for each link of the chain, in its order. */
      readonly steps: readonly MergeStep[];
    }
  /** A link of the item itself does not merge; or one before it, which `link` (from 0) tells. */
  | { readonly kind: "conflict"; readonly link: number; readonly detail: string }
  /** It could not be tried. */
  | { readonly kind: "error"; readonly detail: string };

export interface ConfigProblem {
  readonly project: string;
  readonly branch: string;
  readonly file: string;
  /** From 1. */
  readonly line: number | null;
  readonly message: string;
}

/** What is on record of a job that provides something. */
export interface PastProvider {
  readonly job: string;
  readonly provides: readonly string[];
  /** `null`: it never ran. */
  readonly build: BuildId | null;
  /** `null`: it never ran. */
  readonly result: string | null;
}

export type GateEvent =
  /** A change was made, or is not as it was: revision, state, approval, needs. */
  | { readonly kind: "change"; readonly change: Change }
  /** A trigger of these pipelines matched. */
  | { readonly kind: "offer"; readonly subject: ChangeId | RefUpdate; readonly pipelines: readonly string[] }
  | { readonly kind: "merged"; readonly buildset: BuildsetId; readonly result: MergeResult }
  | {
      readonly kind: "frozen";
      readonly buildset: BuildsetId;
      /** As the effect had it; an answer for an older layout is dropped. */
      readonly layout?: number;
      readonly result:
        | { readonly kind: "graph"; readonly graph: JobGraph }
        | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] };
    }
  | { readonly kind: "nodes"; readonly build: BuildId; readonly granted: boolean }
  /** It runs, and will fail: what is behind its item need not wait for its end. `detail`: why, in a sentence. */
  | { readonly kind: "failing"; readonly build: BuildId; readonly detail: string }
  /**
   * It has run, and waits with what it holds for the jobs that depend on it, before its post-run. `childJobs`: of these only
   * those run.
   */
  | { readonly kind: "paused"; readonly build: BuildId; readonly childJobs?: readonly string[] }
  /** `childJobs`: of the jobs that depend on it only these run; the others are skipped. */
  | {
      readonly kind: "ended";
      readonly build: BuildId;
      readonly result: RunResult;
      readonly childJobs?: readonly string[];
    }
  /**
   * `refused`: the forge will not, or the branch was not where it was expected. `moved` says that it was the latter:
   * then the item is tested again on the new tip and is not to blame.
   */
  | {
      readonly kind: "landed";
      readonly buildset: BuildsetId;
      readonly refused: string | null;
      readonly moved?: boolean;
    }
  | { readonly kind: "reported"; readonly report: ReportId }
  /** An answer to an older `lookup` is dropped. */
  | {
      readonly kind: "providersFound";
      readonly item: ItemId;
      readonly lookup: number;
      readonly providers: readonly PastProvider[];
    }
  /** A branch was moved by somebody else than the gate. */
  | { readonly kind: "branchMoved"; readonly project: string; readonly branch: string }
  /** `ignoreNeeds`: sources of dependencies that are not waited for. */
  | {
      readonly kind: "enqueue";
      readonly subject: ChangeId | RefUpdate;
      readonly pipeline: string;
      readonly ignoreRequirements: boolean;
      readonly ignoreNeeds: readonly string[];
    }
  | { readonly kind: "dequeue"; readonly subject: ChangeId | string; readonly pipeline: string }
  /** Puts items ahead of the others of their queue, in this order. */
  | {
      readonly kind: "promote";
      readonly pipeline: string;
      /** Ids of changes and refs. */
      readonly subjects: readonly string[];
    }
  /** Nothing is merged into a branch from now on. `reason` may be empty. */
  | {
      readonly kind: "freezeBranch";
      readonly project: string;
      readonly branch: string;
      readonly reason: string;
      readonly by: string;
    }
  | { readonly kind: "thawBranch"; readonly project: string; readonly branch: string }
  | {
      readonly kind: "configured";
      readonly layout: CoreLayout;
      /** Nobody has configured anything: a process that starts says what it has read. Default: false. */
      readonly atStart?: boolean;
    }
  | { readonly kind: "pause"; readonly on: boolean }
  /** The process has started again: whatever was asked for and not answered is asked for again. */
  | { readonly kind: "restarted" }
  | { readonly kind: "tick" };

export type ReportKind =
  | "enqueue"
  | "start"
  | "success"
  | "failure"
  | "merge-conflict"
  | "config-error"
  | "no-jobs"
  | "dequeue";

/** What a report tells of one job. */
export interface ReportedBuild {
  readonly job: string;
  /** In a cycle: the change that it ran for. */
  readonly change?: ChangeId;
  /** `null` when it never ran. */
  readonly build: BuildId | null;
  readonly result: Result;
  readonly voting: boolean;
}

export type GateEffect =
  /** Merge this chain: the members of the buildset's item are its last links. Answered by `merged`. */
  | { readonly kind: "merge"; readonly buildset: BuildsetId; readonly chain: readonly ChainLink[] }
  /** Freeze the jobs of an item in a pipeline. Answered by `frozen`. */
  | {
      readonly kind: "freeze";
      readonly buildset: BuildsetId;
      readonly pipeline: string;
      /** The last of its members. */
      readonly subject: Subject;
      /** Several are the changes of a cycle: each has jobs of its own. */
      readonly members: readonly Subject[];
      readonly chain: readonly ChainLink[];
      readonly steps: readonly MergeStep[];
      /** Version of the layout that it is frozen under. */
      readonly layout: number;
    }
  /** Answered by `nodes`, in any order that precedence and position allow. */
  | {
      readonly kind: "requestNodes";
      readonly build: BuildId;
      readonly buildset: BuildsetId;
      readonly pipeline: string;
      /** In a cycle: the change whose job it is. */
      readonly subject: Subject;
      readonly job: string;
      /** From 1. */
      readonly attempt: number;
      /** As `startBuild` has them. */
      readonly providers?: readonly BuildId[];
      readonly labels: readonly string[];
      /** Lower is served first. */
      readonly rank: number;
    }
  /** Takes back a request, or gives back the nodes, which are free once nothing runs on them. May be told twice. */
  | { readonly kind: "releaseNodes"; readonly build: BuildId }
  /** Answered by `ended`. Asked again after a restart: then it goes on, or starts, on nodes that count as granted. */
  | {
      readonly kind: "startBuild";
      readonly build: BuildId;
      readonly buildset: BuildsetId;
      readonly item: ItemId;
      readonly pipeline: string;
      /** In a cycle: the change whose job it is. */
      readonly subject: Subject;
      readonly job: string;
      /** From 1. */
      readonly attempt: number;
      /** Builds of items ahead that provide what it requires, farthest first. Absent: none. */
      readonly providers?: readonly BuildId[];
      /**
       * Only after a restart: it is paused, and has no nodes. Unless it is found as it was it is `lost`, so that it begins
       * again with the jobs that depend on it.
       */
      readonly isPaused?: true;
    }
  /** A paused build goes on with its post-run, on nodes that were granted once more. */
  | { readonly kind: "resumeBuild"; readonly build: BuildId }
  /** Whatever it still tells does not matter. Not asked again after a restart: what nobody asked for then ends unheard. */
  | { readonly kind: "cancelBuild"; readonly build: BuildId }
  /**
   * Find the jobs that provide something in the newest buildset that is on record of these in a pipeline. Answered by
   * `providersFound`.
   */
  | {
      readonly kind: "findProviders";
      readonly item: ItemId;
      readonly lookup: number;
      readonly pipeline: string;
      /** `revision`: 0 of a ref. */
      readonly subjects: readonly { readonly id: ChangeId; readonly revision: number }[];
    }
  /** Answered by `reported`. */
  | {
      readonly kind: "report";
      readonly report: ReportId;
      readonly what: ReportKind;
      readonly item: ItemId;
      readonly buildset: BuildsetId | null;
      readonly pipeline: string;
      readonly subject: Subject;
      /** In a sentence, why. */
      readonly reason: string;
      readonly builds: readonly ReportedBuild[];
      readonly problems: readonly ConfigProblem[];
      /** The pipeline has failed too often, and tells it to its `disabled` reporters only. Default: false. */
      readonly isDisabled?: boolean;
    }
  /** Merge the members of an item, all or none. Answered by `landed`; asked twice, the second time finds it done. */
  | {
      readonly kind: "land";
      readonly buildset: BuildsetId;
      readonly item: ItemId;
      readonly pipeline: string;
      /** One for each member, in its order. */
      readonly steps: readonly LandStep[];
    };
