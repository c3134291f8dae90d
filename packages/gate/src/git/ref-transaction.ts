import { Coprocess, type Parsed } from "./coprocess.ts";
import { GitError } from "./git.ts";
import { OBJECT_ID } from "./objects.ts";
import { isRefName } from "./ref-names.ts";
import type { RefMove } from "./refs.ts";

const TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = 4_096;

/**
 * Moves of refs of one repository that have been prepared: their locks are held and what they were expected to be is
 * verified, so that little can go wrong with `commit`. Git gives the locks up when this process ends; when git itself is
 * killed they are left.
 */
export class RefTransaction {
  readonly #git: Coprocess;

  private constructor(git: Coprocess) {
    this.#git = git;
  }

  /** @param moves Each with what the ref is now. @throws GitError when one of them is not, or is locked */
  static async prepare(gitDir: string, moves: readonly Required<RefMove>[]): Promise<RefTransaction> {
    const lines = moves.map(({ ref, new: to, old }) => {
      if (!isRefName(ref) || to === null || old === null || !OBJECT_ID.test(to) || !OBJECT_ID.test(old))
        throw new GitError("GIT_FAILED", `${JSON.stringify(ref)} is not moved like this`);
      return `update ${ref}\0${to}\0${old}\0`;
    });
    const command = ["git", `--git-dir=${gitDir}`, "update-ref", "-z", "--stdin", "--no-deref"];
    const git = new Coprocess(command, { timeoutMs: TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES });
    await git.ask("start\0", (bytes) => answered(bytes, "start"));
    await git.ask(`${lines.join("")}prepare\0`, (bytes) => answered(bytes, "prepare"));
    return new RefTransaction(git);
  }

  /** @throws GitError; then what has become of the refs has to be looked at */
  async commit(): Promise<void> {
    // A process that was started anew would have nothing to commit, and say that it did.
    if (this.#git.pid === undefined) throw new GitError("GIT_FAILED", "update-ref has ended");
    await this.#git.ask("commit\0", (bytes) => answered(bytes, "commit"));
    this.#git.close();
  }

  /** Gives up the locks. */
  async abort(): Promise<void> {
    if (this.#git.pid === undefined) return;
    try {
      await this.#git.ask("abort\0", (bytes) => answered(bytes, "abort"));
    } catch {
      // It has ended, and its locks with it.
    }
    this.#git.close();
  }
}

function answered(bytes: Buffer, command: string): Parsed<null> {
  const text = `${command}: ok\n`;
  if (bytes.length < text.length) return text.length;
  if (bytes.toString("latin1", 0, text.length) !== text)
    throw new GitError("GIT_FAILED", `update-ref answered ${JSON.stringify(bytes.toString().slice(0, 200))}`);
  return { value: null, used: text.length };
}
