import { isDeepStrictEqual } from "node:util";
import type { ConfigProblem, FrozenJob, JobGraph, SemaphoreUse } from "../core/index.ts";
import { type BranchedSubject, branchRule, ruleAccepts, showRule } from "./branches.ts";
import { isConfigPath } from "./files.ts";
import {
  type IncludedVars,
  Inheritance,
  mergeVariables,
  type PhaseStep,
  type RefusedVariant,
} from "./inherit.ts";
import type { LayoutParts } from "./layout.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import type {
  JobDependency,
  JobVariant,
  Origin,
  RequiredProject,
  SecretDefinition,
  Variables,
} from "./model.ts";
import { suggestion } from "./nearest.ts";
import { alternativesOf, firstThatFits } from "./nodesets.ts";
import { showRegex } from "./regex.ts";
import type { BuildInput } from "./schema.ts";

/** What jobs are frozen for. */
export interface FreezeSubject extends BranchedSubject {
  readonly project: string;
  /** Files that the change touches. `null`: not known, so that file matchers are passed over. */
  readonly files: readonly string[] | null;
  /**
   * Of a change of the configuration: the one before it, where jobs are frozen by the one after it, and the other way round.
   * Jobs that differ run whatever files they are for.
   */
  readonly compared?: LayoutParts;
  /** As many as a job can ever have at a time: alternatives of a nodeset that want more are passed over. Default: not known. */
  readonly maxNodes?: number;
}

/** A job as it runs for one item: plain JSON. */
export interface FrozenJobDefinition {
  readonly name: string;
  readonly description: string | null;
  readonly voting: boolean;
  readonly attempts: number;
  readonly dependencies: readonly JobDependency[];
  readonly holdFollowingChanges: boolean;
  /** In the order of their names. */
  readonly semaphores: readonly SemaphoreUse[];
  readonly tags: readonly string[];
  /** Absent: none, as in the next. In the order of their names. */
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
  readonly postReview: boolean;
  /** Of pre-run and run together, in seconds: the job's, else the tenant's longest. `null`: no limit. */
  readonly timeoutSec: number | null;
  /** Of each step of pre-run, within that. `null`: no limit of its own. */
  readonly preTimeoutSec: number | null;
  /** Of each step of post-run. */
  readonly postTimeoutSec: number | null;
  /** Name as in the configuration. `null`: given in place, or none. */
  readonly nodeset: string | null;
  readonly nodes: readonly { readonly names: readonly string[]; readonly label: string }[];
  readonly groups: readonly { readonly name: string; readonly nodes: readonly string[] }[];
  readonly workspaceScheme: "golang" | "flat" | "unique";
  /** Absent: true. */
  readonly workspaceCheckout?: false;
  readonly overrideCheckout: string | null;
  readonly requiredProjects: readonly RequiredProject[];
  /** In the order in which they run: the parent's first. */
  readonly preRun: readonly PhaseStep[];
  readonly run: readonly PhaseStep[];
  /** In the order in which they run: the parent's last. */
  readonly postRun: readonly PhaseStep[];
  /** Those of the project beneath those of the job. */
  readonly vars: Variables;
  readonly extraVars: Variables;
  /** Absent: none, as in the next. */
  readonly hostVars?: Readonly<Record<string, Variables>>;
  /** What variables are read from, beneath all others, in the order in which they count more. */
  readonly includeVars?: readonly IncludedVars[];
  readonly groupVars?: Readonly<Record<string, Variables>>;
  /** Those that its files get, by name. Absent: none. Encrypted as they are in the configuration. */
  readonly secrets?: Readonly<
    Record<string, { readonly project: string; readonly data: SecretDefinition["data"] }>
  >;
  /** Names of variables that definitions of untrusted projects have set, or files of such: no templates to trusted playbooks. */
  readonly untrustedVars?: readonly string[];
  /** Why a build of it cannot begin, in a sentence. Absent: it can. */
  readonly impossible?: string;
  readonly network: boolean;
  /** Absent: `auto`. */
  readonly deduplicate?: boolean;
  readonly reuse: boolean;
  readonly inputs: readonly BuildInput[];
  /** How old a result may be that is reused, in seconds. */
  readonly maxAgeSec: number;
  readonly successMessage: string | null;
  readonly failureMessage: string | null;
  /** Lines of the run that begin so say that it fails. */
  readonly failureOutput: readonly string[];
  /** Each definition that made it, the oldest ancestor's first. */
  readonly inheritance: readonly (Origin & { readonly job: string })[];
}

