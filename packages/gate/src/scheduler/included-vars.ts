import {
  CONFIG_LIMITS,
  type FrozenJobDefinition,
  type IncludedVars,
  mergeVariables,
  readVariables,
  type Variables,
} from "../config/index.ts";
import type { Subject } from "../core/index.ts";
import type { Merger } from "../merger/index.ts";
import type { FrozenRepository } from "./build-table.ts";
import { branchOf } from "./job-repositories.ts";

type Repositories = Readonly<Record<string, FrozenRepository>>;

/** Projects that a job's variables are read from. */
export function projectsOfVars({ includeVars = [] }: FrozenJobDefinition, { project }: Subject): string[] {
  return includeVars.map((file) => file.project ?? project);
}

/**
 * A job with what its `include-vars` hold beneath its other variables, as its buildset has the repositories: of projects that
 * are trusted what is merged, of others with the chain. What cannot be read is for the build to say.
 */
export async function withIncludedVars(
  merger: Pick<Merger, "findFiles" | "readFound">,
  job: FrozenJobDefinition,
  subject: Subject,
  repositories: Repositories,
  isTrusted: (project: string) => boolean,
): Promise<FrozenJobDefinition> {
  const { includeVars = [] } = job;
  let vars: Variables = {};
  const names = new Set(job.untrustedVars);
  for (const file of includeVars) {
    const project = file.project ?? subject.project;
    const found = await read(merger, file, project, job, subject, repositories[project]!, isTrusted(project));
    if (typeof found === "string") {
      if (!file.required && found === "") continue;
      const why = found === "" ? "is not there" : `cannot be used: ${found}`;
      return { ...job, impossible: `include-vars: ${file.path} of ${project} ${why}` };
    }
    vars = mergeVariables(vars, found);
    if (!isTrusted(project)) for (const name of Object.keys(found)) names.add(name);
  }
  if (includeVars.length === 0) return job;
  const merged = { ...job, vars: mergeVariables(vars, job.vars) };
  return names.size === 0 ? merged : { ...merged, untrustedVars: [...names].sort() };
}

/** @returns A sentence when it is no file of variables; an empty one when it is not there. */
async function read(
  merger: Pick<Merger, "findFiles" | "readFound">,
  { path, useRef }: IncludedVars,
  project: string,
  job: FrozenJobDefinition,
  subject: Subject,
  repository: FrozenRepository,
  isTrusted: boolean,
): Promise<Variables | string> {
  const isOwnRef = subject.kind === "ref" && subject.project === project && subject.branch === null;
  const branch = branchOf(project, subject, job, { [project]: repository });
  const ofBranch = branch === undefined ? undefined : repository.branches[branch];
  const merged = isTrusted && branch !== undefined ? repository.merged[branch] : undefined;
  const commit = (isOwnRef && useRef ? subject.newCommit : null) ?? merged ?? ofBranch;
  if (commit === undefined) return "";
  const found = await merger.findFiles(project, commit, { files: [path] });
  if (found.size === 0) return "";
  const text = (await merger.readFound(project, found)).get(path)!.toString();
  if (text.length > CONFIG_LIMITS.maxFileLength)
    return `a file may have ${CONFIG_LIMITS.maxFileLength} characters, not ${text.length}`;
  return readVariables(text);
}
