import { mkdirSync, rmSync } from "node:fs";
import { type Commit, CommitWriter, type NewCommit, readCommit } from "../git/commits.ts";
import { GitError, git } from "../git/git.ts";
import { ObjectReader } from "../git/objects.ts";
import { RefWriter } from "../git/ref-writer.ts";
import { bytesOf, textOf } from "../git/text.ts";
import { AttributeReader, type Attributes, OWN_DRIVERS } from "./attributes.ts";
import type { TreeAnswer } from "./tree-answer.ts";
import { mergeEnvironment, TreeMerger } from "./tree-merger.ts";

const MAX_KNOWN_COMMITS = 2_000;

/** Head and body of a commit are read into memory; longer ones are not merged. */
export const MAX_COMMIT_BYTES = 1024 * 1024;

/** One bare repository with the processes that work in it. Merging is for one caller at a time: see `serially`. */
export class Repository {
  readonly gitDir: string;
  readonly reader: ObjectReader;
  readonly refs: RefWriter;
  readonly trees: TreeMerger;
  readonly #writer: CommitWriter;
  readonly #attributes: AttributeReader;
  readonly #commits = new Map<string, Commit>();
  readonly #scratch: string;
  readonly #timeoutMs: number;
  #last: Promise<unknown> = Promise.resolve();
  #under = 0;

  /** @param scratch A folder that is made for it, and removed at `close`. */
  constructor(gitDir: string, scratch: string, timeoutMs: number) {
    this.gitDir = gitDir;
    this.#scratch = scratch;
    this.#timeoutMs = timeoutMs;
    mkdirSync(scratch, { recursive: true });
    this.reader = new ObjectReader(gitDir, timeoutMs);
    this.refs = new RefWriter(gitDir, timeoutMs);
    this.trees = new TreeMerger(gitDir, scratch, timeoutMs);
    this.#writer = new CommitWriter(gitDir, scratch, timeoutMs);
    this.#attributes = new AttributeReader(this.reader);
  }

  /** Whether something is done with it now, or waits to be. */
  get isBusy(): boolean {
    return this.#under > 0;
  }

  /** Does one thing after the other: what merges and writes. */
  serially<T>(act: () => Promise<T>): Promise<T> {
    return this.reading(() => {
      const turn = this.#last.then(act);
      this.#last = turn.catch(() => {});
      return turn;
    });
  }

  /** Does what may be done beside anything else, and counts as busy meanwhile. */
  async reading<T>(act: () => Promise<T>): Promise<T> {
    this.#under++;
    try {
      return await act();
    } finally {
      this.#under--;
    }
  }

  /** @throws GitError `GIT_FAILED` when there is no such commit. */
  async commit(id: string): Promise<Commit> {
    const known = this.#commits.get(id);
    if (known !== undefined) return known;
    return this.#know(await readCommit(this.reader, id, MAX_COMMIT_BYTES));
  }

  async write(commit: NewCommit): Promise<Commit> {
    return this.#know(await this.#writer.write(commit));
  }

  /** Merges two commits by their history, with the attributes that the first one's tree has. */
  async mergeTrees(ours: Commit, theirs: Commit): Promise<TreeAnswer> {
    const attributes = await this.#attributes.of(ours.tree);
    const refusal = attributes.namesDriver ? await this.#needsDriver(ours, theirs, attributes) : undefined;
    if (refusal !== undefined) return refusal;
    const answer = await this.trees.merge(ours, theirs, attributes);
    if (answer.conflict !== null) return answer;
    try {
      // A tree that is not there is found out by this, and the next merge needs it anyway.
      await this.#attributes.of(answer.tree);
      return answer;
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const again = await this.trees.mergeAlone(ours, theirs, attributes);
      if (again.conflict === null) await this.#attributes.of(again.tree);
      return again;
    }
  }

  async isAncestor(older: string, newer: string): Promise<boolean> {
    const words = ["merge-base", "--is-ancestor", older, newer];
    const { exitCode } = await git(words, { ...this.#where(), allow: [0, 1] });
    return exitCode === 0;
  }

  /** Ids that `git rev-list` tells, oldest first. */
  async revisions(args: readonly string[]): Promise<string[]> {
    const words = ["rev-list", "--reverse", "--topo-order", ...args];
    const { stdout } = await git(words, this.#where());
    return stdout.toString("latin1").split("\n").filter(Boolean);
  }

  /** Paths that differ between the two, or between where they parted and `to`; an old and a new name for a rename. */
  async differences(from: string, to: string, sinceParted: boolean): Promise<string[]> {
    const words = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none"];
    const { stdout } = await git([...words, ...(sinceParted ? ["--merge-base"] : []), from, to, "--"], {
      ...this.#where(),
    });
    return records(stdout);
  }

  /** A conflict when both sides touch files whose merge driver is not one of git's own. */
  async #needsDriver(ours: Commit, theirs: Commit, attributes: Attributes): Promise<TreeAnswer | undefined> {
    if (await this.isAncestor(ours.id, theirs.id)) return undefined;
    const sides: Map<string, string>[] = [];
    for (const [from, to] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      // Without a history in common there is nothing to compare, and the merge is refused anyway.
      const words = ["merge-base", from.id, to.id];
      const { exitCode } = await git(words, { ...this.#where(), allow: [0, 1] });
      if (exitCode === 1) return undefined;
      sides.push(await this.#drivers(await this.differences(from.id, to.id, true), attributes));
    }
    const [mine, other] = sides;
    if (mine === undefined || other === undefined || mine.size === 0 || other.size === 0) return undefined;
    const paths = [...new Set([...other.keys(), ...mine.keys()])];
    const shown = [...other].slice(0, 20).map(([path, driver]) => `${path} (merge=${driver})`);
    const detail = `both sides touch files with a merge driver of their own, and a gate runs none: ${shown.join(", ")}`;
    return { tree: null, conflict: { detail, paths: paths.slice(0, 1_000) } };
  }

  async #drivers(paths: readonly string[], attributes: Attributes): Promise<Map<string, string>> {
    if (paths.length === 0) return new Map();
    const scratch = this.trees.workTree(attributes);
    const { stdout } = await git(["check-attr", "-z", "--stdin", "merge"], {
      ...this.#where(),
      cwd: scratch,
      env: mergeEnvironment(scratch),
      input: Buffer.concat(paths.flatMap((path) => [bytesOf(path), Buffer.from("\0")])),
    });
    const found = new Map<string, string>();
    const words = records(stdout);
    for (let at = 0; at + 2 < words.length; at += 3) {
      const driver = words[at + 2]!;
      if (![...OWN_DRIVERS, "unspecified", "set", "unset"].includes(driver)) found.set(words[at]!, driver);
    }
    return found;
  }

  #know(commit: Commit): Commit {
    if (this.#commits.size >= MAX_KNOWN_COMMITS) this.#commits.clear();
    this.#commits.set(commit.id, commit);
    return commit;
  }

  #where(): { gitDir: string; timeoutMs: number } {
    return { gitDir: this.gitDir, timeoutMs: this.#timeoutMs };
  }

  async close(): Promise<void> {
    this.reader.close();
    this.refs.close();
    this.trees.close();
    await this.#writer.close();
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}

/** Records that each end with a NUL. */
function records(bytes: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    found.push(textOf(bytes.subarray(at, end)));
    at = end + 1;
  }
  return found;
}