export type FreezeResult =
  | {
      readonly kind: "graph";
      readonly graph: JobGraph;
      readonly jobs: ReadonlyMap<string, FrozenJobDefinition>;
    }
  | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] };

/** Why a job runs or does not, in sentences. */
export interface JobExplanation {
  readonly job: string;
  readonly runs: boolean;
  readonly reasons: readonly string[];
  /** Of one that runs: see `FrozenJobDefinition.inheritance`. */
  readonly inheritance: FrozenJobDefinition["inheritance"];
}

/** The label of the node of a job that names none: it runs on the executor, and takes a slot of it. */
export const LOCAL_LABEL = "local";

/** How old a result may be that is reused, where the job does not say: 7 days. */
export const DEFAULT_MAX_AGE_SEC = 7 * 86_400;

/** The job that always succeeds and runs nowhere. */
export const NOOP = "noop";

/** What a project's items and templates say about a pipeline, for one subject. */
interface ProjectJobs {
  /** By name, in the order of the configuration. */
  readonly jobs: ReadonlyMap<string, readonly JobVariant[]>;
  readonly failFast: boolean;
  readonly vars: Variables;
  /** Names of those that untrusted items have set. */
  readonly untrustedVars: ReadonlySet<string>;
}

export function projectJobs(parts: LayoutParts, pipeline: string, subject: FreezeSubject): ProjectJobs {
  const jobs = new Map<string, JobVariant[]>();
  let failFast = false;
  let vars: Variables = {};
  const untrustedVars = new Set<string>();
  for (const stanza of parts.stanzas.get(subject.project) ?? []) {
    if (!ruleAccepts(branchRule(stanza, parts.projects.get(stanza.origin.project)), subject)) continue;
    const templates = stanza.templates.flatMap(({ name }) => parts.templates.get(name) ?? []);
    for (const one of [...templates, stanza]) {
      const part = one.pipelines.get(pipeline);
      if (one !== stanza) {
        if (part === undefined) continue;
        if (!ruleAccepts(branchRule(one, parts.projects.get(one.origin.project)), subject)) continue;
      }
      vars = mergeVariables(vars, one.vars);
      if (!one.origin.trusted) for (const name of Object.keys(one.vars)) untrustedVars.add(name);
      if (part === undefined) continue;
      failFast = part.failFast ?? failFast;
      for (const job of part.jobs) {
        const list = jobs.get(job.name);
        if (list === undefined) jobs.set(job.name, [job]);
        else if (!list.includes(job)) list.push(job);
      }
    }
  }
  return { jobs, failFast, vars, untrustedVars };
}

export function freezeJobs(parts: LayoutParts, pipeline: string, subject: FreezeSubject): FreezeResult {
  const project = projectJobs(parts, pipeline, subject);
  const problems: ConfigProblem[] = [];
  const jobs = new Map<string, FrozenJobDefinition>();
  for (const [name, variants] of project.jobs) {
    if (jobs.size >= CONFIG_LIMITS.maxJobs) {
      problems.push(problemAt(variants[0]!.origin, `an item may have ${CONFIG_LIMITS.maxJobs} jobs`));
      break;
    }
    const found = freezeJob(parts, pipeline, subject, project, name, variants);
    if (found.kind === "problem") problems.push(found.problem);
    else if (found.kind === "job") jobs.set(name, found.job);
  }
  if (problems.length === 0) problems.push(...dependencyProblems(parts, project, jobs));
  if (problems.length > 0) return { kind: "problems", problems };
  const graph: JobGraph = { failFast: project.failFast, jobs: [...jobs.values()].map(forCore) };
  return { kind: "graph", graph, jobs };
}

