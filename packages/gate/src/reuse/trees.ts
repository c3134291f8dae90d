import { git } from "../git/git.ts";
import { SharedReads } from "../git/shared-reads.ts";

/** Commits whose trees are remembered. */
const MAX_KNOWN = 20_000;
const LINE = /^([0-9a-f]{40,64}) (?:commit|tree) \d+$/;

/** The tree of a commit of a project. @throws GitError when there is no such commit */
export type TreeOf = (project: string, commit: string) => Promise<string>;

/** Trees of commits, which never change. */
export class Trees {
  readonly #treeOf: TreeOf;
  readonly #known = new Map<string, Promise<string>>();

  constructor(treeOf: TreeOf) {
    this.#treeOf = treeOf;
  }

  /**
   * The trees of commits of one project.
   * @throws GitError when one of them is not there
   */
  async of(project: string, commits: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const commit of new Set(commits)) found.set(commit, await this.#one(project, commit));
    return found;
  }

  #one(project: string, commit: string): Promise<string> {
    const known = this.#known.get(commit);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const asked = this.#treeOf(project, commit);
    this.#known.set(commit, asked);
    asked.catch(() => this.#known.delete(commit));
    return asked;
  }
}

/** What tags point to, which may change. Builds that ask for the same at the same time share the answer. */
const commits = new SharedReads<string | undefined>();
const lists = new SharedReads<string[]>();

/** The commit that a tag points to; `undefined` when there is no such tag. */
export async function commitOfTag(repository: string, tag: string): Promise<string | undefined> {
  if (/[\n\0]/.test(tag)) return undefined;
  return commits.read(`${repository}\0${tag}`, () => resolve(repository, `refs/tags/${tag}^{commit}`));
}

/** Each tag with what it points to. */
export function tagsOf(repository: string): Promise<string[]> {
  return lists.read(repository, async () => {
    const { stdout } = await git(["for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"], {
      gitDir: repository,
    });
    return stdout.toString().split("\n").filter(Boolean);
  });
}

async function resolve(repository: string, name: string): Promise<string | undefined> {
  const { stdout } = await git(["cat-file", "--batch-check"], { gitDir: repository, input: `${name}\n` });
  return LINE.exec(stdout.toString().trimEnd())?.[1];
}
