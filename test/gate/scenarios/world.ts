/*
 * Scenarios of the gate, told once and played by several worlds: the simulated one around the pure core, and the real
 * one of servers, git and the command line.
 *
 * Notation: `T1{A,B}` is a build of job T1 for change B with A merged underneath; `✓` it succeeded, `✗` it failed, `∅`
 * it was cancelled after it had started, `↻` its preparation failed, `†` it was lost with its executor. `T1{main}` is one for the
 * branch, and `T1{main@A}` for the branch as it was when A had just been merged.
 */

export interface JobSetup {
  readonly name: string;
  /** Names of jobs; `soft:NAME` for a soft dependency. */
  readonly after?: readonly string[];
  /** Default: true. */
  readonly voting?: boolean;
  /** Holds what follows until it has succeeded. Default: false. */
  readonly holds?: boolean;
  /** Default: 3. */
  readonly attempts?: number;
  /** Runs once for all changes of a cycle that want it. Default: where it requires projects, or they are of one branch. */
  readonly deduplicate?: boolean;
  /** Projects that its builds have besides. */
  readonly requiredProjects?: readonly string[];
  /** Default: 1. */
  readonly nodes?: number;
  /** Its builds wait while they are prepared, and run again when that fails. Default: they wait in their run. */
  readonly prepares?: boolean;
  /** The built-in job that does nothing. Default: false. */
  readonly noop?: boolean;
  /** `false`: the project only names it. Default: true. */
  readonly isDefined?: boolean;
  /** Names; `first:NAME` for one that is taken once the nodes are there. */
  readonly semaphores?: readonly string[];
  /** Tags. */
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
}

export interface ProjectSetup {
  readonly name: string;
  /** Projects of one queue are gated together. Default: a queue of its own. */
  readonly queue?: string;
  /** In `check` and `gate`. */
  readonly jobs: readonly JobSetup[];
  /** In others. Default: none. */
  readonly more?: Readonly<Partial<Record<FurtherPipeline, readonly JobSetup[]>>>;
}

/**
 * `deploy` is serial, and about each change that has merged; `publish` is supercedent, and about each branch that has moved;
 * `merge-check` is about open changes whenever one of their project has merged, and tells of conflicts only; `nightly` is about
 * branches, when the clock strikes.
 */
export type FurtherPipeline = "deploy" | "publish" | "merge-check" | "nightly";

export interface Setup {
  /** Each has a branch `main`, and the others that its changes name. */
  readonly projects: readonly ProjectSetup[];
  /** Of the pipeline `gate`. Default: 20, 3. */
  readonly window?: { readonly size: number; readonly floor: number };
  /** Whether queues allow changes that need each other. Default: false. */
  readonly cycles?: boolean;
  /** Whether there is a pipeline `check`, which tests each new revision. Default: false. */
  readonly check?: boolean;
  /** Whether what enters `gate` leaves `check`. Default: false. */
  readonly supercedes?: boolean;
  /** Whether `check` is also about what needs a change that enters `gate`, and is not approved itself. Default: false. */
  readonly rechecks?: boolean;
  /** `check` tells nobody any more after so many failures in a row. Default: never. */
  readonly disableAfter?: number;
  /** Besides. Default: none. */
  readonly pipelines?: readonly FurtherPipeline[];
  /** `gate` also reports to two connections: `broken` takes nothing, and `working` all. Default: false. */
  readonly reportsElsewhere?: boolean;
  /** Builds that can run at a time. Default: as many as there are. */
  readonly slots?: number;
  /** Room of semaphores. */
  readonly semaphores?: Readonly<Record<string, number>>;
}

export interface ChangeSetup {
  readonly project: string;
  /** Default: `main`. */
  readonly branch?: string;
  /** Files that it writes, with contents of its own. Default: one that no other change writes. */
  readonly files?: readonly string[];
  /** Jobs that its project has from this change on, on its branch. Default: those that it has. */
  readonly config?: readonly JobSetup[];
  /** The change that it is built on in git, at its current revision. Default: the branch. */
  readonly parent?: string;
  /** Names of changes, told with `Depends-On:`. */
  readonly dependsOn?: readonly string[];
}

/** A request to hold the builds of a job that fail; either for a change or for a branch, or for all. */
export interface AutoholdSetup {
  readonly project: string;
  readonly job: string;
  readonly change?: string;
  /** Matched from its beginning. */
  readonly branch?: string;
  /** Default: 1. */
  readonly count?: number;
  /** What is held is let go while the scenario lasts. Default: false. */
  readonly isBrief?: boolean;
}

export type ReportName =
  | "start"
  | "success"
  | "failure"
  | "merge-conflict"
  | "config-error"
  | "no-jobs"
  | "dequeue";

/**
 * What a scenario can do and see. Whatever is done takes effect in its own time; what is expected is waited for, and
 * an expectation that does not come true in the end throws. Builds wait until they are released.
 */
