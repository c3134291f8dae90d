import { Client } from "@drover/client";
import { JobServer } from "@drover/server";
import { MemoryNetwork } from "@drover/transport";
import { expect, onTestFinished, test } from "vitest";
import { MergerClient, mergerWorker } from "../src/bus/index.ts";
import { canonicalRequest } from "../src/bus/merge-bus.ts";
import { type MergeRequest, Merger } from "../src/merger/index.ts";
import { BareRepository } from "./bare-repository.ts";

const LOG = { info: () => {}, warn: () => {}, error: () => {} } as never;

/** A job server that is reached within the process only, a merger that works for it, and a client. */
async function scene() {
  const network = new MemoryNetwork();
  const server = await JobServer.start({ listen: [], log: LOG, version: "test" });
  network.listen("gate", (connection) => server.accept(connection));
  const dial = async () => network.dial("gate");
  const repository = await BareRepository.make();
  const merger = new Merger({ repositoryOf: (project) => (project === "p" ? repository.gitDir : undefined) });
  const worker = mergerWorker(merger, { servers: "gate", dial });
  const client = new Client({ servers: "gate", dial });
  onTestFinished(async () => {
    await client.close();
    await worker.close();
    await server.stop(0);
    await merger.close();
    await repository[Symbol.asyncDispose]();
  });
  return { repository, merger, worker, client: new MergerClient(client), server };
}

test("a merger behind a server answers as it would itself, names that are not UTF-8 included", async () => {
  const { repository, merger, worker, client } = await scene();
  void worker.run();
  const root = await repository.commit("main", { "caf\xe9": "1" });
  await repository.commit("main", { "caf\xe9": "2" });
  const clash = await repository.commit("clash", { "caf\xe9": "3" }, { from: root });
  const fine = await repository.commit("fine", { b: "1" }, { from: root });
  const step = { project: "p", branch: "main", mode: "merge" as const };
  for (const commit of [fine, clash]) {
    const request = { steps: [{ ...step, commit }] };
    const answer = await client.merge(request);
    expect(answer).toEqual({ ...(await merger.merge(request)), merges: 1 });
    expect(answer.kind).toBe(commit === fine ? "merged" : "conflict");
  }
  expect(await client.merge({ steps: [{ ...step, commit: "1".repeat(40), project: "q" }] })).toMatchObject({
    kind: "error",
  });
  const wrong = await client.merge({ steps: [{ ...step, commit: "HEAD" }] });
  expect(wrong).toMatchObject({ kind: "error", detail: expect.stringContaining("INPUT_INVALID") });
});

test("equal requests join when their bases are frozen, and else each looks at the branches itself", async () => {
  const { repository, worker, client, server } = await scene();
  const root = await repository.commit("main", { a: "1" });
  const tip = await repository.commit("main", { b: "1" });
  const commit = await repository.commit("change", { c: "1" }, { from: root });
  const steps = [{ project: "p", branch: "main", commit, mode: "merge" as const }];
  const open: MergeRequest = { steps };
  const frozen: MergeRequest = { steps, bases: [{ project: "p", branch: "main", commit: tip }] };
  const answers = [open, open, frozen, frozen].map((request) => client.merge(request));
  // They are all there before the first worker is.
  await expect.poll(() => server.core.state.jobs.size, { timeout: 30_000 }).toBe(3);
  void worker.run();
  const [first, ...others] = await Promise.all(answers);
  expect(first?.kind).toBe("merged");
  for (const answer of others) expect({ ...answer, merges: 1 }).toEqual({ ...first, merges: 1 });
});

test("what does not matter to the answer does not matter to the request", () => {
  const tip = (project: string, commit: string) => ({ project, branch: "main", commit: commit.repeat(40) });
  const steps = [
    { ...tip("b", "1"), mode: "merge" as const },
    { ...tip("a", "2"), mode: "rebase" as const },
  ];
  const one = canonicalRequest({ steps, bases: [tip("c", "5"), tip("b", "3"), tip("a", "4")] });
  const two = canonicalRequest({ bases: [tip("a", "4"), tip("b", "3")], steps });
  expect(JSON.stringify(one)).toBe(JSON.stringify(two));
  const other = canonicalRequest({ steps: steps.toReversed(), bases: two.bases ?? [] });
  expect(JSON.stringify(other)).not.toBe(JSON.stringify(two));
});
