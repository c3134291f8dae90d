import { git } from "../git/git.ts";

/** Commits of a revision that are compared; one of more is read again by people. */
const MAX_COMMITS = 100;
/** Of a diff; one of more is read again by people. */
const MAX_DIFF_BYTES = 16 * 1024 * 1024;

interface Range {
  readonly base: string;
  readonly head: string;
}

/**
 * Whether two revisions are one change on two bases: equal authors and messages, commit by commit, and equal patches, white space
 * included. What cannot be compared that way is none: merges, binary files, and what is too large.
 * @throws GitError
 */
export async function isTrivialRebase(gitDir: string, before: Range, after: Range): Promise<boolean> {
  const words = await wordsOf(gitDir, before);
  if (words === null || words !== (await wordsOf(gitDir, after))) return false;
  const patch = await patchIdOf(gitDir, before);
  return patch !== null && patch === (await patchIdOf(gitDir, after));
}

/** Authors and messages of its commits; `null`: there is a merge among them, or too many. */
async function wordsOf(gitDir: string, { base, head }: Range): Promise<string | null> {
  const format = "--format=%P%x00%an%x00%ae%x00%B%x00";
  const args = ["log", "-z", format, `--max-count=${MAX_COMMITS + 1}`, head, `^${base}`, "--"];
  const { stdout, isCut } = await git(args, { gitDir, maxOutputBytes: MAX_DIFF_BYTES, cutOutput: true });
  const fields = stdout.toString("latin1").split("\0");
  // Each commit has four fields, and a zero byte of its own after them.
  const commits: string[][] = [];
  for (let at = 0; at + 4 < fields.length; at += 5) commits.push(fields.slice(at, at + 4));
  if (isCut || commits.length > MAX_COMMITS) return null;
  if (commits.some(([parents]) => parents!.includes(" "))) return null;
  return JSON.stringify(commits.map(([, ...words]) => words));
}

/** Empty when nothing is changed; `null`: it cannot be told. */
async function patchIdOf(gitDir: string, { base, head }: Range): Promise<string | null> {
  const plain = ["--no-ext-diff", "--no-textconv", "--no-renames", "--no-color"];
  const options = [...plain, "--full-index", "--diff-algorithm=myers", "--unified=3", "--binary"];
  const { stdout, isCut } = await git(["diff-tree", "-r", "-p", ...options, base, head], {
    ...{ gitDir, maxOutputBytes: MAX_DIFF_BYTES, cutOutput: true },
  });
  // Of these the id says nothing.
  if (isCut || stdout.includes("\nGIT binary patch\n")) return null;
  const { stdout: ids } = await git(["patch-id", "--verbatim"], { gitDir, input: stdout });
  return ids.toString().split(" ")[0]!.trim();
}
