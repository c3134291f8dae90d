import type {
  InnerTriggers,
  PipelineRules,
  Precedence,
  ReportKind,
  Requirements,
  SemaphoreUse,
  WindowRules,
} from "../core/index.ts";
import type { SecretValue } from "../secrets/encrypted.ts";
import type { Regex } from "./regex.ts";
import type { BuildInput } from "./schema.ts";

/* What files of configuration say, item by item, before it is known whether the items fit each other. All of it is immutable. */

/** Where an item stands. */
export interface Origin {
  readonly project: string;
  readonly branch: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Of a config-project. */
  readonly trusted: boolean;
}

/** Any JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Variables = Readonly<Record<string, Json>>;

/** Which branches an item is for. `null`: any. An implied matcher is compared as a whole, a written one from the start. */
export type BranchRule = { readonly exact: string } | { readonly any: readonly Regex[] } | null;

/**
 * One step of a phase, as a job writes it: an executable or a playbook (`.yaml`, `.yml`) of the defining repository, or a command
 * in the change's project.
 */
export type Step = { readonly path: string } | { readonly argv: readonly string[] };

/** A repository that playbooks find roles in. */
export interface RoleSource {
  readonly project: string;
  /** Of a repository that is one role: what playbooks call it. */
  readonly name: string;
  /** The definition's own repository, which need not have any. */
  readonly implicit: boolean;
}

/** That a definition's files get a secret, as a variable of that name. */
export interface SecretUse {
  readonly name: string;
  readonly secret: string;
  /** The files of the definitions before it, too. */
  readonly passToParent: boolean;
}

/** What is encrypted in it stays so until a build has begun. */
export interface SecretDefinition {
  readonly name: string;
  readonly origin: Origin;
  readonly data: Readonly<Record<string, SecretValue>>;
}

/** A file that variables are read from. */
export interface IncludedFile {
  readonly path: string;
  /** `null`: that of the change under test. `undefined`: that of the definition. */
  readonly project: string | null | undefined;
  /** Whether the job fails without it. Default: true. */
  readonly required: boolean;
  /** Of a branch or tag that its project is about: that one rather than a branch. Default: true. */
  readonly useRef: boolean;
}

export interface RequiredProject {
  readonly name: string;
  readonly overrideCheckout: string | null;
}

export interface JobDependency {
  readonly name: string;
  readonly soft: boolean;
}

export interface NodesetDefinition {
  readonly nodes: readonly { readonly names: readonly string[]; readonly label: string }[];
  readonly groups: readonly { readonly name: string; readonly nodes: readonly string[] }[];
  /** In place of nodes and groups: the first of which there can be enough. */
  readonly alternatives?: readonly (string | NodesetDefinition)[];
}

/** What one definition of a job sets; what it leaves open is `undefined`. Names are those of Zuul's attributes. */
export interface JobAttributes {
  readonly description?: string;
  readonly abstract?: boolean;
  readonly intermediate?: boolean;
  readonly final?: boolean;
  readonly protected?: boolean;
  readonly voting?: boolean;
  readonly files?: readonly Regex[];
  readonly irrelevantFiles?: readonly Regex[];
  readonly matchOnConfigUpdates?: boolean;
  readonly tags?: readonly string[];
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
  readonly allowedProjects?: readonly string[];
  readonly postReview?: true;
  readonly dependencies?: readonly JobDependency[];
  readonly holdFollowingChanges?: boolean;
  readonly semaphores?: readonly SemaphoreUse[];
  /** Regular expressions, each for the beginning of a line. */
  readonly failureOutput?: readonly string[];
  readonly nodeset?: string | NodesetDefinition;
  /** `false`: repositories in the workspace have no files. */
  readonly workspaceCheckout?: boolean;
  readonly includeVars?: readonly IncludedFile[];
  /** Seconds. */
  readonly timeout?: number;
  readonly preTimeout?: number;
  readonly postTimeout?: number;
  readonly attempts?: number;
  readonly workspaceScheme?: "golang" | "flat" | "unique";
  readonly preRun?: readonly Step[];
  readonly run?: readonly Step[];
  readonly postRun?: readonly Step[];
  readonly requiredProjects?: readonly RequiredProject[];
  readonly overrideCheckout?: string;
  readonly vars?: Variables;
  readonly extraVars?: Variables;
  /** By node. */
  readonly hostVars?: Readonly<Record<string, Variables>>;
  /** By group of nodes. */
  readonly groupVars?: Readonly<Record<string, Variables>>;
  readonly roles?: readonly RoleSource[];
  readonly secrets?: readonly SecretUse[];
  readonly successMessage?: string;
  readonly failureMessage?: string;
  readonly network?: boolean;
  readonly deduplicate?: Deduplicate;
  readonly reuse?: boolean;
  /** Added to those of the parents, which go on needing theirs. */
  readonly inputs?: readonly BuildInput[];
  /** Seconds. */
  readonly maxAge?: number;
}

