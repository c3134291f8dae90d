import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readBranches } from "../src/git/branches.ts";
import { git } from "../src/git/git.ts";
import { headBranch } from "../src/git/head.ts";
import { canResolve, ObjectReader } from "../src/git/objects.ts";
import { RefWriter } from "../src/git/ref-writer.ts";
import { readRefs } from "../src/git/refs.ts";
import { SharedReads } from "../src/git/shared-reads.ts";
import { BareRepository } from "./bare-repository.ts";

/* Reading refs without a process for each time says what git says. */

const TIMEOUT_MS = 60_000;

async function scene(): Promise<{ repository: BareRepository; gitDir: string; commit: string }> {
  const repository = await BareRepository.make();
  onTestFinished(() => repository[Symbol.asyncDispose]());
  const commit = await repository.commit("main", { a: "1" });
  return { repository, gitDir: repository.gitDir, commit };
}

async function branchesOfGit(gitDir: string): Promise<[string, string][]> {
  const refs = await readRefs(gitDir, ["refs/heads"]);
  return [...refs].map(([ref, commit]) => [ref.slice("refs/heads/".length), commit]);
}

test("branches are what git says, loose, packed, moved since and gone, whatever they are called", async () => {
  const { repository, gitDir, commit } = await scene();
  const point = (ref: string) => git(["update-ref", ref, commit], { gitDir });
  const same = async () => expect([...(await readBranches(gitDir))]).toEqual(await branchesOfGit(gitDir));
  await same();
  for (const ref of ["refs/heads/b/c", "refs/heads/b-c", "refs/heads/a", "refs/tags/refs/heads/x"])
    await point(ref);
  await same();
  await git(["pack-refs", "--all"], { gitDir });
  await same();
  const moved = await repository.commit("b/c", { b: "2" });
  await same();
  expect((await readBranches(gitDir)).get("b/c")).toBe(moved);
  await git(["update-ref", "-d", "refs/heads/a"], { gitDir });
  await same();
  await point("refs/heads/ü");
  await same();
  await git(["pack-refs", "--all"], { gitDir });
  await same();
  await git(["symbolic-ref", "refs/heads/link", "refs/heads/main"], { gitDir });
  await same();
  await rename(join(gitDir, "HEAD"), join(gitDir, "HEAD.gone"));
  await rm(join(gitDir, "refs"), { recursive: true });
  await expect(readBranches(gitDir)).rejects.toThrow("GIT_FAILED");
});

test("the branch of HEAD is what git says, and what is none is left to git", async () => {
  const { gitDir } = await scene();
  expect(await headBranch(gitDir)).toBe("main");
  await git(["symbolic-ref", "HEAD", "refs/heads/a/ü"], { gitDir });
  expect(await headBranch(gitDir)).toBe("a/ü");
  await writeFile(join(gitDir, "HEAD"), "nonsense\n");
  await expect(headBranch(gitDir)).rejects.toThrow("GIT_FAILED");
});

test("one process says what refs point to now, and takes no name for an object", async () => {
  const { repository, gitDir, commit } = await scene();
  const reader = new ObjectReader(gitDir, TIMEOUT_MS);
  onTestFinished(() => reader.close());
  expect(await reader.resolve("refs/heads/main")).toBe(commit);
  expect(await reader.resolve("refs/heads/none")).toBeUndefined();
  const next = await repository.commit("main", { a: "2" });
  expect(await reader.resolve("refs/heads/main")).toBe(next);
  await git(["pack-refs", "--all"], { gitDir });
  await git(["tag", "-a", "-m", "one", "v1", commit], {
    gitDir,
    env: { GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@localhost" },
  });
  expect(await reader.resolve("refs/heads/main")).toBe(next);
  expect(await reader.resolve("refs/tags/v1")).toBe(commit);
  // Git would take it for that object.
  const trap = `refs/heads/none-g${commit.slice(0, 10)}`;
  expect(canResolve(trap)).toBe(false);
  for (const name of [trap, commit, "HEAD", "refs/heads/main~1", "refs/heads/a\nrefs/heads/main"])
    expect(() => reader.resolve(name)).toThrow("GIT_FAILED");
});

test("one process moves refs, all of a call or none, and goes on after one that failed", async () => {
  const { repository, gitDir, commit } = await scene();
  const next = await repository.commit("main", { a: "2" });
  const writer = new RefWriter(gitDir, TIMEOUT_MS);
  onTestFinished(() => writer.close());
  const [x, y] = ["refs/drover/x", "refs/drover/ü"];
  await writer.move([
    { ref: x, new: commit, old: null },
    { ref: y, new: next },
  ]);
  const state = async () => Object.fromEntries(await readRefs(gitDir, ["refs/drover"]));
  expect(await state()).toEqual({ [x]: commit, [y]: next });
  const wrong = writer.move([
    { ref: y, new: null },
    { ref: x, new: next, old: next },
  ]);
  await expect(wrong).rejects.toThrow("GIT_FAILED");
  expect(await state()).toEqual({ [x]: commit, [y]: next });
  await writer.move([
    { ref: y, new: null },
    { ref: x, new: next, old: commit },
  ]);
  expect(await state()).toEqual({ [x]: next });
});

test("reads that are asked for while one is under way share the next one, and are told nothing older", async () => {
  const reads = new SharedReads<number>();
  let value = 0;
  let begun = 0;
  const ends: (() => void)[] = [];
  const read = () =>
    reads.read("key", async () => {
      begun++;
      const seen = value;
      await new Promise<void>((resolve) => ends.push(resolve));
      return seen;
    });
  const first = read();
  value = 1;
  const [second, third] = [read(), read()];
  expect(begun).toBe(1);
  ends.shift()!();
  expect(await first).toBe(0);
  await expect.poll(() => begun).toBe(2);
  value = 2;
  const fourth = read();
  ends.shift()!();
  expect(await Promise.all([second, third])).toEqual([1, 1]);
  await expect.poll(() => begun).toBe(3);
  ends.shift()!();
  expect(await fourth).toBe(2);
  const failing = reads.read("key", () => Promise.reject(new Error("no")));
  const behind = read();
  await expect(failing).rejects.toThrow("no");
  await expect.poll(() => begun).toBe(4);
  ends.shift()!();
  expect(await behind).toBe(2);
});
