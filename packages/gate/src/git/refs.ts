import { GitError, git } from "./git.ts";
import { OBJECT_ID } from "./objects.ts";
import { isRefName } from "./ref-names.ts";
import { bytesOf, textOf } from "./text.ts";

/** Commits by the full names of the refs that point to them. */
export type RefState = ReadonlyMap<string, string>;

/**
 * Refs below a prefix, and the ref of exactly that name.
 * @param prefixes `refs/heads`, `refs/heads/main`
 * @throws GitError
 */
export async function readRefs(gitDir: string, prefixes: readonly string[]): Promise<RefState> {
  for (const prefix of prefixes) {
    if (!isRefName(prefix)) throw new GitError("GIT_FAILED", `${JSON.stringify(prefix)} is no name of a ref`);
  }
  const { stdout } = await git(["for-each-ref", "--format=%(objectname) %(refname)", ...prefixes], {
    gitDir,
  });
  const refs = new Map<string, string>();
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf(0x0a, at);
    const space = stdout.indexOf(0x20, at);
    refs.set(textOf(stdout.subarray(space + 1, end)), stdout.toString("latin1", at, space));
    at = end + 1;
  }
  return refs;
}

/** A ref that is to be moved. `new: null` deletes it. `old: null`: it must not be there; `undefined`: whatever it is. */
export interface RefMove {
  readonly ref: string;
  readonly new: string | null;
  readonly old?: string | null;
}

/**
 * Moves refs of one repository, all or none.
 * @throws GitError `GIT_FAILED` when one is not what it was expected to be.
 */
export async function moveRefs(gitDir: string, moves: readonly RefMove[]): Promise<void> {
  if (moves.length === 0) return;
  const input = Buffer.concat(updateLines(moves));
  await git(["update-ref", "-z", "--stdin", "--no-deref"], { gitDir, input });
}

/** As `git update-ref -z --stdin` reads them. @throws GitError `GIT_FAILED` */
export function updateLines(moves: readonly RefMove[]): Buffer[] {
  return moves.map((move) => {
    const ids = [move.new, move.old].filter((id) => id !== undefined && id !== null);
    if (!isRefName(move.ref) || !ids.every((id) => OBJECT_ID.test(id)))
      throw new GitError("GIT_FAILED", `${JSON.stringify(move)} moves no ref`);
    const name = bytesOf(move.ref);
    const none = "0".repeat(ids[0]?.length ?? 40);
    const old = move.old === undefined ? "" : (move.old ?? none);
    return move.new === null
      ? Buffer.concat([Buffer.from("delete "), name, Buffer.from(`\0${old}\0`)])
      : Buffer.concat([Buffer.from("update "), name, Buffer.from(`\0${move.new}\0${old}\0`)]);
  });
}