export function explainJobs(
  parts: LayoutParts,
  pipeline: string,
  subject: FreezeSubject,
): readonly JobExplanation[] {
  const project = projectJobs(parts, pipeline, subject);
  const jobs = new Map<string, FrozenJobDefinition>();
  const explanations = new Map<string, JobExplanation>();
  for (const [job, variants] of project.jobs) {
    const reasons: string[] = [];
    const found = freezeJob(parts, pipeline, subject, project, job, variants, reasons);
    if (found.kind === "problem") reasons.push(`It cannot run: ${found.problem.message}.`);
    if (found.kind === "job") jobs.set(job, found.job);
    const runs = found.kind === "job";
    explanations.set(job, { job, runs, reasons, inheritance: runs ? found.job.inheritance : [] });
  }
  for (const { job, message } of dependencyFaults(parts, jobs)) {
    const { reasons } = explanations.get(job)!;
    const why = [...reasons, `It cannot run: ${message}.`];
    explanations.set(job, { job, runs: false, reasons: why, inheritance: [] });
  }
  return [...explanations.values()];
}

type Found =
  | { readonly kind: "job"; readonly job: FrozenJobDefinition }
  | { readonly kind: "problem"; readonly problem: ConfigProblem }
  | { readonly kind: "skipped" };

/** @param reasons Takes sentences that say what was found, for people. */
function freezeJob(
  parts: LayoutParts,
  pipeline: string,
  subject: FreezeSubject,
  project: ProjectJobs,
  name: string,
  variants: readonly JobVariant[],
  reasons?: string[],
): Found {
  const at = variants[0]!.origin;
  const problem = (message: string): Found => ({ kind: "problem", problem: problemAt(at, message) });
  const collected: JobVariant[] = [];
  if (name !== NOOP) {
    const missing = missingJob(parts, name, "job");
    if (missing !== undefined) return problem(missing);
    const found = collect(parts, name, subject, collected, new Set(), reasons);
    if (found === false) return { kind: "skipped" };
    if (found !== true) return problem(found);
  }
  const local = variants.filter((variant) => accepts(parts, variant, subject, reasons));
  if (local.length === 0) return { kind: "skipped" };

  const inheritance = new Inheritance(name);
  try {
    for (const variant of [...collected, ...local]) inheritance.apply(variant);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return problem(error.message);
  }
  const job = definition(parts, inheritance, project, subject);
  if (typeof job === "string") return problem(job);
  if (!filesAccept(inheritance, subject, reasons)) {
    if (inheritance.matchOnConfigUpdates && altersJob(pipeline, subject, job)) {
      reasons?.push("It runs since the change alters the job itself.");
    } else return { kind: "skipped" };
  }
  if (name !== NOOP) {
    const allowed = inheritance.allowedProjects;
    if (inheritance.abstract) return problem(`job ${name} is abstract, so that it cannot run itself`);
    if (allowed !== undefined && !allowed.has(subject.project)) {
      return problem(`project ${subject.project} is not among the allowed-projects of job ${name}`);
    }
    if (inheritance.isPostReviewForSecrets && parts.pipelines.get(pipeline)?.postReview !== true) {
      return problem(
        `pipeline ${pipeline} does not allow post-review job ${name}: it gives a secret to what an unreviewed change could alter`,
      );
    }
    if (inheritance.postReview && parts.pipelines.get(pipeline)?.postReview !== true) {
      return problem(`job ${name} is post-review, and pipeline ${pipeline} is not`);
    }
    if (job.run.length === 0) return problem(`job ${name} has nothing to run: it needs run or command`);
  }
  reasons?.push(`It runs: ${name} in ${pipeline}, as ${show(at)} says.`);
  return { kind: "job", job };
}

