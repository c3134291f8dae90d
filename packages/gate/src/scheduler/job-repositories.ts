import type { FrozenJobDefinition } from "../config/index.ts";
import type { Subject } from "../core/index.ts";
import type { FrozenBuildset } from "./build-table.ts";

/* Which repositories a job needs, and what of them. */

/** Projects that a job's workspace holds besides the change's own. */
export function projectsOf({ requiredProjects, preRun, run, postRun }: FrozenJobDefinition): string[] {
  const files = [...preRun, ...run, ...postRun].filter((step) => "path" in step);
  const ofFiles = files.flatMap(({ project, roles = [] }) => [project, ...roles.map((role) => role.project)]);
  return [...requiredProjects.map(({ name }) => name), ...ofFiles];
}

/** The branch of a repository that roles are taken from. */
export function branchOf(
  project: string,
  subject: Subject,
  job: FrozenJobDefinition,
  repositories: FrozenBuildset["repositories"],
): string | undefined {
  const { branches, defaultBranch } = repositories[project]!;
  const override = job.requiredProjects.find(({ name }) => name === project)?.overrideCheckout;
  const wanted = [override, job.overrideCheckout, subject.branch, defaultBranch];
  return wanted.find((branch): branch is string => branch != null && Object.hasOwn(branches, branch));
}
