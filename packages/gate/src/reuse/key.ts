import { createHash } from "node:crypto";
import type { BuildRequest } from "../executor/build-request.ts";

/*
 * The content key of a build: a hash of everything that its result can depend on. Builds of equal keys are one execution,
 * whichever change, pipeline or item they are of.
 */

/** What a build's result depends on beside what its executor is asked for. */
export interface KeyFacts {
  readonly tenant: string;
  readonly zone: string;
  /** Of each step that its definition is a config-project's, in the order of `preRun`, `run`, `postRun`. */
  readonly trusted: readonly boolean[];
  readonly nodes: readonly { readonly names: readonly string[]; readonly label: string }[];
  readonly groups: readonly { readonly name: string; readonly nodes: readonly string[] }[];
  /** Of where builds run: operating system, isolation, and what the operator says of it. */
  readonly environment: string;
  /** Tree of a commit of a project. */
  readonly treeOf: (project: string, commit: string) => string;
  /** Tags of projects whose history is an input: names with what they point to. */
  readonly tags: Readonly<Record<string, readonly string[]>>;
}

/** Another one whenever what goes into a key is another thing. */
const VERSION = 1;

/**
 * @param request As `sharedRequest` has made it. Whatever it tells is part of the key, but its name; of repositories their
 *   trees are, and their commits only where `history` is an input.
 * @returns base64url, 43 characters.
 */
export function contentKey(request: BuildRequest, facts: KeyFacts): string {
  const { build: _, repositories, preRun = [], run, postRun = [], ...rest } = request;
  const entries = (list: BuildRequest["run"]): unknown[] =>
    list.map((entry) => {
      if (!("commit" in entry)) return entry;
      const { commit, roles = [], ...others } = entry;
      const rolesBy = roles.map(({ commit: of, ...role }) => ({
        ...role,
        tree: facts.treeOf(role.project, of),
      }));
      return { ...others, tree: facts.treeOf(entry.project, commit), roles: rolesBy };
    });
  const mounted = repositories.filter((one) => one.mounted !== false);
  const content = {
    version: VERSION,
    trust: { tenant: facts.tenant, zone: facts.zone, trusted: facts.trusted },
    environment: { nodes: facts.nodes, groups: facts.groups, name: facts.environment },
    request: { ...rest, preRun: entries(preRun), run: entries(run), postRun: entries(postRun) },
    repositories: mounted.map(({ repository: _, ...state }) => {
      const { project, checkout, branches } = state;
      if (state.history !== false) return { ...state, tags: facts.tags[project] ?? [] };
      const onBranch = Object.hasOwn(branches, checkout);
      const tree = facts.treeOf(project, onBranch ? branches[checkout]! : checkout);
      return { project, tree, required: state.required ?? false, branch: onBranch ? checkout : null };
    }),
  };
  return createHash("sha256").update(canonicalJson(content)).digest("base64url");
}

/**
 * The unique under which a build is submitted: equal for builds that may be one execution. One that has failed is not asked
 * for again, since each recorded failure makes it another unique.
 * @param failures Executions of the key that are recorded without success.
 */
export function uniqueOf(key: string, failures: number): string {
  return `${key}.${failures}`;
}

/** JSON with the keys of maps in order, so that equal values are equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
