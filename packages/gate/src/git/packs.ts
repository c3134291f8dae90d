import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { GitError, git, gitEnvironment } from "./git.ts";
import { OBJECT_ID } from "./objects.ts";
import { started } from "./started.ts";

/** Packs of fewer objects become single files, as what git itself writes here; others stay packs. */
const UNPACK_BELOW = 2_000;
const HEADER_BYTES = 12;
const TIMEOUT_MS = 300_000;

/**
 * What is needed besides what is there to have some commits.
 * @throws GitError `GIT_TOO_MUCH_OUTPUT`
 */
export async function packOf(
  gitDir: string,
  wanted: readonly string[],
  there: readonly string[],
  maxBytes: number,
): Promise<Buffer> {
  const lines = [...wanted, ...there.map((id) => `^${id}`)];
  for (const id of [...wanted, ...there])
    if (!OBJECT_ID.test(id)) throw new GitError("GIT_FAILED", `${JSON.stringify(id)} is no object id`);
  const words = ["pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q"];
  const { stdout } = await git(words, {
    gitDir,
    input: `${lines.join("\n")}\n`,
    maxOutputBytes: maxBytes,
  });
  return stdout;
}

/**
 * Takes the objects of a pack, which may leave out what is there already. What is broken, or lacks something, is refused.
 * @throws GitError
 */
export async function takePack(gitDir: string, content: Readable, maxBytes: number): Promise<void> {
  const pack = content[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  while (head.length < HEADER_BYTES) {
    const { value, done } = await pack.next();
    if (done === true) throw new GitError("GIT_FAILED", "it is no pack");
    head = Buffer.concat([head, value]);
  }
  if (head.toString("latin1", 0, 4) !== "PACK") throw new GitError("GIT_FAILED", "it is no pack");
  const words =
    head.readUInt32BE(8) < UNPACK_BELOW
      ? ["unpack-objects", "-q", "--strict", `--max-input-size=${maxBytes}`]
      : ["index-pack", "--stdin", "--fix-thin", "--strict", `--max-input-size=${maxBytes}`];
  const child = started(
    spawn("git", [`--git-dir=${gitDir}`, ...words], {
      env: gitEnvironment(),
      stdio: ["pipe", "ignore", "pipe"],
    }),
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (complaint.length < 4_096) complaint += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => {});
  // It ends before it has read everything when something is wrong, which it then says.
  child.stdin.on("error", () => {});
  try {
    let isOpen = child.stdin.write(head);
    for (let next = await pack.next(); next.done !== true; next = await pack.next()) {
      if (child.exitCode !== null) break;
      if (!isOpen) await Promise.race([new Promise((resolve) => child.stdin.once("drain", resolve)), ended]);
      isOpen = child.stdin.write(next.value);
    }
    child.stdin.end();
    const code = await ended;
    if (code !== 0)
      throw new GitError(
        "GIT_FAILED",
        `git ${words[0]} exited with ${code}: ${complaint.trim().slice(-500)}`,
      );
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
