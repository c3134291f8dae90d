import type { ConfigLoader, FreezeSubject, FrozenJobDefinition, Layout } from "../config/index.ts";
import type { ConfigProblem, GateEffect, JobGraph } from "../core/index.ts";
import type { LocalForge } from "../forge/index.ts";
import type { FrozenBuildset, FrozenRepository } from "./build-table.ts";
import type { RepositoryConfig } from "./config-source.ts";
import { changedFiles, speculate } from "./speculation.ts";

type FreezeEffect = Extract<GateEffect, { kind: "freeze" }>;

export type Frozen =
  | { readonly kind: "graph"; readonly graph: JobGraph; readonly buildset: FrozenBuildset }
  | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] };

interface Parts {
  readonly forge: LocalForge;
  readonly loader: ConfigLoader;
  readonly source: RepositoryConfig;
}

/**
 * Finds what runs for an item and on what: the jobs as the configuration has them with the change merged, and the tips of all
 * repositories that they may want, with the changes of the chain merged.
 */
export async function freezeBuildset(parts: Parts, effect: FreezeEffect): Promise<Frozen> {
  const { forge, loader } = parts;
  const { pipeline, subject, chain } = effect;
  const layout = loader.current?.layout;
  if (layout === undefined) throw new Error("bug: no configuration is loaded");
  const speculation = await speculate(parts, effect);
  if (speculation.kind === "problems") return speculation;
  const { layout: frozenBy, compared } = speculation;
  const { project, branch } = subject;
  const frozenFor: FreezeSubject = {
    project,
    branch,
    files: subject.kind === "ref" ? null : await changedFiles(forge, subject.id, subject.revision),
    ...(subject.kind === "ref" ? { ref: subject.ref } : {}),
    ...(compared === undefined ? {} : { compared }),
  };
  const result = frozenBy.freeze(pipeline, frozenFor);
  if (result.kind === "problems") return result;
  const jobs = Object.fromEntries(result.jobs);
  const wanted = new Set([subject.project, ...chain.map(({ project }) => project)]);
  for (const job of result.jobs.values()) for (const name of projectsOf(job)) wanted.add(name);
  const repositories: Record<string, FrozenRepository> = {};
  for (const project of wanted) {
    repositories[project] = await frozenRepository(parts, layout, project, effect);
  }
  return { kind: "graph", graph: result.graph, buildset: { chain, jobs, repositories } };
}

/** Projects that a job's workspace holds besides the change's own. */
export function projectsOf({ requiredProjects, preRun, run, postRun }: FrozenJobDefinition): string[] {
  const files = [...preRun, ...run, ...postRun].filter((step) => "path" in step);
  const ofFiles = files.flatMap(({ project, roles = [] }) => [project, ...roles.map((role) => role.project)]);
  return [...requiredProjects.map(({ name }) => name), ...ofFiles];
}

async function frozenRepository(
  { forge, source }: Parts,
  layout: Layout,
  project: string,
  { subject, chain, steps }: FreezeEffect,
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
    if (at === chain.length - 1) before[link.branch] = base;
  }
  if (subject.kind === "ref" && subject.project === project && subject.branch !== null) {
    if (subject.newCommit === null && subject.oldCommit !== null) branches.delete(subject.branch);
    else if (subject.newCommit !== null) branches.set(subject.branch, subject.newCommit);
    if (subject.oldCommit !== null) before[subject.branch] = subject.oldCommit;
  }
  const defaultBranch = layout.defaultBranchOf(project) ?? (await source.defaultBranch(project));
  return { branches: Object.fromEntries(branches), merged, before, defaultBranch };
}
