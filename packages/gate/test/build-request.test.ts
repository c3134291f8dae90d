import { expect, test } from "vitest";
import { buildRequestSchema } from "../src/executor/build-request.ts";
import { buildRequest } from "../src/scheduler/build-request.ts";
import { BASE, change, load } from "./config/memory-source.ts";

async function requestOf(attributes: string) {
  const app = `- job: {name: t, run: t, ${attributes}}\n- project: {check: {jobs: [t]}}\n`;
  const { layout } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": app } },
  });
  const result = layout.freeze("check", change("app"));
  if (result.kind !== "graph") throw new Error(JSON.stringify(result.problems));
  const branches = { main: "a".repeat(40) };
  const subject = { kind: "change", id: "local:1", project: "app", branch: "main" } as const;
  const request = buildRequest(
    {
      build: 1,
      pipeline: "check",
      subject: { ...subject, revision: 1, commit: branches.main } as never,
      job: "t",
      attempt: 1,
      buildset: 1,
    },
    {
      chain: [],
      jobs: Object.fromEntries(result.jobs),
      repositories: { app: { branches, merged: {}, before: {}, defaultBranch: "main" } },
    },
    {
      ...{ tenant: "main", buildName: "g-1", gitDir: () => "/r", postReview: false },
      ...{ parents: [], providers: [], keys: undefined as never },
      facts: () => ({ number: 1, title: "", owner: null, message: "", topic: null, url: null }),
    },
  );
  return buildRequestSchema.parse(request);
}

test("an executor is told of each timeout of a job", async () => {
  const limits = { timeoutMs: 600_000, preTimeoutMs: 60_000, postTimeoutMs: 30_000 };
  expect(await requestOf("timeout: 600, pre-timeout: 60, post-timeout: 30")).toMatchObject(limits);
  const usual = { timeoutMs: 10_800_000, preTimeoutMs: null, postTimeoutMs: 10_800_000 };
  expect(await requestOf("attempts: 2")).toMatchObject(usual);
});
