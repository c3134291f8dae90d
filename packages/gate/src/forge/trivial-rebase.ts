import { git, gitLine } from "../git/git.ts";

/** Commits of a revision that are compared; one of more is read again by people. */
const MAX_COMMITS = 100;
/** Of a diff; one of more is read again by people. */
const MAX_DIFF_BYTES = 16 * 1024 * 1024;

/** Of commits that exist only to tell git what to merge, and that nobody sees. */
const NOBODY = {
  ...{ GIT_AUTHOR_NAME: "nobody", GIT_AUTHOR_EMAIL: "nobody", GIT_AUTHOR_DATE: "@0 +0000" },
  ...{ GIT_COMMITTER_NAME: "nobody", GIT_COMMITTER_EMAIL: "nobody", GIT_COMMITTER_DATE: "@0 +0000" },
};

interface Range {
  readonly base: string;
  readonly head: string;
}

/**
 * Whether two revisions are one change on two bases: equal authors and messages, commit by commit, and equal patches, white space
 * included, at the same places. What cannot be compared that way is none: merges, binary files, and what is too large.
 * @throws GitError
 */
export async function isTrivialRebase(gitDir: string, before: Range, after: Range): Promise<boolean> {
  const words = await wordsOf(gitDir, before);
  if (words === null || words !== (await wordsOf(gitDir, after))) return false;
  const patch = await patchIdOf(gitDir, before);
  if (patch === null || patch !== (await patchIdOf(gitDir, after))) return false;
  return isPutOn(gitDir, before, after);
}

/** Whether git, which knows what lines moved, makes the same of it: equal patches may be for lines that only look alike. */
async function isPutOn(gitDir: string, before: Range, after: Range): Promise<boolean> {
  const commit = (of: string, ...more: string[]): Promise<string> =>
    gitLine(["commit-tree", "-m", "", ...more, `${of}^{tree}`], { gitDir, env: NOBODY });
  const root = await commit(before.base);
  const [ours, theirs] = [await commit(after.base, "-p", root), await commit(before.head, "-p", root)];
  const words = ["merge-tree", "--write-tree", "--no-messages", ours, theirs];
  const { stdout, exitCode } = await git(words, { gitDir, allow: [0, 1] });
  if (exitCode === 1) return false;
  return stdout.toString().trim() === (await gitLine(["rev-parse", `${after.head}^{tree}`], { gitDir }));
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
  // Of these the id says nothing, nor of what stands in a line behind a zero byte.
  if (isCut || stdout.includes(0) || stdout.includes("\nGIT binary patch\n")) return null;
  const { stdout: ids } = await git(["patch-id", "--verbatim"], { gitDir, input: stdout });
  return ids.toString().split(" ")[0]!.trim();
}
