import { git } from "../git/git.ts";

type Repository = { readonly project: string; readonly repository: string };

/** Commits whose trees are remembered. */
const MAX_KNOWN = 20_000;
const LINE = /^([0-9a-f]{40,64}) (?:commit|tree) \d+$/;

/** Trees of commits, which never change, and what tags point to, which may. */
export class Trees {
  readonly #known = new Map<string, string>();

  /**
   * The trees of commits of one repository.
   * @throws GitError; an error when one of them is not there
   */
  async of(
    { repository }: Pick<Repository, "repository">,
    commits: readonly string[],
  ): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    const asked = new Set<string>();
    for (const commit of commits) {
      const tree = this.#known.get(commit);
      if (tree === undefined) asked.add(commit);
      else found.set(commit, tree);
    }
    const wanted = [...asked];
    if (wanted.length === 0) return found;
    const names = wanted.map((commit) => `${commit}^{tree}`);
    for (const [at, id] of (await resolve(repository, names)).entries()) {
      const commit = wanted[at]!;
      if (id === undefined) throw new Error(`${repository} does not have the commit ${commit}`);
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(commit, id);
      found.set(commit, id);
    }
    return found;
  }
}

/** The commit that a tag points to; `undefined` when there is no such tag. */
export async function commitOfTag(repository: string, tag: string): Promise<string | undefined> {
  if (/[\n\0]/.test(tag)) return undefined;
  return (await resolve(repository, [`refs/tags/${tag}^{commit}`]))[0];
}

/** Each tag with what it points to. */
export async function tagsOf(repository: string): Promise<string[]> {
  const { stdout } = await git(["for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"], {
    gitDir: repository,
  });
  return stdout.toString().split("\n").filter(Boolean);
}

async function resolve(repository: string, names: readonly string[]): Promise<(string | undefined)[]> {
  const { stdout } = await git(["cat-file", "--batch-check"], {
    gitDir: repository,
    input: names.map((name) => `${name}\n`).join(""),
  });
  return stdout
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => LINE.exec(line)?.[1]);
}
