import { Kept } from "../config/kept.ts";
import { readBranches } from "../git/branches.ts";
import { SharedReads } from "../git/shared-reads.ts";
import { pathsOf } from "./diff.ts";
import { ForgeError } from "./errors.ts";

/** Bytes of paths that are kept. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** What a path takes beside its bytes, about. */
const PATH_BYTES = 100;

/** What is asked of repositories again and again, by every item of a queue: a process for each time would be too many. */
export class RepositoryReads {
  readonly #branches = new SharedReads<ReadonlyMap<string, string>>();
  readonly #paths = new Kept<readonly Buffer[]>(MAX_KEPT_BYTES);

  /** Branches as they are now, and the commits that they are at. @throws ForgeError `PROJECT_UNREADABLE` */
  async branches(project: string, gitDir: string): Promise<ReadonlyMap<string, string>> {
    try {
      return await this.#branches.read(gitDir, () => readBranches(gitDir));
    } catch (error) {
      throw new ForgeError("PROJECT_UNREADABLE", `the repository of ${project} cannot be read`, {
        cause: error,
      });
    }
  }

  /** Paths that differ between two commits. @throws GitError */
  async paths(gitDir: string, base: string, head: string): Promise<readonly Buffer[]> {
    const key = JSON.stringify([gitDir, base, head]);
    const known = this.#paths.find(key);
    if (known !== undefined) return known;
    const paths = await pathsOf(gitDir, base, head);
    const bytes = paths.reduce((sum, path) => sum + path.length + PATH_BYTES, key.length);
    return this.#paths.keep(key, paths, bytes);
  }
}