function isRefusal(error: unknown): error is RefusedVariant {
  return error instanceof Error && error.name === "RefusedVariant";
}

/** Whether this definition is for the branch of the subject. */
function accepts(
  parts: LayoutParts,
  variant: JobVariant,
  subject: FreezeSubject,
  reasons: string[] | undefined,
): boolean {
  const rule = variant.isOfProject
    ? variant.branches === undefined
      ? null
      : { any: variant.branches }
    : branchRule(variant, parts.projects.get(variant.origin.project));
  if (ruleAccepts(rule, subject)) return true;
  reasons?.push(
    `${variant.isOfProject ? "The project's" : "The"} definition of ${variant.name} at ${show(variant.origin)} is for ${showRule(rule)}, ` +
      `not for ${subject.branch ?? subject.ref ?? "this ref"}.`,
  );
  return false;
}

/**
 * Gathers the definitions of a job and its ancestors that are for the branch, ancestors first.
 * @returns False when the job or an ancestor has none; a sentence when the configuration is at fault.
 */
function collect(
  parts: LayoutParts,
  name: string,
  subject: FreezeSubject,
  collected: JobVariant[],
  path: Set<string>,
  reasons: string[] | undefined,
): boolean | string {
  if (path.size > CONFIG_LIMITS.maxAncestors)
    return `job ${name} has more than ${CONFIG_LIMITS.maxAncestors} ancestors`;
  path.add(name);
  let matched = false;
  for (const variant of parts.jobs.get(name) ?? []) {
    if (!accepts(parts, variant, subject, reasons)) continue;
    // A further definition of a job goes on where the first left off.
    const parent =
      variant.parent === undefined && collected.length === 0 ? parts.tenant.defaultParent : variant.parent;
    if (parent != null && !path.has(parent)) {
      const missing = missingJob(parts, parent, `the parent of job ${name}`);
      if (missing !== undefined) return missing;
      const found = collect(parts, parent, subject, collected, path, reasons);
      if (found !== true) return found;
    }
    matched = true;
    if (!collected.includes(variant)) collected.push(variant);
  }
  if (!matched) reasons?.push(`No definition of ${name} is for this branch.`);
  return matched;
}

function missingJob(parts: LayoutParts, name: string, what: string): string | undefined {
  if (parts.jobs.has(name)) return undefined;
  return `${what === "job" ? `job ${name}` : `${what}, ${name},`} is not defined${suggestion(name, parts.jobs.keys())}`;
}

function filesAccept(job: Inheritance, { files }: FreezeSubject, reasons: string[] | undefined): boolean {
  if (files === null || files.length === 0) return true;
  const { files: wanted, irrelevantFiles: irrelevant } = job;
  if (wanted !== undefined && !files.some((file) => wanted.some((regex) => regex.matches(file)))) {
    reasons?.push(`None of the change's files is one of its files (${wanted.map(showRegex).join(", ")}).`);
    return false;
  }
  if (irrelevant !== undefined && files.every((file) => irrelevant.some((regex) => regex.matches(file)))) {
    reasons?.push(
      `All of the change's files are irrelevant to it (${irrelevant.map(showRegex).join(", ")}).`,
    );
    return false;
  }
  return true;
}

/** Whether the change makes the job another one: what it runs, or how it is defined. */
function altersJob(pipeline: string, subject: FreezeSubject, job: FrozenJobDefinition): boolean {
  const { files, project, branch, compared } = subject;
  const touched = new Set(files);
  const isTouched = (step: PhaseStep): boolean =>
    "path" in step && step.project === project && step.branch === branch && touched.has(step.path);
  if ([...job.preRun, ...job.run, ...job.postRun].some(isTouched)) return true;
  if (
    job.includeVars?.some((file) => (file.project ?? project) === project && touched.has(file.path)) === true
  )
    return true;
  const extra = compared?.projects.get(project)?.extraConfigPaths;
  if (compared === undefined || !files?.some((file) => isConfigPath(file, extra))) return false;
  const { compared: _, ...rest } = subject;
  const then = projectJobs(compared, pipeline, rest);
  const variants = then.jobs.get(job.name);
  // There it is none of this item's jobs.
  if (variants === undefined) return true;
  const found = freezeJob(compared, pipeline, { ...rest, files: null }, then, job.name, variants);
  // What was wrong there tells nothing of this job; where it did not run, it is new to the branch.
  return found.kind === "job" ? content(found.job) !== content(job) : found.kind === "skipped";
}

