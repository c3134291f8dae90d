import type { ChangeView, ExplanationView, StatusView } from "@drover/gate/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* What a gate does after it has merged: serial and supercedent pipelines, started by branches, tags and changes. */

const DEADLINE_MS = 60_000;
const MAX_BUILDS = 100;

const PIPELINES = [
  {
    name: "deploy",
    manager: "serial",
    trigger: { local: { event: "change-merged" } },
    success: { local: {} },
  },
  {
    name: "publish",
    manager: "supercedent",
    trigger: { local: { event: "ref-updated", branch: "^main$" } },
  },
  {
    name: "release",
    manager: "independent",
    trigger: { local: { event: "ref-updated", ref: "^refs/tags/v" } },
  },
  { name: "always", manager: "independent", trigger: { timer: [{ time: "* * * * * *" }] } },
];

/** Says what it was given, waits until it is told how to end, and says so on its build. */
const script = (control: string): string => `
cd "$DROVER_WORKSPACE/src/app"
git log -1 --format='at %s'
git log --format='new %s' "origin/main..main"
grep -oE '"(oldrev|newrev|tag|change|branch)": ?("[^"]*"|null)' "$DROVER_VARIABLES" | sed 's/": /":/; s/^/given /' | sort -u
read -r code < "${control}/\${DROVER_BUILD##*-}"
exit "$code"
`;

let running: RunningGate;
let app: Clone;

beforeAll(async () => {
  running = await RunningGate.start();
  await running.makeControls(MAX_BUILDS);
  await running.pushDirectly("config", {
    "zuul.d/post-merge.yaml": stringify(PIPELINES.map((pipeline) => ({ pipeline }))),
  });
  const jobs = { jobs: ["say"] };
  const config = [
    // What is done, and what asks for its own build, is no earlier build's.
    { job: { name: "say", command: ["sh", "-c", script(running.control)], reuse: false } },
    { project: { gate: { jobs: ["noop"] }, deploy: jobs, publish: jobs, release: jobs, always: jobs } },
  ];
  app = await running.repository("app", "alice", { "zuul.yaml": stringify(config) });
  await running.post("/projects", "root", { name: "app", importFrom: app.folder });
});
afterAll(() => running?.end());

/** Has a change merged. @returns its number */
async function merge(title: string): Promise<number> {
  const number = await proposeChange(app, title, { [title]: title });
  await running.post(`/changes/${number}/approve`, "bob");
  await until(`${title} has merged`, DEADLINE_MS, async () => {
    const { state } = await running.get<ChangeView>(`/changes/${number}`);
    return state === "merged" ? true : undefined;
  });
  return number;
}

async function itemsOf(pipeline: string) {
  const { pipelines } = await running.get<StatusView>("/status");
  return pipelines.find(({ name }) => name === pipeline)!.queues.flatMap(({ items }) => items);
}

/** Of what merges have moved, without what the clock has started. */
async function explained(more = ""): Promise<ExplanationView> {
  const found = await running.get<ExplanationView>(`/explain?ref=refs/heads/main&project=app${more}`);
  return { ...found, now: found.now.filter((text) => !text.startsWith("always")) };
}

/** What the build of the first item says that it was given, once it waits. */
async function given(pipeline: string): Promise<{ build: string; lines: string[] }> {
  return until(`a build of ${pipeline} waits`, DEADLINE_MS, async () => {
    const build = (await itemsOf(pipeline))[0]?.jobs[0]?.build;
    if (build == null) return undefined;
    const { status, body } = await running.ask<string>("GET", `/builds/${build}/log`);
    // What is decided is seen a moment before it is on record.
    if (status === 404) return undefined;
    const lines = body.split("\n").filter((line) => /^(at|new|given) /.test(line));
    return lines.some((line) => line.startsWith("given ")) ? { build, lines } : undefined;
  });
}

async function finish(pipeline: string, code = 0): Promise<string[]> {
  const { build, lines } = await given(pipeline);
  await running.endBuild(build, code);
  await until(`build ${build} is gone`, DEADLINE_MS, async () =>
    (await itemsOf(pipeline))[0]?.jobs[0]?.build === build ? undefined : true,
  );
  return lines;
}

