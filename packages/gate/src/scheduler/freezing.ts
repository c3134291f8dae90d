import {
  type ConfigLoader,
  type FreezeSubject,
  type FrozenJobDefinition,
  isConfigPath,
  type Layout,
} from "../config/index.ts";
import type { ConfigProblem, GateEffect, JobGraph } from "../core/index.ts";
import type { LocalForge } from "../forge/index.ts";
import type { FrozenBuildset, FrozenRepository } from "./build-table.ts";
import type { RepositoryConfig } from "./config-source.ts";

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
  const { forge, loader, source } = parts;
  const { pipeline, subject, chain, steps } = effect;
  const layout = loader.current?.layout;
  if (layout === undefined) throw new Error("bug: no configuration is loaded");
  let frozenFor: FreezeSubject = { project: subject.project, branch: subject.branch, files: null };
  let frozenBy = layout;
  if (subject.kind === "ref") frozenFor = { ...frozenFor, ref: subject.ref };
  else {
    frozenFor = { ...frozenFor, files: await filesOf(forge, subject.id, subject.revision) };
    const { project, branch } = subject;
    const { trusted = false, extraConfigPaths = [] } = loader.tenant.projects.get(project) ?? {};
    if (await changesConfig(forge, effect, extraConfigPaths)) {
      const files = await source.filesAt(project, steps.at(-1)!.commit, extraConfigPaths);
      const proposed = loader.validateChange({ project, branch, files });
      if (proposed.problems.length > 0) return { kind: "problems", problems: proposed.problems };
      // What a config-project says counts when it has merged.
      frozenBy = trusted ? layout : proposed.layout;
      frozenFor = { ...frozenFor, compared: (trusted ? proposed.layout : layout).parts };
    }
  }
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

async function filesOf(forge: LocalForge, change: string, revision: number): Promise<string[]> {
  const paths = await forge.paths(forge.numberOf(change)!, revision);
  return paths.map((path) => path.toString());
}

/** Whether a revision changes configuration: asked of it for each item behind, and always the same. */
const knownToChange = new WeakMap<LocalForge, Map<string, boolean>>();
const MAX_KNOWN = 10_000;

/** Whether the change, or one ahead of it on its branch, changes what is configured there. */
async function changesConfig(
  forge: LocalForge,
  { subject, chain }: FreezeEffect,
  extraPaths: readonly string[],
): Promise<boolean> {
  const known = knownToChange.get(forge) ?? new Map<string, boolean>();
  knownToChange.set(forge, known);
  for (const { project, branch, change, revision } of chain) {
    if (project !== subject.project || branch !== subject.branch) continue;
    const key = [change, revision, ...extraPaths].join("\0");
    let does = known.get(key);
    if (does === undefined) {
      const files = await filesOf(forge, change, revision);
      does = files.some((path) => isConfigPath(path, extraPaths));
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(key, does);
    }
    if (does) return true;
  }
  return false;
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
