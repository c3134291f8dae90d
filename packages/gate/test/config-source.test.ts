import { expect, onTestFinished, test } from "vitest";
import { Merger } from "../src/merger/index.ts";
import { RepositoryConfig } from "../src/scheduler/config-source.ts";
import { BareRepository } from "./bare-repository.ts";

/* What is read of repositories for configuration, and how often. */

async function scene() {
  const repository = await BareRepository.make();
  onTestFinished(() => repository[Symbol.asyncDispose]());
  const merger = new Merger({ repositoryOf: () => repository.gitDir });
  onTestFinished(() => merger.close());
  const asked: string[] = [];
  const counting = new Proxy(merger, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        asked.push(String(name));
        return value.apply(of, args);
      };
    },
  });
  const forge = { branches: async () => new Map<string, string>(), gitDir: () => repository.gitDir };
  const config = new RepositoryConfig(forge, counting);
  /** The files at a commit, and what was asked of git for them. */
  const filesAt = async (commit: string, extraPaths: readonly string[] = []) => {
    asked.length = 0;
    const files = await config.filesAt("app", commit, extraPaths);
    return { files, asked: [...asked] };
  };
  return { repository, filesAt };
}

test("a tree is looked through once, whichever commits have it; then nothing of it is read again", async () => {
  const { repository, filesAt } = await scene();
  const one = await repository.commit("main", { "zuul.yaml": "- job: {name: a}\n", "src/a": "1" });
  const first = await filesAt(one);
  expect(first.files).toEqual([{ path: "zuul.yaml", text: "- job: {name: a}\n" }]);
  expect(first.asked).toEqual(["treeOf", "findFiles", "readFound"]);
  expect(await filesAt(one)).toEqual({ files: first.files, asked: [] });
  // Of another commit with the same tree, only which one it has is asked.
  await repository.commit("main", { "src/a": "2" });
  const same = await repository.commit("main", { "src/a": "1" });
  const again = await filesAt(same);
  expect(again.asked).toEqual(["treeOf"]);
  expect(again.files).toBe(first.files);
});

test("of another tree only its files are looked for, where their contents are as they were", async () => {
  const { repository, filesAt } = await scene();
  const files = { "zuul.d/a.yaml": "[]\n", "zuul.d/b.yaml": "[]\n", "tests/ci.yaml": "[]\n" };
  const first = await filesAt(await repository.commit("main", files));
  const other = await repository.commit("main", { "src/a": "1" });
  const second = await filesAt(other);
  expect(second.asked).toEqual(["treeOf", "findFiles"]);
  expect(second.files).toBe(first.files);
  // Where the tenant has more looked at, it is another question.
  const more = await filesAt(other, ["tests/ci.yaml"]);
  expect(more.files.map(({ path }) => path)).toEqual(["tests/ci.yaml", "zuul.d/a.yaml", "zuul.d/b.yaml"]);
  const edited = await filesAt(await repository.commit("main", { "zuul.d/b.yaml": "# other\n[]\n" }));
  expect(edited.asked).toContain("readFound");
  expect(edited.files).not.toEqual(first.files);
});