/** Whether a run of one is as good as a run of the other, as far as what is configured goes; wherever that stands. */
export function isSameJob(one: FrozenJobDefinition, other: FrozenJobDefinition): boolean {
  return isDeepStrictEqual(withoutOrigins(one), withoutOrigins(other));
}

/** What of a job would make another run of it. */
function content(job: FrozenJobDefinition): string {
  return JSON.stringify(withoutOrigins(job));
}

function withoutOrigins(job: FrozenJobDefinition): FrozenJobDefinition {
  return { ...job, inheritance: [], description: null };
}

function definition(
  parts: LayoutParts,
  job: Inheritance,
  project: ProjectJobs,
  { maxNodes }: FreezeSubject,
): FrozenJobDefinition | string {
  const { nodeset } = job;
  const alternatives = nodeset === undefined ? [] : alternativesOf(nodeset, parts.nodesets);
  if (typeof alternatives === "string") return `job ${job.name}: ${alternatives}`;
  const named = firstThatFits(alternatives, maxNodes);
  const untrustedVars = [...new Set([...project.untrustedVars, ...job.untrustedVars])].sort();
  const secrets = secretsOf(parts, job);
  if (typeof secrets === "string") return secrets;
  return {
    name: job.name,
    description: job.description ?? null,
    voting: job.voting,
    attempts: job.attempts,
    dependencies: job.dependencies,
    holdFollowingChanges: job.holdFollowingChanges,
    semaphores: [...job.semaphores.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    tags: [...job.tags].sort(),
    ...(job.provides.size > 0 ? { provides: [...job.provides].sort() } : {}),
    ...(job.requires.size > 0 ? { requires: [...job.requires].sort() } : {}),
    postReview: job.postReview || job.isPostReviewForSecrets,
    timeoutSec: job.timeout ?? parts.tenant.maxJobTimeout,
    preTimeoutSec: job.preTimeout ?? null,
    postTimeoutSec: job.postTimeout ?? parts.tenant.maxJobTimeout,
    nodeset: named?.name ?? null,
    nodes: named?.nodes ?? [],
    groups: named?.groups ?? [],
    workspaceScheme: job.workspaceScheme,
    ...(job.workspaceCheckout ? {} : { workspaceCheckout: false }),
    overrideCheckout: job.overrideCheckout ?? null,
    requiredProjects: [...job.requiredProjects.values()],
    preRun: job.preRun,
    run: job.run,
    postRun: job.postRun,
    vars: mergeVariables(project.vars, job.vars),
    extraVars: job.extraVars,
    ...(job.includeVars.length > 0 ? { includeVars: job.includeVars } : {}),
    ...(Object.keys(job.hostVars).length > 0 ? { hostVars: job.hostVars as Record<string, Variables> } : {}),
    ...(Object.keys(job.groupVars).length > 0
      ? { groupVars: job.groupVars as Record<string, Variables> }
      : {}),
    ...(untrustedVars.length > 0 ? { untrustedVars } : {}),
    ...(secrets === undefined ? {} : { secrets }),
    network: job.network,
    ...(job.deduplicate === "auto" ? {} : { deduplicate: job.deduplicate }),
    reuse: job.reuse,
    inputs: [...job.inputs].sort(),
    maxAgeSec: job.maxAge ?? DEFAULT_MAX_AGE_SEC,
    successMessage: job.successMessage ?? null,
    failureMessage: job.failureMessage ?? null,
    failureOutput: [...job.failureOutput],
    inheritance: job.path,
  };
}

/** @returns A sentence when one of them cannot be had, `undefined` when there are none. */
function secretsOf(parts: LayoutParts, job: Inheritance): FrozenJobDefinition["secrets"] | string {
  const found: Record<string, { project: string; data: SecretDefinition["data"] }> = {};
  for (const step of [...job.preRun, ...job.run, ...job.postRun]) {
    for (const { secret, project } of step.secrets ?? []) {
      const definition = parts.secrets.get(secret);
      if (definition === undefined)
        return `secret ${secret} of job ${job.name} is not defined${suggestion(secret, parts.secrets.keys())}`;
      if (definition.origin.project !== project)
        return `secret ${secret} of job ${job.name} is ${definition.origin.project}'s, and ${project} may not give it`;
      found[secret] = { project: definition.origin.project, data: definition.data };
    }
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** Whether a build of a job gets secrets: no other build may have its result. */
export function hasSecrets(job: FrozenJobDefinition): boolean {
  return job.secrets !== undefined;
}

function forCore(job: FrozenJobDefinition): FrozenJob {
  const isNoop = job.name === NOOP;
  const labels = job.nodes.map(({ label }) => label);
  return {
    name: job.name,
    voting: job.voting,
    attempts: job.attempts,
    dependencies: job.dependencies,
    holdFollowingChanges: job.holdFollowingChanges,
    ...(isNoop || job.semaphores.length === 0 ? {} : { semaphores: job.semaphores }),
    ...(isNoop || job.provides === undefined ? {} : { provides: job.provides }),
    ...(isNoop || job.requires === undefined ? {} : { requires: job.requires }),
    isNoop,
    labels: isNoop ? [] : labels.length > 0 ? labels : [LOCAL_LABEL],
  };
}

function dependencyProblems(
  parts: LayoutParts,
  project: ProjectJobs,
  jobs: ReadonlyMap<string, FrozenJobDefinition>,
): readonly ConfigProblem[] {
  return dependencyFaults(parts, jobs).map(({ job, message }) =>
    problemAt(project.jobs.get(job)![0]!.origin, message),
  );
}

function dependencyFaults(
  parts: LayoutParts,
  jobs: ReadonlyMap<string, FrozenJobDefinition>,
): readonly { job: string; message: string }[] {
  const faults: { job: string; message: string }[] = [];
  for (const { name, dependencies } of jobs.values()) {
    for (const { name: needed, soft } of dependencies) {
      if (jobs.has(needed) || soft) continue;
      if (needed !== NOOP && !parts.jobs.has(needed)) {
        const near = suggestion(needed, parts.jobs.keys());
        faults.push({ job: name, message: `job ${name} depends on ${needed}, which is not defined${near}` });
      } else {
        faults.push({
          job: name,
          message: `job ${name} depends on ${needed}, which does not run for this item`,
        });
      }
    }
  }
  // Whatever is left when jobs without open dependencies are taken away, again and again, stands in or behind a cycle.
  const open = new Map(
    [...jobs.values()].map((job) => [job.name, job.dependencies.filter((d) => jobs.has(d.name))]),
  );
  for (let found = true; found; ) {
    found = false;
    for (const [name, needs] of open) {
      if (needs.some((need) => open.has(need.name))) continue;
      open.delete(name);
      found = true;
    }
  }
  const [first] = open.keys();
  if (first !== undefined) {
    faults.push({ job: first, message: `jobs depend on each other: ${[...open.keys()].join(", ")}` });
  }
  return faults;
}

function problemAt(origin: Origin, message: string): ConfigProblem {
  const { project, branch, file, line } = origin;
  return { project, branch, file, line, message };
}

function show({ project, branch, file, line }: Origin): string {
  return `${project} ${branch} ${file}:${line}`;
}
