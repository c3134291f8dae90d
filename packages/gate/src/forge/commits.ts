import { type GitError, git, gitLine } from "../git/git.ts";
import { PushRefused } from "./errors.ts";
import type { ForgeLimits } from "./limits.ts";

/** A commit as a push brought it; text is UTF-8, whatever its encoding was. */
export interface PushedCommit {
  readonly id: string;
  readonly parents: readonly string[];
  readonly author: string;
  readonly authorEmail: string;
  readonly authorMs: number;
  /** Values of its `Change-Id` trailers. */
  readonly changeIds: readonly string[];
  readonly title: string;
  readonly message: string;
}

const FIELDS = ["%H", "%P", "%an", "%ae", "%at", "%(trailers:key=Change-Id,valueonly,separator=%x0A)", "%B"];

/** The commit that a ref is at; `null` when there is no such ref. @throws GitError */
export async function refCommit(gitDir: string, ref: string): Promise<string | null> {
  const { stdout, exitCode } = await git(["rev-parse", "--verify", "--quiet", ref], {
    gitDir,
    allow: [0, 1],
  });
  return exitCode === 0 ? stdout.toString().trim() : null;
}

export interface FoundObject {
  readonly id: string;
  /** `commit`, `tag`, `tree` or `blob` */
  readonly type: string;
}

/** What refs and ids name, in their order; `null` for what is not there. Names have no white space. @throws GitError */
export async function findObjects(gitDir: string, names: readonly string[]): Promise<(FoundObject | null)[]> {
  const input = names.join("\n");
  const { stdout } = await git(["cat-file", "--batch-check=%(objectname) %(objecttype)"], { gitDir, input });
  const lines = stdout.toString().split("\n").slice(0, names.length);
  return lines.map((line) => {
    const [, id, type] = /^([0-9a-f]{40,64}) (commit|tag|tree|blob)$/.exec(line) ?? [];
    return id === undefined ? null : { id, type: type! };
  });
}

/** First-parent commits from `tip` down to what `excluded` have, newest first; at most `max`. @throws GitError */
export async function firstParents(
  gitDir: string,
  tip: string,
  excluded: readonly string[],
  max: number,
): Promise<string[]> {
  const input = [tip, ...excluded.map((id) => `^${id}`)].join("\n");
  const { stdout } = await git(["rev-list", "--first-parent", `--max-count=${max}`, "--stdin"], {
    gitDir,
    input,
  });
  return stdout.toString().split("\n").filter(Boolean);
}

/** How many commits `tip` has that `excluded` have not, counted up to `max`. @throws GitError */
export async function countCommits(
  gitDir: string,
  tip: string,
  excluded: readonly string[],
  max: number,
): Promise<number> {
  const input = [tip, ...excluded.map((id) => `^${id}`)].join("\n");
  return Number(await gitLine(["rev-list", "--count", `--max-count=${max}`, "--stdin"], { gitDir, input }));
}

/**
 * Reads commits in the order of `ids`.
 * @throws PushRefused when a message is beyond its limit
 * @throws GitError
 */
export async function readCommits(
  gitDir: string,
  ids: readonly string[],
  { maxMessageBytes }: Pick<ForgeLimits, "maxMessageBytes">,
): Promise<PushedCommit[]> {
  if (ids.length === 0) return [];
  const input = ids.join("\n");
  const sizes = await git(["cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer"], {
    gitDir,
    input,
  });
  for (const line of sizes.stdout.toString().split("\n").filter(Boolean)) {
    const [id = "", size] = line.split(" ");
    // Its header counts as well: there is no end to the parents, signatures and encodings that one may name.
    if (Number(size) > maxMessageBytes) {
      throw new PushRefused(
        `commit ${short(id)} has ${size} bytes of message and header, limit maxMessageBytes ${maxMessageBytes}`,
      );
    }
  }
  const format = `--format=${FIELDS.join("%x00")}`;
  const log = await git(
    ["log", "--no-walk=unsorted", "--stdin", "-z", "--no-mailmap", "--encoding=UTF-8", format],
    {
      gitDir,
      input,
    },
  );
  const fields = log.stdout.toString().split("\0");
  const found = new Map<string, PushedCommit>();
  for (let at = 0; at + FIELDS.length <= fields.length; at += FIELDS.length) {
    const [id, parents, author, authorEmail, seconds, changeIds, message] = fields.slice(at) as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    found.set(id, {
      id,
      parents: parents.split(" ").filter(Boolean),
      author,
      authorEmail,
      authorMs: Number(seconds) * 1000,
      changeIds: changeIds
        .split("\n")
        .map((value) => value.trim())
        .filter(Boolean),
      title: message.split("\n", 1)[0]!.trim(),
      message,
    });
  }
  return ids.map((id) => {
    const commit = found.get(id);
    if (commit === undefined) throw new PushRefused(`commit ${short(id)} cannot be read`);
    return commit;
  });
}

/**
 * Counts files that differ between two commits.
 * @throws PushRefused when there are more than the limit
 * @throws GitError
 */
export async function checkFiles(
  gitDir: string,
  base: string,
  head: string,
  { maxFilesPerPush }: Pick<ForgeLimits, "maxFilesPerPush">,
): Promise<void> {
  let files: number | null = null;
  try {
    const { stdout } = await git(["diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head], {
      gitDir,
    });
    files = 0;
    for (const byte of stdout) if (byte === 0) files++;
  } catch (error) {
    if ((error as GitError).code !== "GIT_TOO_MUCH_OUTPUT") throw error;
  }
  if (files !== null && files <= maxFilesPerPush) return;
  throw new PushRefused(
    `it changes ${files ?? "far too many"} files, limit maxFilesPerPush ${maxFilesPerPush}: push it in parts, or let an operator import it`,
  );
}

/** The last commit that both have; `null` when they have none. @throws GitError */
export async function mergeBase(gitDir: string, a: string, b: string): Promise<string | null> {
  const { stdout, exitCode } = await git(["merge-base", a, b], { gitDir, allow: [0, 1] });
  return exitCode === 0 ? stdout.toString().trim() : null;
}

/** @throws GitError */
export async function isAncestor(gitDir: string, ancestor: string, commit: string): Promise<boolean> {
  const { exitCode } = await git(["merge-base", "--is-ancestor", ancestor, commit], {
    gitDir,
    allow: [0, 1],
  });
  return exitCode === 0;
}

export function short(id: string): string {
  return id.slice(0, 10);
}
