import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git, gitLine } from "./git.ts";

/**
 * Adds a commit to a branch of a bare repository that writes these files whole, and moves the branch. Without hooks: for what
 * is made before anybody else works in it.
 * @returns The commit.
 * @throws GitError
 */
export async function commitFiles(
  gitDir: string,
  branch: string,
  files: readonly { readonly path: string; readonly text: string }[],
  message: string,
): Promise<string> {
  const ref = `refs/heads/${branch}`;
  const parent = await gitLine(["rev-parse", "--verify", ref], { gitDir });
  const folder = await mkdtemp(join(tmpdir(), "drover-index-"));
  const who = { GIT_AUTHOR_NAME: "Drover", GIT_AUTHOR_EMAIL: "drover@localhost" };
  const env = {
    GIT_INDEX_FILE: join(folder, "index"),
    ...who,
    GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
    GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
  };
  try {
    await git(["read-tree", parent], { gitDir, env });
    for (const { path, text } of files) {
      const blob = await gitLine(["hash-object", "-w", "--stdin"], { gitDir, input: text });
      await git(["update-index", "--add", "--cacheinfo", `100644,${blob},${path}`], { gitDir, env });
    }
    const tree = await gitLine(["write-tree"], { gitDir, env });
    const commit = await gitLine(["commit-tree", tree, "-p", parent, "-m", message], { gitDir, env });
    await git(["update-ref", ref, commit, parent], { gitDir });
    return commit;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
