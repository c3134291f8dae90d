import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { git, gitLine } from "../src/git/git.ts";
import { type MergeMode, Merger } from "../src/merger/index.ts";
import { type History, makeHistories } from "./histories.ts";

/** How many histories; else as many as `BUDGET_MS` is enough for. */
const WANTED = Number(process.env.DROVER_MERGE_HISTORIES ?? 0);
const FIRST_SEED = Number(process.env.DROVER_MERGE_SEED ?? 1);
const BUDGET_MS = 20_000;

const ENV = {
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@localhost",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@localhost",
  GIT_EDITOR: "true",
  // What a work tree is checked out with must not make it differ from what is committed.
  GIT_CONFIG_COUNT: "2",
  GIT_CONFIG_KEY_0: "advice.detachedHead",
  GIT_CONFIG_VALUE_0: "false",
  GIT_CONFIG_KEY_1: "gc.auto",
  GIT_CONFIG_VALUE_1: "0",
};

let folder = "";
let bare = "";
let work = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drover-histories-"));
  bare = join(folder, "bare.git");
  work = join(folder, "work");
  await git(["init", "-q", "--bare", bare]);
  await git(["init", "-q", work]);
  const alternates = join(work, ".git/objects/info/alternates");
  await (await import("node:fs/promises")).writeFile(alternates, `${bare}/objects\n`);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const inWork = (args: readonly string[], allow: readonly number[] = [0]) =>
  git(args, { cwd: work, env: ENV, allow });

/** The tree that git itself makes in a work tree, or `conflict`. */
async function byGit(mode: MergeMode, { base, change }: History): Promise<string> {
  await inWork(["checkout", "-q", "-f", "--detach", mode === "rebase" ? change : base]);
  await inWork(["clean", "-ffdxq"]);
  const commands: Partial<Record<MergeMode, readonly string[]>> = {
    merge: ["merge", "-q", "--no-edit", change],
    "squash-merge": ["merge", "-q", "--squash", change],
    "cherry-pick": ["cherry-pick", "--allow-empty", "--keep-redundant-commits", change],
    rebase: ["rebase", "-q", base],
  };
  const { exitCode } = await inWork(commands[mode]!, [0, 1, 128]);
  const tree = exitCode === 0 ? await gitLine(["write-tree"], { cwd: work }) : "conflict";
  if (exitCode !== 0) {
    // An abort may refuse where a submodule is in the way.
    await inWork(["rebase", "--abort"], [0, 1, 128]);
    await inWork(["cherry-pick", "--quit"], [0, 128]);
    await inWork(["reset", "-q", "--hard", base]);
  }
  return tree;
}

async function byMerger(merger: Merger, mode: MergeMode, { base, change }: History): Promise<string> {
  const answer = await merger.merge({
    steps: [{ project: "p", branch: "main", commit: change, mode }],
    bases: [{ project: "p", branch: "main", commit: base }],
  });
  if (answer.kind === "conflict") return "conflict";
  if (answer.kind === "error") return answer.detail;
  return gitLine(["rev-parse", `${answer.steps[0]!.commit}^{tree}`], { gitDir: bare });
}

test("trees and conflicts are those of git merge, cherry-pick, merge --squash and rebase in a work tree", async () => {
  const startedMs = performance.now();
  const counts = { histories: 0, conflicts: 0 };
  await using merger = new Merger({ repositoryOf: () => bare });
  const isTime = () => (WANTED > 0 ? counts.histories < WANTED : performance.now() - startedMs < BUDGET_MS);
  while (isTime()) {
    const seeds = Array.from({ length: 10 }, (_, i) => FIRST_SEED + counts.histories + i);
    for (const history of await makeHistories(bare, seeds)) {
      if (!isTime()) break;
      for (const mode of ["merge", "cherry-pick", "squash-merge", "rebase"] as const) {
        // A merge is not picked but merged.
        const parents = await gitLine(["rev-list", "--parents", "-n1", history.change], { gitDir: bare });
        if (mode === "cherry-pick" && parents.split(" ").length > 2) continue;
        const wanted = await byGit(mode, history);
        if (wanted === "conflict") counts.conflicts++;
        const what = `seed ${history.seed}, ${mode}, ${history.change} onto ${history.base}`;
        expect(`${what}: ${await byMerger(merger, mode, history)}`).toBe(`${what}: ${wanted}`);
      }
      counts.histories++;
    }
  }
  if (WANTED > 0) console.log(counts, `${Math.round(performance.now() - startedMs)} ms`);
  expect(counts.histories).toBeGreaterThan(0);
}, 3_600_000);
