import type { BuildView, ChangeView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { numberIn, RunningGate } from "./running-gate.ts";

/* What changes of the configuration do to a gate that runs, trusted ones above all, and what they do not do to others. */

const DEADLINE_MS = 90_000;

let running: RunningGate;
let config: Clone;
let app: Clone;
let broken: Clone;

const job = (name: string): string => `- job: {name: ${name}, command: ["true"]}\n`;
const checked = (...jobs: string[]): string => `- project: {check: {jobs: [${jobs}]}}\n`;

beforeAll(async () => {
  running = await RunningGate.start();
  const add = async (name: string, zuul: string): Promise<Clone> => {
    const clone = await running.repository(name, "alice", { "zuul.yaml": zuul });
    await running.post("/projects", "root", { name, importFrom: clone.folder });
    return clone;
  };
  app = await add("app", job("unit") + checked("unit"));
  broken = await add("broken", checked("nowhere"));
  config = await running.clone("config", "alice");
}, DEADLINE_MS);
afterAll(() => running?.end());

/** A change on top of what its branch is. @returns Its number. */
async function propose(
  clone: Clone,
  files: Readonly<Record<string, string>>,
  needs?: number,
  branch = "main",
): Promise<number> {
  await clone.ok("fetch", "--quiet", "origin");
  await clone.ok("checkout", "--quiet", "--detach", `origin/${branch}`);
  const message = needs === undefined ? "Edit" : `Edit\n\nDepends-On: gate:config/${needs}\n`;
  await clone.commit(message, files);
  const pushed = await clone.push(`refs/for/${branch}`);
  expect(pushed.code, pushed.text).toBe(0);
  return numberIn(pushed.text);
}

interface Outcome {
  readonly vote: number | null;
  readonly jobs: readonly string[];
  readonly text: string;
  /** `FILE:LINE TEXT` */
  readonly lines: readonly string[];
}

/** What a pipeline has said of a change, once it votes for the `votes`th time. */
async function outcome(number: number, votes = 1): Promise<Outcome> {
  const view = await until(`change ${number} is told`, DEADLINE_MS, async () => {
    const found = await running.get<ChangeView>(`/changes/${number}`);
    const cast = found.comments.filter(({ vote }) => vote === 1 || vote === -1);
    return cast.length >= votes ? found : undefined;
  });
  const said = view.comments.filter(({ author, file }) => author === "gate" && file === null);
  const builds = await running.get<BuildView[]>("/builds?limit=100");
  return {
    vote: said.at(-1)!.vote,
    text: said.at(-1)!.text,
    jobs: builds.filter(({ subject }) => subject.number === number).map((build) => build.job),
    lines: view.comments.flatMap(({ file, line, text }) =>
      file === null ? [] : [`${file}:${line} ${text}`],
    ),
  };
}

async function merge(number: number): Promise<void> {
  await running.post(`/changes/${number}/approve`, "bob");
  await until(`change ${number} is merged`, DEADLINE_MS, async () => {
    const { state } = await running.get<ChangeView>(`/changes/${number}`);
    return state === "merged" || undefined;
  });
}

test("a change of a config-project is read through, used once it has merged, and waited for", {
  timeout: 300_000,
}, async () => {
  const wrong = await propose(config, { "zuul.d/more.yaml": "- job:\n    name: more\n    parrent: base\n" });
  expect(await outcome(wrong)).toMatchObject({
    vote: -1,
    jobs: [],
    lines: [expect.stringMatching(/^zuul\.d\/more\.yaml:3 unknown key "parrent" in job/)],
  });

  // A job that may have no parent, and that the project of another change names.
  const text = `- job: {name: more, parent: null, command: ["true"]}\n- project: {name: app, check: {jobs: [more]}}\n`;
  const right = await propose(config, { "zuul.d/more.yaml": text });
  expect(await outcome(right)).toMatchObject({ vote: 1 });

  const plain = await propose(app, { "a.txt": "a\n" }, right);
  expect(await outcome(plain)).toMatchObject({ vote: 1, jobs: ["unit"] });
  const early = await propose(app, { "zuul.yaml": job("unit") + checked("unit", "more") }, right);
  const told = await outcome(early);
  expect(told).toMatchObject({ vote: -1, jobs: [] });
  expect(told.lines[0]).toMatch(
    `zuul.yaml:2 there is the job more, which is not defined; it will be right when change ${right} has merged, which changes the config-project config`,
  );

  await merge(right);
  const after = await propose(app, { "b.txt": "b\n" });
  expect([...(await outcome(after)).jobs].sort()).toEqual(["more", "unit"]);
  // Together in the gate the second waits until the first has merged.
  const base = `- job: {name: again, parent: null, command: ["true"]}\n`;
  const first = await propose(config, { "zuul.d/again.yaml": base });
  const second = await propose(
    app,
    { "zuul.yaml": `${job("unit")}${checked("unit")}- project: {gate: {jobs: [again]}}\n` },
    first,
  );
  await outcome(second);
  await running.post(`/changes/${first}/approve`, "bob");
  await merge(second);
  expect((await outcome(second, 2)).jobs).toContain("again");
});

test("what is wrong in one repository is shown, and holds no other up", { timeout: 300_000 }, async () => {
  const problems = await running.get<readonly { project: string; line: number }[]>("/config-problems");
  expect(problems).toEqual([expect.objectContaining({ project: "broken", file: "zuul.yaml", line: 1 })]);
  const other = await propose(app, { "zuul.yaml": job("unit") + job("lint") + checked("unit", "lint") });
  expect(await outcome(other)).toMatchObject({ vote: 1, lines: [] });
  expect([...(await outcome(other)).jobs].sort()).toEqual(expect.arrayContaining(["lint", "unit"]));
  // Its own changes are told, whatever they edit of the configuration, until one mends it.
  expect(
    await outcome(await propose(broken, { "zuul.yaml": `# Still\n${checked("nowhere")}` })),
  ).toMatchObject({
    vote: -1,
    lines: [expect.stringMatching(/^zuul\.yaml:2 there is the job nowhere/)],
  });
  const mended = await propose(broken, { "zuul.yaml": checked("noop") });
  expect(await outcome(mended)).toMatchObject({ vote: 1 });
  await merge(mended);
  await until("nothing is wrong any more", DEADLINE_MS, async () => {
    const left = await running.get<readonly unknown[]>("/config-problems");
    return left.length === 0 || undefined;
  });
});

test("a branch that is made, and one that is deleted, are configuration", { timeout: 300_000 }, async () => {
  const remote = running.remote("app", "root");
  await app.ok("fetch", "--quiet", "origin");
  await app.ok("checkout", "--quiet", "--detach", "origin/main");
  await app.commit("Old", { "zuul.yaml": job("old-unit") + checked("old-unit") });
  await app.ok("push", "--quiet", remote, "HEAD:refs/heads/old");
  const onOld = await outcome(await propose(app, { "c.txt": "c\n" }, undefined, "old"));
  expect(onOld.jobs).toContain("old-unit");
  expect(onOld.jobs).not.toContain("unit");
  await app.ok("push", "--quiet", remote, ":refs/heads/old");
  await until("its job is gone", DEADLINE_MS, () => {
    const { jobs } = running.gate.loader.current!.layout.parts;
    return !jobs.has("old-unit") || undefined;
  });
});
