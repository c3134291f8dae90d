import {
  type ConfigLoader,
  type FreezeResult,
  type FreezeSubject,
  type FrozenJobDefinition,
  isSameJob,
  type Layout,
} from "../config/index.ts";
import {
  type ConfigProblem,
  cycleGraph,
  type GateEffect,
  type JobGraph,
  type Subject,
  type WantedJob,
} from "../core/index.ts";
import type { LocalForge } from "../forge/index.ts";
import type { Merger } from "../merger/index.ts";
import type { FrozenBuildset, FrozenRepository } from "./build-table.ts";
import type { RepositoryConfig } from "./config-source.ts";
import { projectsOfVars, withIncludedVars } from "./included-vars.ts";
import { projectsOf } from "./job-repositories.ts";
import { changedFiles, type Speculation, speculate } from "./speculation.ts";

type FreezeEffect = Extract<GateEffect, { kind: "freeze" }>;

export type Frozen =
  | { readonly kind: "graph"; readonly graph: JobGraph; readonly buildset: FrozenBuildset }
  | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] };

interface Parts {
  readonly forge: LocalForge;
  readonly loader: ConfigLoader;
  readonly source: RepositoryConfig;
  readonly merger: Merger;
  /** As many as a job can ever have. */
  readonly maxNodes: number;
}

/**
 * Finds what runs for an item and on what: the jobs as the configuration has them with the changes merged, of each member its
 * own, and the tips of all repositories that they may want, with the changes of the chain merged.
 */
export async function freezeBuildset(parts: Parts, effect: FreezeEffect): Promise<Frozen> {
  const { loader } = parts;
  const { chain, members } = effect;
  const layout = loader.current?.layout;
  if (layout === undefined) throw new Error("bug: no configuration is loaded");
  const speculation = await speculate(parts, effect);
  if (speculation.kind === "problems") return speculation;
  const frozen: FrozenMember[] = [];
  for (const member of members) {
    const result = await freezeMember(parts, effect, member, speculation);
    if (result.kind === "problems") return result;
    frozen.push({ member, ...result });
  }
  const { graph, jobs, owners } = members.length === 1 ? alone(frozen[0]!) : together(frozen);
  const wanted = new Set([...members, ...chain].map(({ project }) => project));
  const subjectOf = (name: string): Subject =>
    members.find(({ id }) => id === owners?.[name]) ?? effect.subject;
  for (const [name, job] of Object.entries(jobs))
    for (const project of [...projectsOf(job), ...projectsOfVars(job, subjectOf(name))]) wanted.add(project);
  const repositories: Record<string, FrozenRepository> = {};
  for (const project of wanted) {
    repositories[project] = await frozenRepository(parts, layout, project, effect);
  }
  const isTrusted = (project: string): boolean => loader.tenant.projects.get(project)?.trusted === true;
  for (const [name, job] of Object.entries(jobs))
    jobs[name] = await withIncludedVars(parts.merger, job, subjectOf(name), repositories, isTrusted);
  return {
    kind: "graph",
    graph,
    buildset: { chain, jobs, repositories, ...(owners === undefined ? {} : { owners }) },
  };
}

async function freezeMember(
  { forge, maxNodes }: Parts,
  { pipeline }: FreezeEffect,
  member: Subject,
  { layout, compared }: Extract<Speculation, { kind: "layout" }>,
): Promise<FreezeResult> {
  const { project, branch } = member;
  const frozenFor: FreezeSubject = {
    project,
    branch,
    maxNodes,
    files: member.kind === "ref" ? null : await changedFiles(forge, member.id, member.revision),
    ...(member.kind === "ref" ? { ref: member.ref } : {}),
    ...(compared === undefined ? {} : { compared }),
  };
  return layout.freeze(pipeline, frozenFor);
}

interface FrozenMember {
  readonly member: Subject;
  readonly graph: JobGraph;
  readonly jobs: ReadonlyMap<string, FrozenJobDefinition>;
}

type FrozenJobs = Pick<FrozenBuildset, "jobs" | "owners"> & { readonly graph: JobGraph };

function alone({ graph, jobs }: FrozenMember): FrozenJobs & { jobs: Record<string, FrozenJobDefinition> } {
  return { graph, jobs: Object.fromEntries(jobs) };
}

/** The jobs of a cycle, those that run once for several changes among them. */
function together(
  frozen: readonly FrozenMember[],
): FrozenJobs & { jobs: Record<string, FrozenJobDefinition> } {
  const byId = new Map(frozen.map((one) => [one.member.id, one]));
  const definitionOf = ({ change, job }: WantedJob): FrozenJobDefinition =>
    byId.get(change)!.jobs.get(job.name)!;
  const isSame = (earlier: WantedJob, later: WantedJob): boolean => {
    const job = definitionOf(earlier);
    if (!isSameJob(job, definitionOf(later))) return false;
    const [a, b] = [earlier, later].map(({ change }) => byId.get(change)!.member);
    // What it reads of the project under test is another thing for each.
    if (a!.project !== b!.project && job.includeVars?.some(({ project }) => project === null) === true)
      return false;
    const isOneBranch = a!.project === b!.project && a!.branch === b!.branch;
    return job.deduplicate ?? (job.requiredProjects.length > 0 || isOneBranch);
  };
  const graphs = frozen.map(({ member, graph }) => ({ change: member.id, graph }));
  const graph = cycleGraph(graphs, isSame);
  const jobs: Record<string, FrozenJobDefinition> = {};
  const owners: Record<string, string> = {};
  for (const job of graph.jobs) {
    const change = job.of!.changes[0]!;
    jobs[job.name] = { ...byId.get(change)!.jobs.get(job.of!.job)!, dependencies: job.dependencies };
    owners[job.name] = change;
  }
  return { graph, jobs, owners };
}

async function frozenRepository(
  { forge, source }: Parts,
  layout: Layout,
  project: string,
  { subject, members, chain, steps }: FreezeEffect,
): Promise<FrozenRepository> {
  const branches = new Map(await forge.branches(project));
  const merged: Record<string, string> = {};
  const before: Record<string, string> = {};
  for (const [at, link] of chain.entries()) {
    if (link.project !== project) continue;
    const { base, commit } = steps[at]!;
    // What the chain began on, though the branch may have moved since.
    merged[link.branch] ??= base;
    branches.set(link.branch, commit);
    if (members.some(({ id }) => id === link.change)) before[link.branch] ??= base;
  }
  if (subject.kind === "ref" && subject.project === project && subject.branch !== null) {
    if (subject.newCommit === null && subject.oldCommit !== null) branches.delete(subject.branch);
    else if (subject.newCommit !== null) branches.set(subject.branch, subject.newCommit);
    if (subject.oldCommit !== null) before[subject.branch] = subject.oldCommit;
  }
  const defaultBranch = layout.defaultBranchOf(project) ?? (await source.defaultBranch(project));
  return { branches: Object.fromEntries(branches), merged, before, defaultBranch };
}
