import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { OBJECT_ID } from "./objects.ts";
import { readRefs } from "./refs.ts";

const HEADS = "refs/heads/";
/** More loose refs than this are read faster by git than one by one. */
const MAX_LOOSE = 500;
const NEWLINE = 0x0a;

/**
 * The branches of a repository and the commits that they are at now, in the order of their names. It reads the files that
 * git has them in, so that no process is needed for it; whatever is out of the ordinary there is left to git.
 * @throws GitError
 */
export async function readBranches(gitDir: string): Promise<ReadonlyMap<string, string>> {
  const found = await readFiles(gitDir).catch(() => undefined);
  if (found !== undefined) return found;
  const refs = await readRefs(gitDir, ["refs/heads"]);
  return new Map([...refs].map(([ref, commit]) => [ref.slice(HEADS.length), commit]));
}

/** @returns `undefined` when it takes git to tell */
async function readFiles(gitDir: string): Promise<ReadonlyMap<string, string> | undefined> {
  const folder = join(gitDir, "refs", "heads");
  // Loose ones first: one that is packed meanwhile is there before its file goes.
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  if (files.length > MAX_LOOSE) return undefined;
  const loose = new Map<string, string>();
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    const name = path.slice(folder.length + 1);
    if (name.endsWith(".lock")) continue;
    const commit = (await readFile(path, "latin1")).trimEnd();
    if (!file.isFile() || !OBJECT_ID.test(commit) || !/^[\x21-\x7e]+$/.test(name)) return undefined;
    loose.set(name, commit);
  }
  const branches = packedIn(await packedRefs(gitDir));
  if (branches === undefined) return undefined;
  for (const [name, commit] of loose) branches.set(name, commit);
  return new Map([...branches].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function packedRefs(gitDir: string): Promise<Buffer> {
  try {
    return await readFile(join(gitDir, "packed-refs"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

function packedIn(packed: Buffer): Map<string, string> | undefined {
  const branches = new Map<string, string>();
  const mark = ` ${HEADS}`;
  const last = packed.lastIndexOf(mark);
  for (let at = packed.indexOf(mark); at >= 0 && at <= last; at = packed.indexOf(mark, at + 1)) {
    const end = packed.indexOf(NEWLINE, at);
    const name = packed.toString("latin1", at + mark.length, end);
    const commit = packed.toString("latin1", packed.lastIndexOf(NEWLINE, at) + 1, at);
    if (end < 0 || !OBJECT_ID.test(commit) || !/^[\x21-\x7e]+$/.test(name)) return undefined;
    branches.set(name, commit);
  }
  return branches;
}