/**
 * Whether a job that several changes of a cycle want, and that is the same for all of them, runs once. `auto`: where it
 * names `required-projects`, so that it sees the same repositories, or the changes are of one project.
 */
export type Deduplicate = boolean | "auto";

/** What becomes of what a job has already, where a definition says otherwise than is usual for the attribute. */
export type InheritanceControls = Readonly<Partial<Record<keyof JobAttributes, "override" | "inherit">>>;

/** One definition of a job; those of one name add up. */
export interface JobVariant {
  readonly name: string;
  readonly origin: Origin;
  /** Stands in a project's pipeline: it is for each branch that the project's item is for. */
  readonly isOfProject: boolean;
  /** `null`: a base job. `undefined`: not said. */
  readonly parent: string | null | undefined;
  readonly attributes: JobAttributes;
  readonly controls: InheritanceControls;
  /** Attributes, by their names as written, that nobody may set after this definition. */
  readonly finalAttributes: readonly string[];
  /** As written. */
  readonly branches: readonly Regex[] | undefined;
  /** From a pragma, in place of the branch that the file is on. */
  readonly impliedBranches: readonly Regex[] | undefined;
  /** From a pragma: whether a matcher is implied at all. */
  readonly impliesBranches: boolean | undefined;
  /** Lines of attributes that name other things. */
  readonly lines: Readonly<Record<string, number>>;
}

/** A project's part in a pipeline. */
export interface ProjectPipeline {
  readonly failFast: boolean | undefined;
  /** In the order written. Their `parent` and implied branches are not used. */
  readonly jobs: readonly JobVariant[];
  readonly line: number;
}

/** A `project` or `project-template`. */
export interface ProjectStanza {
  /** `null`: the project in whose repository it stands. Begins with `^`: a regular expression. */
  readonly name: string | null;
  readonly nameRegex: Regex | undefined;
  readonly origin: Origin;
  readonly branches: readonly Regex[] | undefined;
  readonly impliedBranches: readonly Regex[] | undefined;
  readonly impliesBranches: boolean | undefined;
  readonly templates: readonly { readonly name: string; readonly line: number }[];
  readonly mergeMode: MergeMode | undefined;
  readonly defaultBranch: string | undefined;
  readonly queue: string | undefined;
  readonly vars: Variables;
  readonly pipelines: ReadonlyMap<string, ProjectPipeline>;
}

export type MergeMode =
  | "merge"
  | "merge-resolve"
  | "merge-recursive"
  | "merge-ort"
  | "cherry-pick"
  | "squash-merge"
  | "rebase";

export interface QueueDefinition {
  readonly name: string;
  readonly origin: Origin;
  readonly perBranch: boolean;
  /** Changes that need each other are one item. */
  readonly allowsCycles: boolean;
}

