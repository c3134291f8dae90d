import type { CoreLayout, Precedence, QueueRules, ReportKind } from "../core/index.ts";
import type { LoadedProject } from "./branches.ts";
import {
  explainJobs,
  type FreezeResult,
  type FreezeSubject,
  freezeJobs,
  type JobExplanation,
} from "./freeze.ts";
import type {
  JobVariant,
  MergeMode,
  NamedNodeset,
  PipelineDefinition,
  ProjectStanza,
  QueueDefinition,
  ReporterAction,
  SecretDefinition,
  SemaphoreDefinition,
  Trigger,
} from "./model.ts";
import { anyMatches } from "./regex.ts";
import { includesBranch, type Tenant } from "./tenant.ts";

/** What happened in a forge that may start a pipeline. */
export type ForgeEvent =
  /** A change was pushed, or a new revision of it. */
  | { readonly kind: "change-created"; readonly project: string; readonly branch: string }
  | { readonly kind: "approved" | "change-merged"; readonly project: string; readonly branch: string }
  | { readonly kind: "comment"; readonly project: string; readonly branch: string; readonly text: string }
  | {
      readonly kind: "ref-updated";
      readonly project: string;
      /** `refs/heads/main` */
      readonly ref: string;
      /** `null`: it was deleted. */
      readonly newCommit: string | null;
    };

/** What a pipeline does to tell something, and in which words. */
export interface Reporting {
  readonly actions: readonly ReporterAction[];
  readonly message: string;
  readonly footer: string;
}

/** What the files say, item by item, once it is known which of them count. */
export interface LayoutParts {
  readonly tenant: Tenant;
  readonly version: number;
  readonly projects: ReadonlyMap<string, LoadedProject>;
  readonly pipelines: ReadonlyMap<string, PipelineDefinition>;
  /** Definitions of each job, in the order of the configuration. */
  readonly jobs: ReadonlyMap<string, readonly JobVariant[]>;
  readonly nodesets: ReadonlyMap<string, NamedNodeset>;
  readonly queues: ReadonlyMap<string, QueueDefinition>;
  readonly semaphores: ReadonlyMap<string, SemaphoreDefinition>;
  readonly secrets: ReadonlyMap<string, SecretDefinition>;
  readonly templates: ReadonlyMap<string, readonly ProjectStanza[]>;
  /** By project: those that name it, then those whose regular expression does. */
  readonly stanzas: ReadonlyMap<string, readonly ProjectStanza[]>;
}

/** A tenant's configuration, as it is in effect. Immutable; what is asked of it is found from its parts. */
export class Layout {
  readonly parts: LayoutParts;

  constructor(parts: LayoutParts) {
    this.parts = parts;
  }

  get version(): number {
    return this.parts.version;
  }

  get tenant(): Tenant {
    return this.parts.tenant;
  }

  /** In the order of the configuration. */
  get pipelines(): readonly PipelineDefinition[] {
    return [...this.parts.pipelines.values()];
  }

  /** What scheduling must know of it. */
  toCoreLayout(): CoreLayout {
    const { version, projects, queues } = this.parts;
    const { maxChangesPerPipeline, maxDependencies } = this.tenant;
    const named = new Map<string, QueueRules>();
    for (const project of projects.keys()) {
      const name = this.queueOf(project);
      if (name === null) continue;
      const { perBranch = false, allowsCycles = false } = queues.get(name) ?? {};
      named.set(project, { name, perBranch, ...(allowsCycles ? { allowsCycles } : {}) });
    }
    return {
      version,
      projects: new Set(projects.keys()),
      ...(maxDependencies === null ? {} : { maxDependencies }),
      ...(maxChangesPerPipeline === undefined ? {} : { maxChangesPerPipeline }),
      semaphores: new Map([...this.parts.semaphores.values()].map(({ name, max }) => [name, max])),
      pipelines: this.pipelines.map((pipeline) => ({
        name: pipeline.name,
        manager: pipeline.manager,
        precedence: pipeline.precedence,
        require: pipeline.require,
        reject: pipeline.reject,
        dequeueOnNewRevision: pipeline.dequeueOnNewRevision,
        ignoreDependencies: pipeline.ignoreDependencies,
        window: pipeline.window,
        supercedes: pipeline.supercedes,
        triggers: pipeline.innerTriggers,
        disableAfter: pipeline.disableAfter,
        queues: pipeline.manager === "supercedent" ? new Map() : named,
      })),
    };
  }