describe("after the merge", () => {
  test("every merged change is deployed, one at a time and as it merged; a branch is published as it is last", async () => {
    const numbers: number[] = [];
    for (const title of ["one", "two", "three"]) numbers.push(await merge(title));
    expect((await itemsOf("deploy")).map(({ subject, active }) => [subject.number, active])).toEqual([
      [numbers[0], true],
      [numbers[1], false],
      [numbers[2], false],
    ]);
    expect(await itemsOf("publish")).toHaveLength(2);
    await given("publish");
    const then = Date.now();
    const waiting = await explained();
    expect(waiting.now).toEqual([
      expect.stringMatching(/^publish, to [0-9a-f]{10}: it is number 1 of 2 in queue \S+, tested /),
      expect.stringMatching(/^publish, to [0-9a-f]{10}: it is being tested$/),
      expect.stringMatching(/^publish, to [0-9a-f]{10}: it is number 2 of 2 in queue \S+, tested /),
      expect.stringMatching(/^publish, to [0-9a-f]{10}: it waits /),
    ]);
    expect(waiting.jobs).toMatchObject([
      { pipeline: "publish", job: "say", runs: true, now: expect.stringMatching(/^runs as build \d+$/) },
      { pipeline: "always", job: "say", runs: true },
    ]);
    const second = (await itemsOf("publish"))[1]!.subject;
    const [place] = (await explained(`&commit=${second.commit!.slice(0, 12)}`)).now;
    expect(place).toContain("it is number 2 of 2");
    for (const [at, title] of ["one", "two", "three"].entries()) {
      // One that fails holds nobody up.
      const said = await finish("deploy", at === 1 ? 1 : 0);
      expect(said).toEqual([
        `at ${title}`,
        `new ${title}`,
        'given "branch":"main"',
        `given "change":"${numbers[at]}"`,
      ]);
    }
    const commits = (await app.ok("log", "--reverse", "--format=%H", "origin/main")).trim().split("\n");
    await app.ok("fetch", "--quiet", "origin");
    expect(await finish("publish")).toContain("at one");
    const last = await finish("publish");
    expect(last).toEqual(expect.arrayContaining(["at three", "new three"]));
    expect(last.join("\n")).toContain(`"oldrev":"${commits.at(-1)}`);
    await until("all is done", DEADLINE_MS, async () =>
      (await itemsOf("publish")).length + (await itemsOf("deploy")).length === 0 ? true : undefined,
    );
    const past = await explained(`&at=${then}`);
    expect(past).toMatchObject({ atMs: then, now: waiting.now });
    expect(past.jobs.find(({ pipeline }) => pipeline === "publish")).toMatchObject({
      now: waiting.jobs[0]!.now,
      builds: [{ result: null, endedMs: null }],
    });
    expect(await running.ask("GET", "/explain?ref=refs/heads/none")).toMatchObject({
      status: 404,
      body: { detail: "no pipeline has had refs/heads/none, or it is too long ago" },
    });
    expect(await running.ask("GET", "/explain?ref=refs/heads/main")).toMatchObject({
      status: 409,
      body: { detail: "several projects have had refs/heads/main, say which one: app, config" },
    });
    const comments = (await running.get<ChangeView>(`/changes/${numbers[2]}`)).comments;
    expect(comments.map(({ text }) => text.split("\n")[0])).toContain("Build succeeded.");
  });

  test("a tag starts what is for tags, in a workspace that is at the tag", async () => {
    await app.ok("fetch", "--quiet", "origin");
    const remote = running.remote("app", "root");
    await app.ok("push", "--quiet", remote, "origin/main~1:refs/tags/v1", "origin/main:refs/tags/other");
    const said = await finish("release");
    const commit = (await app.ok("rev-parse", "origin/main~1")).trim();
    expect(said).toContain("at two");
    expect(said).toEqual(
      expect.arrayContaining(['given "tag":"v1"', 'given "oldrev":null', `given "newrev":"${commit}"`]),
    );
    await until("it is done", DEADLINE_MS, async () =>
      (await itemsOf("release")).length === 0 ? true : undefined,
    );
  });

  test("the clock starts what is for it, once until that is done", async () => {
    await finish("always");
    const said = await finish("always");
    expect(said).toEqual(expect.arrayContaining(["at three", 'given "newrev":null', 'given "oldrev":null']));
    expect((await itemsOf("always")).length).toBeLessThan(2);
  });
});