export interface ScenarioWorld {
  /** Proposes a change; its name stands for it from then on. */
  create(name: string, change: ChangeSetup): Promise<void>;
  /** Proposes its next revision. What is not told anew stays as it is; `parent` is taken at its current revision. */
  revise(name: string, change?: Partial<ChangeSetup>): Promise<void>;
  /** Approving is also what triggers `gate`. */
  approve(name: string): Promise<void>;
  unapprove(name: string): Promise<void>;
  abandon(name: string): Promise<void>;
  /** As an operator: puts these ahead of the others of their queue, in this order. */
  promote(pipeline: string, ...names: readonly string[]): Promise<void>;
  /** As an operator. */
  dequeue(name: string, pipeline: string): Promise<void>;
  /** As an operator: has the workspaces of builds that fail held; its name stands for the request from then on. */
  autohold(name: string, wish: AutoholdSetup): Promise<void>;
  /** The clock strikes for `nightly`. */
  strike(): Promise<void>;
  /** As an operator: has all configuration read again. */
  reconfigure(): Promise<void>;
  /** From now on this job fails for this change. */
  fail(job: string, change: string): Promise<void>;
  /** Has a build that runs say that it will fail; it goes on. */
  failEarly(build: string): Promise<void>;
  /** From now on this job succeeds for this change, as every other one does. */
  pass(job: string, change: string): Promise<void>;
  /** Has a build that runs ask to be paused, and end its run. It succeeds when it has gone on. */
  pauseBuild(build: string): Promise<void>;
  /** Has a build that runs say which of the jobs that depend on it run. */
  chooseChildren(build: string, ...jobs: readonly string[]): Promise<void>;
  /** Has a build that runs be lost, as with its executor. */
  lose(build: string): Promise<void>;
  /** Has these builds end, which must be running; without names all that run, and those that follow them. */
  release(...builds: readonly string[]): Promise<void>;
  /** From now on the forge will not merge this change. */
  refuseMerge(name: string): Promise<void>;

  /** Exactly these builds run, in any order. */
  expectRunning(...builds: readonly string[]): Promise<void>;
  /** Exactly these builds have ended, in any order. */
  expectHistory(...builds: readonly string[]): Promise<void>;
  /** Of the builds that are prepared, exactly these went on to their run, in any order. */
  expectRun(...builds: readonly string[]): Promise<void>;
  /** Exactly these builds are held for a request, in any order, and so many are still to be. */
  expectHeld(name: string, left: number, ...builds: readonly string[]): Promise<void>;
  /** The time of all that was held for a brief request, which asks for no more, has passed, and it is gone. */
  expectLetGo(name: string): Promise<void>;
  /** Builds of exactly these jobs and changes, as `J of A`, provide what this one requires, which runs. */
  expectProviders(build: string, ...providers: readonly string[]): Promise<void>;
  /** Exactly these reports were made of a change, in this order. Only `gate` tells of the start, and nobody of a dequeue. */
  expectReports(name: string, ...reports: readonly ReportName[]): Promise<void>;
  /** Exactly these reports of a change were taken by the connection `working`, and are not by `broken`, in this order. */
  expectReportsElsewhere(name: string, ...reports: readonly ReportName[]): Promise<void>;
  /** The newest report of a change says this somewhere, change names as they are in the scenario. */
  expectReason(name: string, text: string): Promise<void>;
  /** The gate has said this about a line of a file of a change. */
  expectComment(name: string, file: string, text: string): Promise<void>;
  /** Exactly these changes have merged, in this order. */
  expectMerged(...names: readonly string[]): Promise<void>;
  /** Exactly these changes wait to enter `gate`, in any order. */
  expectWaiting(...names: readonly string[]): Promise<void>;
  /** Exactly these are in a pipeline, queues one after the other: live ones as `A`, others as `(A)`, cycles as `B+A`. */
  expectQueue(pipeline: string, ...names: readonly string[]): Promise<void>;
  /** Of the queue that a project is in, in `gate`. */
  expectWindow(project: string, window: number): Promise<void>;
}

export interface Scenario {
  readonly title: string;
  readonly setup: Setup;
  readonly play: (world: ScenarioWorld) => Promise<void>;
}

const M: JobSetup = { name: "M", holds: true };
const T1: JobSetup = { name: "T1", after: ["M"], attempts: 4 };
const T2: JobSetup = { name: "T2", after: ["M"] };
const INT: JobSetup = { name: "INT", after: ["M"] };

/** P is gated alone, P1 and P2 together. M holds what follows. */
export const PROJECTS: readonly ProjectSetup[] = [
  { name: "P", jobs: [M, T1, T2] },
  { name: "P1", queue: "integrated", jobs: [M, T1, T2, INT] },
  { name: "P2", queue: "integrated", jobs: [M, T1, T2, INT] },
];

/** One job for each of two projects that are gated together; enough where jobs are not what it is about. */
export const SMALL: readonly ProjectSetup[] = [
  { name: "P", jobs: [{ name: "J" }] },
  { name: "P1", queue: "integrated", jobs: [{ name: "J" }] },
  { name: "P2", queue: "integrated", jobs: [{ name: "J" }] },
];
