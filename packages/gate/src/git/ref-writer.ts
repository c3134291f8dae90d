import { Coprocess, type Parsed } from "./coprocess.ts";
import { GitError } from "./git.ts";
import { type RefMove, updateLines } from "./refs.ts";

const MAX_ANSWER_BYTES = 4_096;
const ANSWER = "start: ok\ncommit: ok\n";

/** Moves refs of one repository through one `git update-ref`, one transaction after the other. */
export class RefWriter {
  readonly #process: Coprocess;

  constructor(gitDir: string, timeoutMs: number) {
    const command = ["git", `--git-dir=${gitDir}`, "update-ref", "-z", "--stdin", "--no-deref"];
    this.#process = new Coprocess(command, { timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES });
  }

  /**
   * All or none. One that fails takes those with it that were asked for while it was under way.
   * @throws GitError `GIT_FAILED` when one is not what it was expected to be.
   */
  async move(moves: readonly RefMove[]): Promise<void> {
    if (moves.length === 0) return;
    const lines = updateLines(moves);
    await this.#process.ask(Buffer.concat([Buffer.from("start\0"), ...lines, Buffer.from("commit\0")]), done);
  }

  close(): void {
    this.#process.close();
  }
}

function done(bytes: Buffer): Parsed<null> {
  if (bytes.length < ANSWER.length) return ANSWER.length;
  const said = bytes.toString("latin1", 0, ANSWER.length);
  if (said !== ANSWER) throw new GitError("GIT_FAILED", `update-ref answered ${JSON.stringify(said)}`);
  return { value: null, used: ANSWER.length };
}
