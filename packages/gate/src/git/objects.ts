import { Coprocess, type Parsed } from "./coprocess.ts";
import { GitError } from "./git.ts";
import { isRefName } from "./ref-names.ts";
import { textOf } from "./text.ts";

export type ObjectType = "commit" | "tree" | "blob" | "tag";

export interface ObjectInfo {
  readonly id: string;
  readonly type: ObjectType;
  readonly bytes: number;
}

export interface TreeEntry {
  /** `100644`, `100755`, `120000` a symbolic link, `40000` a tree, `160000` a submodule. */
  readonly mode: string;
  readonly id: string;
  /** As `textOf` has it. */
  readonly name: string;
}

/** A full object id, of either of git's hashes. */
export const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * Whether `resolve` may be asked for a ref of this name. Not where git would take it for what `git describe` says, of an
 * object whose id begins so.
 */
export function canResolve(ref: string): boolean {
  return /^refs\/[\x21-\x7e]+$/.test(ref) && isRefName(ref) && !/-g[0-9a-f]+$/i.test(ref);
}

/** Largest object that is read. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
const MAX_HEADER_BYTES = 200;
const NEWLINE = 0x0a;

/** Reads objects of one repository through one `git cat-file`. Names are full ids only: nothing is guessed. */
export class ObjectReader {
  readonly #process: Coprocess;

  constructor(gitDir: string, timeoutMs: number) {
    this.#process = new Coprocess(["git", `--git-dir=${gitDir}`, "cat-file", "--batch-command"], {
      timeoutMs,
      maxAnswerBytes: MAX_OBJECT_BYTES + MAX_HEADER_BYTES,
    });
  }

  /** `undefined`: there is no such object. */
  info(id: string): Promise<ObjectInfo | undefined> {
    return this.#process.ask(`info ${checked(id)}\n`, (bytes) => {
      const header = headerOf(bytes, id);
      return typeof header === "number" ? header : { value: header.info, used: header.used };
    });
  }

  /** The object's content. `undefined`: there is none of this id and type. */
  async read(id: string, type: ObjectType): Promise<Buffer | undefined> {
    const found = await this.#process.ask(`contents ${checked(id)}\n`, (bytes): Parsed<Found> => {
      const header = headerOf(bytes, id);
      if (typeof header === "number") return header;
      if (header.info === undefined) return { value: undefined, used: header.used };
      const end = header.used + header.info.bytes;
      if (bytes.length <= end) return end + 1;
      if (bytes[end] !== NEWLINE) throw new Error(`${id} is longer than it says`);
      return { value: { type: header.info.type, content: bytes.subarray(header.used, end) }, used: end + 1 };
    });
    return found?.type === type ? found.content : undefined;
  }

  /**
   * The commit that a ref points to now, through tags; `undefined`: there is none.
   * @param ref One that `canResolve`.
   */
  resolve(ref: string): Promise<string | undefined> {
    if (!canResolve(ref))
      throw new GitError("GIT_FAILED", `${JSON.stringify(ref)} is not looked up by its name`);
    const name = `${ref}^{commit}`;
    return this.#process.ask(`info ${name}\n`, (bytes): Parsed<string | undefined> => {
      const end = bytes.indexOf(NEWLINE);
      if (end < 0) return bytes.length + 1;
      const line = bytes.toString("latin1", 0, end);
      const used = end + 1;
      if (line === `${name} missing`) return { value: undefined, used };
      const id = /^([0-9a-f]+) commit \d+$/.exec(line)?.[1];
      if (id === undefined) throw new Error(`asked for ${name} it said ${JSON.stringify(line)}`);
      return { value: id, used };
    });
  }

  /** @throws GitError `GIT_FAILED` when there is no such tree. */
  async tree(id: string): Promise<TreeEntry[]> {
    const content = await this.read(id, "tree");
    if (content === undefined) throw new GitError("GIT_FAILED", `there is no tree ${id}`);
    return parseTree(content, id.length / 2);
  }

  close(): void {
    this.#process.close();
  }
}

type Found = { readonly type: ObjectType; readonly content: Buffer } | undefined;

function checked(id: string): string {
  if (!OBJECT_ID.test(id)) throw new GitError("GIT_FAILED", `${JSON.stringify(id)} is no full object id`);
  return id;
}

function headerOf(bytes: Buffer, id: string): { info: ObjectInfo | undefined; used: number } | number {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0) {
    if (bytes.length > MAX_HEADER_BYTES) throw new Error("no header in what it said");
    return bytes.length + 1;
  }
  const line = bytes.toString("latin1", 0, end);
  if (line === `${id} missing`) return { info: undefined, used: end + 1 };
  const words = /^([0-9a-f]+) (commit|tree|blob|tag) (\d+)$/.exec(line);
  if (words === null || words[1] !== id) throw new Error(`asked for ${id} it said ${JSON.stringify(line)}`);
  return { info: { id, type: words[2] as ObjectType, bytes: Number(words[3]) }, used: end + 1 };
}

/** @param idBytes 20 or 32, by the repository's hash. */
export function parseTree(content: Buffer, idBytes: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const nul = content.indexOf(0, space);
    const end = nul + 1 + idBytes;
    if (space < 0 || nul < 0 || end > content.length) throw new GitError("GIT_FAILED", "a tree is broken");
    entries.push({
      mode: content.toString("latin1", at, space),
      name: textOf(content.subarray(space + 1, nul)),
      id: content.toString("hex", nul + 1, end),
    });
    at = end;
  }
  return entries;
}
