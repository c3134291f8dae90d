import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Coprocess } from "./coprocess.ts";
import { GitError } from "./git.ts";
import { OBJECT_ID, type ObjectReader } from "./objects.ts";

/** Text of a commit is one character for each byte, so that whatever encoding it is in goes through unharmed. */
export interface Commit {
  readonly id: string;
  readonly tree: string;
  readonly parents: readonly string[];
  /** `Name <address> 1700000000 +0100` */
  readonly author: string;
  readonly committer: string;
  /** `null`: UTF-8. */
  readonly encoding: string | null;
  readonly message: string;
}

export type NewCommit = Omit<Commit, "id">;

/** @throws GitError `GIT_FAILED` when the bytes are no commit. */
export function parseCommit(id: string, content: Uint8Array): Commit {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1");
  const end = text.indexOf("\n\n");
  const headers = new Map<string, string[]>();
  for (const line of (end < 0 ? text : text.slice(0, end)).split("\n")) {
    const space = line.indexOf(" ");
    // Lines that begin with a space go on with the one before; none of those that do is needed.
    if (space < 1) continue;
    const name = line.slice(0, space);
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [line.slice(space + 1)]);
    else values.push(line.slice(space + 1));
  }
  const [tree] = headers.get("tree") ?? [];
  const [author] = headers.get("author") ?? [];
  const [committer] = headers.get("committer") ?? [];
  if (tree === undefined || !OBJECT_ID.test(tree) || author === undefined || committer === undefined)
    throw new GitError("GIT_FAILED", `commit ${id} is broken`);
  return {
    id,
    tree,
    parents: headers.get("parent") ?? [],
    author,
    committer,
    encoding: headers.get("encoding")?.[0] ?? null,
    message: end < 0 ? "" : text.slice(end + 2),
  };
}

export function formatCommit(commit: NewCommit): Buffer {
  const lines = [
    `tree ${commit.tree}`,
    ...commit.parents.map((parent) => `parent ${parent}`),
    `author ${commit.author}`,
    `committer ${commit.committer}`,
    ...(commit.encoding === null ? [] : [`encoding ${commit.encoding}`]),
  ];
  return Buffer.from(`${lines.join("\n")}\n\n${commit.message}`, "latin1");
}

/** When a commit was committed: seconds since 1970, and the zone as it is written. What cannot be read is 0 in UTC. */
export function commitDate({ committer }: Pick<Commit, "committer">): { seconds: number; zone: string } {
  const words = /> (\d{1,15}) ([+-]\d{4})$/.exec(committer);
  return { seconds: Number(words?.[1] ?? 0), zone: words?.[2] ?? "+0000" };
}

/** @throws GitError `GIT_FAILED` when there is no such commit. */
export async function readCommit(reader: ObjectReader, id: string, maxBytes: number): Promise<Commit> {
  const content = await reader.read(id, "commit");
  if (content === undefined) throw new GitError("GIT_FAILED", `there is no commit ${id}`);
  if (content.length > maxBytes)
    throw new GitError("GIT_TOO_MUCH_OUTPUT", `commit ${id} has ${content.length} bytes, limit ${maxBytes}`);
  return parseCommit(id, content);
}

/**
 * Writes commits through one `git hash-object`, which reads files whose names it is told: so git itself checks and stores
 * them, whatever the repository's hash and permissions are, without a process for each.
 */
export class CommitWriter {
  readonly #process: Coprocess;
  readonly #file: string;
  readonly #fd: number;
  #last: Promise<unknown> = Promise.resolve();

  /** @param scratch An existing folder of its own, whose path holds no newline. */
  constructor(gitDir: string, scratch: string, timeoutMs: number) {
    this.#file = join(scratch, "commit");
    this.#fd = openSync(this.#file, "w");
    const words = ["hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths"];
    this.#process = new Coprocess(["git", `--git-dir=${gitDir}`, ...words], {
      timeoutMs,
      maxAnswerBytes: 1_000,
    });
  }

  /** @throws GitError */
  write(commit: NewCommit): Promise<Commit> {
    const turn = this.#last.then(() => this.#write(commit));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #write(commit: NewCommit): Promise<Commit> {
    const bytes = formatCommit(commit);
    ftruncateSync(this.#fd);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, at);
    const id = await this.#process.ask(`${this.#file}\n`, (answer) => {
      const end = answer.indexOf(0x0a);
      if (end < 0) return answer.length + 1;
      const said = answer.toString("latin1", 0, end);
      if (!OBJECT_ID.test(said)) throw new Error(`it said ${JSON.stringify(said)}`);
      return { value: said, used: end + 1 };
    });
    return { id, ...commit };
  }

  /** Ends the process. What is being written fails. */
  async close(): Promise<void> {
    this.#process.close();
    await this.#last;
    closeSync(this.#fd);
  }
}
