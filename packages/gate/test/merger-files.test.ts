import { expect, onTestFinished, test } from "vitest";
import { git } from "../src/git/git.ts";
import { bytesOf, textOf } from "../src/git/text.ts";
import { checkGitVersion } from "../src/git/version.ts";
import { Merger } from "../src/merger/index.ts";
import { BareRepository } from "./bare-repository.ts";

async function scene() {
  const repository = await BareRepository.make();
  const merger = new Merger({ repositoryOf: (project) => (project === "p" ? repository.gitDir : undefined) });
  onTestFinished(async () => {
    await merger.close();
    await repository[Symbol.asyncDispose]();
  });
  return { repository, merger };
}

test("files that a change touches are told against where it parted, both names of a rename, and any name", async () => {
  const { repository, merger } = await scene();
  const root = await repository.commit("main", { a: "1", old: "2\n".repeat(50), mode: "3" });
  const tip = await repository.commit("main", { "not-the-change": "1" });
  const commit = await repository.commit(
    "change",
    {
      "caf\xe9\n": "1",
      "\xc3\xbc": "1",
      old: null,
      new: "2\n".repeat(50),
      mode: { mode: "100755", content: "3" },
      sub: { mode: "160000", content: "1".repeat(40) },
    },
    { from: root },
  );
  const paths = ["caf\udce9\n", "mode", "new", "old", "sub", "ü"];
  expect(await merger.filesChanged("p", tip, commit)).toEqual(paths);
  expect(JSON.parse(JSON.stringify(paths))).toEqual(paths);
  expect(await merger.filesChanged("p", root, root)).toEqual([]);
  const alone = await repository.commit("alone", { z: "1" }, { from: null });
  expect(await merger.filesChanged("p", root, alone)).toEqual(["a", "mode", "old", "z"]);
  await expect(merger.filesChanged("p", root, "1".repeat(40))).rejects.toThrow("GIT_FAILED");
  await expect(merger.filesChanged("p", root, "HEAD")).rejects.toThrow("MERGER_REQUEST_INVALID");
});

test("names are text of which the same bytes are made again", () => {
  for (const bytes of [
    "plain",
    "caf\xe9",
    "\xc3\xbc\xff\xc3",
    "\xed\xa0\x80",
    "\xf0\x9f\x98\x80\xf0\x9f",
    "\xc0\xaf",
    "\xef\xbb\xbfmark",
  ].map((name) => Buffer.from(name, "latin1"))) {
    const text = JSON.parse(JSON.stringify(textOf(bytes))) as string;
    expect(bytesOf(text)).toEqual(bytes);
  }
  expect(textOf(Buffer.from("ü😀"))).toBe("ü😀");
});

test("files are read from a commit by path and by folder, links and submodules left out", async () => {
  const { repository, merger } = await scene();
  const commit = await repository.commit("main", {
    ".zuul.yaml": "- job:\n",
    "zuul.d/b.yaml": "b",
    "zuul.d/sub/a.yaml": "a",
    "zuul.d/README": "no",
    "zuul.d/link.yaml": { mode: "120000", content: "b.yaml" },
    "zuul.d/module": { mode: "160000", content: "1".repeat(40) },
    "zuul.yaml": { mode: "120000", content: ".zuul.yaml" },
  });
  const files = await merger.readFiles("p", commit, {
    files: ["zuul.yaml", ".zuul.yaml", "nowhere/x", "zuul.d"],
    folders: ["zuul.d", ".zuul.d", ".zuul.yaml"],
    wants: (path) => path.endsWith(".yaml"),
  });
  expect([...files].map(([path, content]) => `${path}: ${content}`)).toEqual([
    ".zuul.yaml: - job:\n",
    "zuul.d/b.yaml: b",
    "zuul.d/sub/a.yaml: a",
  ]);
});

test("files have limits in number and size", async () => {
  const { repository, merger } = await scene();
  const large = await repository.commit("main", { large: "x".repeat(4 * 1024 * 1024 + 1) });
  await expect(merger.readFiles("p", large, { files: ["large"] })).rejects.toThrow(
    "MERGER_LIMIT: large has 4194305 bytes, limit 4194304",
  );
  const names = Array.from({ length: 2_001 }, (_, i) => [`d/${i}`, ""] as const);
  const many = await repository.commit("main", Object.fromEntries(names));
  await expect(merger.readFiles("p", many, { folders: ["d"] })).rejects.toThrow(
    "MERGER_LIMIT: more than 2000",
  );
  const part = "x".repeat(4 * 1024 * 1024);
  const parts = Array.from({ length: 17 }, (_, i) => [`e/${i}`, part] as const);
  const heavy = await repository.commit("main", Object.fromEntries(parts));
  await expect(merger.readFiles("p", heavy, { folders: ["e"] })).rejects.toThrow("more than 67108864 bytes");
});

test("branches and tags are told as they are", async () => {
  const { repository, merger } = await scene();
  const main = await repository.commit("main", { a: "1" });
  const other = await repository.commit("feature/\xc3\xbc", { a: "2" });
  await git(["update-ref", "refs/tags/v1", main], { gitDir: repository.gitDir });
  await git(["update-ref", "refs/drover/x", main], { gitDir: repository.gitDir });
  expect([...(await merger.refState("p"))]).toEqual([
    ["refs/heads/feature/ü", other],
    ["refs/heads/main", main],
    ["refs/tags/v1", main],
  ]);
});

test("commits that are held outlive a collection, and those that were released do not", async () => {
  const { repository, merger } = await scene();
  const root = await repository.commit("main", { a: "1" });
  await repository.commit("main", { b: "1" });
  const commit = await repository.commit("change", { c: "1" }, { from: root });
  const answer = await merger.merge({ steps: [{ project: "p", branch: "main", commit, mode: "merge" }] });
  if (answer.kind !== "merged") throw new Error(answer.detail);
  const [made] = answer.steps;
  const held = [{ project: "p", commit: made!.commit }];
  await merger.hold("buildset-7", held);
  await merger.hold("buildset-7", [...held, { project: "p", commit }]);
  await merger.hold("other.8", held);
  expect(await merger.held("p")).toEqual(["buildset-7", "other.8"]);
  await merger.release("buildset-7", ["p", "p"]);
  await git(["gc", "-q", "--prune=now"], { gitDir: repository.gitDir });
  expect(await repository.files(made!.commit)).toHaveLength(3);
  await merger.release("other.8", ["p"]);
  await merger.release("never.held", ["p"]);
  expect(await merger.held("p")).toEqual([]);
  await git(["gc", "-q", "--prune=now"], { gitDir: repository.gitDir });
  await expect(repository.files(made!.commit)).rejects.toThrow("GIT_FAILED");
  for (const id of ["", "a/b", "..", "x.lock", "a b", "-".repeat(101)])
    await expect(merger.hold(id, held)).rejects.toThrow("MERGER_REQUEST_INVALID");
});

test("git that is too old is refused by its version", () => {
  expect(checkGitVersion("git version 2.39.5")).toBe("2.39.5");
  expect(checkGitVersion("git version 2.51.0.windows.1")).toBe("2.51.0");
  expect(checkGitVersion("git version 3.0.1 (Apple Git-1)")).toBe("3.0.1");
  for (const said of ["git version 2.38.9", "git version 1.99.0", "what?"])
    expect(() => checkGitVersion(said)).toThrow("GIT_TOO_OLD");
});
