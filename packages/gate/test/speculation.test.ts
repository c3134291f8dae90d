import { expect, test } from "vitest";
import type { ConfigFile } from "../src/index.ts";
import { MergerError } from "../src/merger/index.ts";
import { speculate } from "../src/scheduler/speculation.ts";
import { BASE, load } from "./config/memory-source.ts";

/** Changes 1 and 2, each of which edits the configuration of its project; what a commit has is told by `filesAt`. */
async function speculated(members: readonly number[], filesAt: (commit: string) => readonly ConfigFile[]) {
  const { loader } = await load({
    config: { main: { "zuul.yaml": BASE } },
    lib: { main: {} },
    app: { main: {} },
  });
  const link = (number: number, project: string) => ({
    ...{ project, branch: "main", change: `local:${number}`, revision: 1, commit: `c${number}` },
  });
  const chain = [link(1, "lib"), link(2, "app")];
  const forge = {
    numberOf: (id: string) => Number(id.slice("local:".length)),
    paths: async () => [Buffer.from("zuul.yaml")],
  };
  const source = { filesAt: async (_project: string, commit: string) => filesAt(commit) };
  const effect = {
    chain,
    members: members.map((number) => ({ id: `local:${number}` })),
    steps: chain.map(({ commit }) => ({ base: "b", commit })),
  };
  return speculate({ forge, loader, source } as never, effect as never);
}

test("configuration that is too large to be read is told to who makes it so, and to nobody behind", async () => {
  const filesAt = (commit: string): ConfigFile[] => {
    if (commit === "c1") throw new MergerError("MERGER_LIMIT", "more than 2000 files");
    return [{ path: "zuul.yaml", text: "- job: {name: own, run: own}\n" }];
  };
  const behind = await speculated([2], filesAt);
  expect(behind.kind === "layout" && behind.layout.parts.jobs.has("own")).toBe(true);
  await expect(speculated([1], filesAt)).rejects.toThrow("more than 2000 files");
  // What is no fault of a change is asked for again by whoever asked.
  const broken = () => {
    throw new MergerError("MERGER_BUSY", "it was closed");
  };
  await expect(speculated([2], broken)).rejects.toThrow("it was closed");
});
