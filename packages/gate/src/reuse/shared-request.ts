import type { BuildInput, FrozenJobDefinition } from "../config/index.ts";
import type { BuildRequest } from "../executor/build-request.ts";

type Zuul = NonNullable<BuildRequest["zuul"]>;

/** Variables `zuul.*` that every build is told: of its job, or part of its key anyway. */
const ALWAYS = ["tenant", "project", "artifacts", "jobtags"];
/** Those that come with an input. */
const OF_INPUT: Readonly<Record<BuildInput, readonly string[]>> = {
  branch: ["branch"],
  change: ["change", "patchset", "change_url", "message", "topic", "ref", "commit_id", "oldrev", "newrev"],
  history: [],
  items: ["items"],
  pipeline: ["pipeline", "post_review"],
};

/**
 * What an executor is asked for when the result may be that of other builds, too: nothing in it tells which change, pipeline
 * or build it is for, unless the job declares that as an input.
 * @param request The whole of it.
 * @param commitOf The commit that a repository is checked out at; `undefined` when there is none of this name.
 * @returns Without a name, which depends on all the rest; `undefined` when a checkout is not there.
 */
export function sharedRequest(
  request: BuildRequest,
  job: Pick<FrozenJobDefinition, "inputs" | "requiredProjects">,
  commitOf: (repository: BuildRequest["repositories"][number]) => string | undefined,
): Omit<BuildRequest, "build"> | undefined {
  const inputs = new Set(job.inputs);
  const { build: _, attempt: _a, attempts: _b, zuul = {}, ...rest } = request;
  const mounted = new Set([request.project, ...job.requiredProjects.map(({ name }) => name)]);
  const needed = new Set(
    [...(rest.preRun ?? []), ...rest.run, ...(rest.postRun ?? [])].flatMap((entry) =>
      "project" in entry ? [entry.project, ...(entry.roles ?? []).map((role) => role.project)] : [],
    ),
  );
  const repositories: BuildRequest["repositories"] = [];
  // Which of them changes ahead have touched shows in their order otherwise.
  for (const state of request.repositories.toSorted((a, b) => (a.project < b.project ? -1 : 1))) {
    const { project, repository } = state;
    if (!mounted.has(project)) {
      // Executables, playbooks and roles are taken from it by their commits.
      if (needed.has(project))
        repositories.push({ project, repository, branches: {}, checkout: "", mounted: false });
      continue;
    }
    if (inputs.has("history")) {
      repositories.push(state);
      continue;
    }
    const commit = commitOf(state);
    if (commit === undefined) return undefined;
    const onBranch = inputs.has("branch") && Object.hasOwn(state.branches, state.checkout);
    repositories.push({
      project,
      repository,
      branches: onBranch ? { [state.checkout]: commit } : {},
      checkout: onBranch ? state.checkout : commit,
      required: state.required ?? false,
      history: false,
    });
  }
  return { ...rest, shared: true, zuul: declared(zuul, inputs), repositories };
}

function declared(zuul: Zuul, inputs: ReadonlySet<BuildInput>): Zuul {
  const names = new Set([...ALWAYS, ...[...inputs].flatMap((input) => OF_INPUT[input])]);
  const told = Object.fromEntries(Object.entries(zuul).filter(([name]) => names.has(name)));
  if (inputs.has("change") || !Array.isArray(told.artifacts)) return told;
  return { ...told, artifacts: told.artifacts.map(withoutChange) };
}

/** What changes ahead provide counts by what it is, and not by whose it is. */
function withoutChange(artifact: Zuul[string]): Zuul[string] {
  if (typeof artifact !== "object" || artifact === null || Array.isArray(artifact)) return artifact;
  return Object.fromEntries(
    Object.entries(artifact).filter(([name]) => name !== "change" && name !== "patchset"),
  );
}