  /**
   * Names of the pipelines that an event starts, in the order of the configuration. None of a project or a branch that is not the
   * tenant's.
   */
  triggersMatching(event: ForgeEvent): readonly string[] {
    const project = this.parts.projects.get(event.project);
    if (project === undefined) return [];
    const branch = event.kind === "ref-updated" ? branchOf(event.ref) : event.branch;
    if (branch !== null && !includesBranch(project, branch)) return [];
    return this.pipelines
      .filter(({ triggers }) => triggers.some((trigger) => triggerMatches(trigger, event, branch)))
      .map(({ name }) => name);
  }

  /**
   * What a pipeline does to tell something of that kind. A conflict of a merge and an error of the configuration are told as a
   * failure where nothing else is said.
   * @param isDisabled It has failed too often: what it tells at the end goes to its `disabled` reporters. Default: false.
   */
  reportersOf(pipeline: string, kind: ReportKind, isDisabled = false): Reporting {
    const found = this.parts.pipelines.get(pipeline);
    if (found === undefined) return { actions: [], message: "", footer: "" };
    const { reporters, disabledReporters, messages, footer } = found;
    const message = messages[kind].replaceAll("{pipeline}", pipeline);
    if (isDisabled) {
      const isFinal = kind !== "start" && kind !== "enqueue" && kind !== "dequeue";
      return { actions: isFinal ? disabledReporters : [], message, footer };
    }
    const isFailure = kind === "merge-conflict" || kind === "config-error";
    const actions = reporters[kind] ?? (isFailure ? reporters.failure : undefined) ?? [];
    return { actions, message, footer };
  }

  /** How changes of a project are merged: what its first `project` item with a `merge-mode` says. Default: merge. */
  mergeModeOf(project: string): MergeMode {
    return this.#first(project, ({ mergeMode }) => mergeMode) ?? "merge";
  }

  /** The branch of a repository that is checked out where no other is asked for. `null`: the project is not the tenant's. */
  defaultBranchOf(project: string): string | null {
    const written = this.#first(project, ({ defaultBranch }) => defaultBranch);
    return written ?? this.parts.projects.get(project)?.defaultBranch ?? null;
  }

  /** Name of the queue that a project shares with others. `null`: it has one of its own in each pipeline. */
  queueOf(project: string): string | null {
    const { templates } = this.parts;
    const queue = this.#first(
      project,
      (stanza) =>
        stanza.queue ??
        stanza.templates.flatMap(({ name }) => templates.get(name) ?? []).find((template) => template.queue)
          ?.queue,
    );
    return queue ?? null;
  }

  precedenceOf(pipeline: string): Precedence {
    return this.parts.pipelines.get(pipeline)?.precedence ?? "normal";
  }

  /** The jobs that run for a subject in a pipeline, each with all that running it needs. */
  freeze(pipeline: string, subject: FreezeSubject): FreezeResult {
    return freezeJobs(this.parts, pipeline, subject);
  }

  /** Of each job that the project has in a pipeline: whether it runs for this subject, and why. */
  explainJobs(pipeline: string, subject: FreezeSubject): readonly JobExplanation[] {
    return explainJobs(this.parts, pipeline, subject);
  }

  #first<T>(project: string, of: (stanza: ProjectStanza) => T | undefined): T | undefined {
    for (const stanza of this.parts.stanzas.get(project) ?? []) {
      const found = of(stanza);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function branchOf(ref: string): string | null {
  return ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
}

function triggerMatches(trigger: Trigger, event: ForgeEvent, branch: string | null): boolean {
  const { events, branches, comments, refs, ignoreDeletes } = trigger;
  if (!events.has(event.kind)) return false;
  if (branches.length > 0 && (branch === null || !anyMatches(branches, branch))) return false;
  if (event.kind === "ref-updated") {
    if (event.newCommit === null && ignoreDeletes) return false;
    return refs.length === 0 || anyMatches(refs, event.ref);
  }
  if (event.kind !== "comment") return true;
  return comments.length === 0 || comments.some((regex) => regex.isIn(event.text));
}