export interface SemaphoreDefinition {
  readonly name: string;
  readonly origin: Origin;
  /** Builds that may hold it at a time. */
  readonly max: number;
}

export interface NamedNodeset extends NodesetDefinition {
  readonly name: string;
  readonly origin: Origin;
}

/** An event of the local driver that starts a pipeline. */
export interface Trigger {
  readonly events: ReadonlySet<string>;
  readonly branches: readonly Regex[];
  readonly comments: readonly Regex[];
  readonly refs: readonly Regex[];
  readonly ignoreDeletes: boolean;
}

/** When a pipeline is started by the clock. */
export interface TimerTrigger {
  /** As croner has it: seconds, minute, hour, day of the month, month, day of the week. In UTC. */
  readonly cron: string;
  /** At most so many seconds later, by chance. */
  readonly jitterSec: number;
  /** Whether its items are about the commit that the branch is at when they come in. Default: false. */
  readonly dereference: boolean;
}

/** What a pipeline does to tell something. */
export type ReporterAction = LocalAction | ConnectionAction;

/** What a connection is told: that and how a report goes there. */
export interface ConnectionAction {
  readonly driver: "connection";
  /** Name of the connection. */
  readonly connection: string;
  /** Of a mail; `null`: the connection's own. */
  readonly to: string | null;
  readonly from: string | null;
  /** With placeholders. `null`: Zuul's. */
  readonly subject: string | null;
  readonly line: number;
}

/** What a mail's subject may tell of a report. Empty: it does not apply. */
export interface MailFacts {
  readonly pipeline: string;
  readonly project: string;
  readonly branch: string;
  /** `refs/changes/12/3`, or the ref itself. */
  readonly ref: string;
  /** The kind of the report. */
  readonly result: string;
  readonly change?: {
    /** `12,3` */
    readonly name: string;
    readonly number: string;
    readonly revision: string;
    readonly title: string;
    readonly owner: string;
    readonly topic: string;
    readonly url: string;
  };
}

/** What the local driver does to tell something. */
export interface LocalAction {
  readonly driver: "local";
  /** `null`: no vote. */
  readonly vote: -1 | 0 | 1 | null;
  /** Whether the text is written on the change. Default: true. */
  readonly comment: boolean;
  /** Whether the change is merged. Default: false. */
  readonly merge: boolean;
}

export interface PipelineDefinition {
  readonly name: string;
  readonly origin: Origin;
  readonly description: string | null;
  readonly manager: PipelineRules["manager"];
  readonly precedence: Precedence;
  readonly postReview: boolean;
  readonly supercedes: readonly string[];
  readonly dequeueOnNewRevision: boolean;
  readonly ignoreDependencies: boolean;
  readonly window: WindowRules;
  readonly triggers: readonly Trigger[];
  readonly timers: readonly TimerTrigger[];
  readonly innerTriggers: InnerTriggers;
  /** `null`: never. */
  readonly disableAfter: number | null;
  /** What it does to tell anything after so many failures. */
  readonly disabledReporters: readonly ReporterAction[];
  readonly require: Requirements;
  readonly reject: Requirements;
  readonly reporters: Readonly<Record<ReportKind, readonly ReporterAction[] | undefined>>;
  readonly messages: Readonly<Record<ReportKind, string>>;
  readonly footer: string;
  readonly supercedesLine: number;
}

/** All items of one file. */
export interface ParsedFile {
  readonly jobs: readonly JobVariant[];
  readonly projects: readonly ProjectStanza[];
  readonly templates: readonly ProjectStanza[];
  readonly pipelines: readonly PipelineDefinition[];
  readonly queues: readonly QueueDefinition[];
  readonly nodesets: readonly NamedNodeset[];
  readonly semaphores: readonly SemaphoreDefinition[];
  readonly secrets: readonly SecretDefinition[];
  /** `job unit-tests`: what is named in the file but was refused, so that nobody calls it unknown. */
  readonly refused: readonly string[];
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}
