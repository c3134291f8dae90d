import { git } from "../git/git.ts";

/** A file that a change has another way than its base. Names are shown as UTF-8, with `\ufffd` for what is none. */
export interface ChangedFile {
  readonly path: string;
  /** Where it was before, of a file that was renamed or copied. */
  readonly oldPath: string | null;
  /** `A`dded, `M`odified, `D`eleted, `R`enamed, `C`opied, or another `T`ype of file. */
  readonly status: string;
  /** Lines; `null` for a binary file. */
  readonly added: number | null;
  readonly removed: number | null;
}

export interface Diff {
  readonly base: string;
  readonly head: string;
  readonly files: readonly ChangedFile[];
  /** Whether there are more than `files` has. */
  readonly hasMoreFiles: boolean;
  /** A unified diff, as git writes it. */
  readonly text: string;
  /** Whether it ends early. */
  readonly isCut: boolean;
}

const MAX_SHOWN_FILES = 3_000;
const OPTIONS = ["--no-color", "--no-ext-diff", "--no-textconv", "-M", "-l1000"];

/** @throws GitError */
export async function diffOf(gitDir: string, base: string, head: string, maxBytes: number): Promise<Diff> {
  const [files, patch] = await Promise.all([
    filesOf(gitDir, base, head),
    git(["diff-tree", "-p", ...OPTIONS, base, head], { gitDir, maxOutputBytes: maxBytes, cutOutput: true }),
  ]);
  return {
    base,
    head,
    files: files.slice(0, MAX_SHOWN_FILES),
    hasMoreFiles: files.length > MAX_SHOWN_FILES,
    text: patch.stdout.toString(),
    isCut: patch.isCut,
  };
}

/** Paths that differ, as bytes: what rules about files are matched with. @throws GitError */
export async function pathsOf(gitDir: string, base: string, head: string): Promise<Buffer[]> {
  const { stdout } = await git(["diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head], {
    gitDir,
  });
  const paths: Buffer[] = [];
  for (let start = 0; start < stdout.length; ) {
    const end = stdout.indexOf(0, start);
    paths.push(stdout.subarray(start, end));
    start = end + 1;
  }
  return paths;
}

async function filesOf(gitDir: string, base: string, head: string): Promise<ChangedFile[]> {
  const names = await git(["diff-tree", "-r", "-z", "--name-status", ...OPTIONS, base, head], { gitDir });
  const counts = await git(["diff-tree", "-r", "-z", "--numstat", ...OPTIONS, base, head], { gitDir });
  const lines = readCounts(counts.stdout.toString().split("\0"));
  const fields = names.stdout.toString().split("\0");
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < fields.length; ) {
    const status = fields[at]!.charAt(0);
    const isMoved = status === "R" || status === "C";
    const path = fields[at + (isMoved ? 2 : 1)]!;
    const { added, removed } = lines.get(path) ?? { added: null, removed: null };
    files.push({ path, oldPath: isMoved ? fields[at + 1]! : null, status, added, removed });
    at += isMoved ? 3 : 2;
  }
  return files;
}

/** `ADDED<TAB>REMOVED<TAB>PATH`, or without the path, which then follows after the old one. */
function readCounts(
  fields: readonly string[],
): Map<string, { added: number | null; removed: number | null }> {
  const counts = new Map<string, { added: number | null; removed: number | null }>();
  for (let at = 0; at < fields.length; at++) {
    const [, added, removed, path] = /^(-|\d+)\t(-|\d+)\t(.*)$/s.exec(fields[at]!) ?? [];
    if (path === undefined) continue;
    const number = (text: string): number | null => (text === "-" ? null : Number(text));
    if (path === "") at += 2;
    counts.set(path === "" ? fields[at]! : path, { added: number(added!), removed: number(removed!) });
  }
  return counts;
}
