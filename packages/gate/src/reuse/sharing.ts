import { type FrozenJobDefinition, hasSecrets } from "../config/index.ts";
import type { Subject } from "../core/index.ts";
import type { BuildRequest } from "../executor/index.ts";
import { contentKey } from "./key.ts";
import { sharedRequest } from "./shared-request.ts";
import { commitOfTag, type TreeOf, Trees, tagsOf } from "./trees.ts";

/** A build that may have another one's execution. */
export interface SharedPlan {
  readonly key: string;
  /** A function of the key. */
  readonly request: BuildRequest;
  readonly maxAgeMs: number;
}

export interface SharingOptions {
  readonly tenant: string;
  readonly zone: string;
  /** Of where builds run: operating system, isolation, and what the operator says of it. */
  readonly environment: string;
  readonly merger: { readonly treeOf: TreeOf };
}

/** Works out which builds may share an execution. */
export class SharingPlanner {
  readonly #options: SharingOptions;
  readonly #trees: Trees;

  constructor(options: SharingOptions) {
    this.#options = options;
    this.#trees = new Trees((project, commit) => options.merger.treeOf(project, commit));
  }

  /**
   * Whether a build of this job could ever share. What runs for a branch that has moved, or for a change that has merged, is
   * there for what it does, such as to publish, not for what it says.
   *
   * @param hasMerged Of the subject.
   */
  static mayShare(
    job: FrozenJobDefinition | undefined,
    subject: Subject,
    hasMerged: boolean,
  ): job is FrozenJobDefinition {
    return job?.reuse === true && !hasSecrets(job) && subject.kind === "change" && !hasMerged;
  }

  /**
   * @param request As it would be without.
   * @returns `undefined` when something is not there: that is for the build itself to find out.
   * @throws GitError
   */
  async plan(job: FrozenJobDefinition, request: BuildRequest): Promise<SharedPlan | undefined> {
    const tagged = new Map<string, string | undefined>();
    for (const { project, repository, branches, checkout } of request.repositories) {
      if (!Object.hasOwn(branches, checkout)) tagged.set(project, await commitOfTag(repository, checkout));
    }
    const shared = sharedRequest(request, job, ({ project, branches, checkout }) => {
      if (Object.hasOwn(branches, checkout)) return branches[checkout];
      return tagged.get(project) ?? (/^[0-9a-f]{40,64}$/.test(checkout) ? checkout : undefined);
    });
    // What others may have must not depend on what they may not see.
    if (shared === undefined || (request.returnedSecrets?.length ?? 0) > 0) return undefined;
    const trees = new Map<string, ReadonlyMap<string, string>>();
    const tags: Record<string, readonly string[]> = {};
    for (const state of shared.repositories) {
      trees.set(state.project, await this.#trees.of(state.project, commitsOf(shared, state)));
      if (state.history !== false && state.mounted !== false)
        tags[state.project] = await tagsOf(state.repository);
    }
    const { tenant, zone, environment } = this.#options;
    const steps = [...job.preRun, ...job.run, ...job.postRun];
    const key = contentKey(
      { ...shared, build: "" },
      {
        tenant,
        zone,
        environment,
        trusted: steps.map(({ trusted }) => trusted),
        nodes: job.nodes,
        groups: job.groups,
        treeOf: (project, commit) => trees.get(project)!.get(commit)!,
        tags,
      },
    );
    return { key, request: { ...shared, build: key }, maxAgeMs: job.maxAgeSec * 1_000 };
  }
}

/** Commits of a repository whose trees a key wants. */
function commitsOf(
  { preRun = [], run, postRun = [] }: Omit<BuildRequest, "build">,
  { project, branches, checkout, history, mounted }: BuildRequest["repositories"][number],
): string[] {
  const commits = [...preRun, ...run, ...postRun]
    .flatMap((entry) => ("commit" in entry ? [entry, ...(entry.roles ?? [])] : []))
    .filter((file) => file.project === project)
    .map(({ commit }) => commit);
  if (mounted === false || history !== false) return commits;
  return [...commits, Object.hasOwn(branches, checkout) ? branches[checkout]! : checkout];
}
