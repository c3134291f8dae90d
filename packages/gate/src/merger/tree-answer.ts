import type { Parsed } from "../git/coprocess.ts";
import { GitError } from "../git/git.ts";
import { OBJECT_ID } from "../git/objects.ts";
import { textOf } from "../git/text.ts";

/** What is in the way of a merge. */
export interface Conflict {
  /** In a few words: `a.txt (contents), b.txt (modify/delete)`. */
  readonly detail: string;
  readonly paths: readonly string[];
}

export type TreeAnswer =
  | { readonly tree: string; readonly conflict: null }
  | { readonly tree: null; readonly conflict: Conflict };

const MAX_SHOWN_PATHS = 20;
const MAX_PATHS = 1_000;

const ADVICE = "Recursive merging with submodules";

/** Records that end with a NUL, from the front of what may not be all of them. */
class Records {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** `undefined`: it has not ended yet. */
  next(): Buffer | undefined {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0) return undefined;
    const record = this.#bytes.subarray(this.at, end);
    this.at = end + 1;
    return record;
  }
}

/**
 * Reads one answer of `git merge-tree --write-tree --stdin -z`.
 * @throws GitError `GIT_FAILED` when it is not one.
 */
export function parseTreeAnswer(bytes: Buffer): Parsed<TreeAnswer> {
  const records = new Records(bytes);
  // Looked at again from its beginning when there is more, so not for every few bytes.
  const more = bytes.length < 4096 ? bytes.length + 1 : bytes.length * 2;
  const [status, tree, next] = [records.next(), records.next(), records.next()];
  if (status !== undefined && !/^[01]$/.test(status.toString("latin1"))) throw wrong("status", status);
  if (tree !== undefined && !OBJECT_ID.test(tree.toString("latin1"))) throw wrong("tree", tree);
  if (status === undefined || tree === undefined || next === undefined) return more;
  if (status[0] === 0x31) {
    if (next.length > 0) throw wrong("end of a clean merge", next);
    return { value: { tree: tree.toString("latin1"), conflict: null }, used: records.at };
  }
  const files = new Set<string>();
  for (let record = next; record.length > 0; ) {
    const tab = record.indexOf(0x09);
    if (!/^\d{6} [0-9a-f]{40,64} [0-3]$/.test(record.toString("latin1", 0, tab))) throw wrong("file", record);
    if (files.size < MAX_PATHS) files.add(textOf(record.subarray(tab + 1)));
    const following = records.next();
    if (following === undefined) return more;
    record = following;
  }
  const kinds = new Map<string, string>();
  for (;;) {
    const count = records.next();
    if (count === undefined) return more;
    // Git gives its advice about submodules where the end would be.
    if (count.length === 0 || count.toString("latin1", 0, ADVICE.length) === ADVICE) break;
    if (!/^\d{1,9}$/.test(count.toString("latin1"))) throw wrong("number of paths", count);
    const paths: Buffer[] = [];
    for (let left = Number(count.toString("latin1")); left > 0; left--) {
      const path = records.next();
      if (path === undefined) return more;
      if (paths.length < MAX_PATHS) paths.push(path);
    }
    const [kind, message] = [records.next(), records.next()];
    if (kind === undefined || message === undefined) return more;
    const why = /^CONFLICT \((.+)\)$/.exec(kind.toString("latin1"))?.[1];
    const path = paths[0] === undefined ? undefined : textOf(paths[0]);
    if (why !== undefined && path !== undefined && !kinds.has(path) && kinds.size < MAX_PATHS)
      kinds.set(path, why);
  }
  const paths = [...new Set([...kinds.keys(), ...files])];
  return { value: { tree: null, conflict: { detail: shown(paths, kinds), paths } }, used: records.at };
}

function shown(paths: readonly string[], kinds: ReadonlyMap<string, string>): string {
  const words = paths.slice(0, MAX_SHOWN_PATHS).map((path) => {
    const kind = kinds.get(path);
    return kind === undefined ? path : `${path} (${kind})`;
  });
  const left = paths.length - words.length;
  return left > 0 ? `${words.join(", ")} and ${left} more` : words.join(", ");
}

function wrong(what: string, said: Buffer): GitError {
  const shown = JSON.stringify(said.toString("latin1", 0, 200));
  return new GitError("GIT_FAILED", `git merge-tree for a ${what} said ${shown}`);
}
