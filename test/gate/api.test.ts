import { once } from "node:events";
import { connect } from "node:net";
import { Client } from "@drover/client";
import type {
  BuildView,
  ChangeSummaryView,
  ChangeView,
  ExplanationView,
  JobDefinitionsView,
  StatusView,
} from "@drover/gate/api";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* The gate's HTTP API over a gate as `drover gate init` makes it, with git, builds and all. */

const DEADLINE_MS = 60_000;

/** A project with one job, which runs this in a shell. */
function configOf(job: string, script: string): string {
  return `- job:
    name: ${job}
    command: ["sh", "-c", ${JSON.stringify(script)}]

- project:
    check:
      jobs: [${job}]
    gate:
      jobs: [${job}]
`;
}

let running: RunningGate;
let app: Clone;
let library: Clone;

beforeAll(async () => {
  running = await RunningGate.start();
  app = await add("app", configOf("tests-app", `echo tested; echo fine > "$DROVER_ARTIFACTS/report.txt"`));
  library = await add("library", configOf("tests-library", "true"));
});
afterAll(() => running?.end());

async function add(project: string, config: string): Promise<Clone> {
  const clone = await running.repository(project, "alice", { "zuul.yaml": config });
  await running.post("/projects", "root", { name: project, importFrom: clone.folder });
  return clone;
}

const look = (number: number) => running.get<ChangeView>(`/changes/${number}`);
const buildsOf = (number: number, pipeline: string) =>
  running.get<BuildView[]>(`/builds?change=${number}&pipeline=${pipeline}`);

function merged(number: number): Promise<ChangeView> {
  return until(`change ${number} has merged`, DEADLINE_MS, async () => {
    const change = await look(number);
    return change.state === "merged" ? change : undefined;
  });
}

/** What the gate reported of a change, once it has a vote. */
function voted(number: number): Promise<ChangeView["comments"][number]> {
  return until(`the gate has voted on ${number}`, DEADLINE_MS, async () =>
    (await look(number)).comments.find(({ author, vote }) => author === "gate" && (vote ?? 0) !== 0),
  );
}

async function approved(clone: Clone, message: string, files: Readonly<Record<string, string>>) {
  const number = await proposeChange(clone, message, files);
  await running.post(`/changes/${number}/approve`, "bob");
  return number;
}

describe("who may do what", () => {
  let number: number;
  beforeAll(async () => {
    number = await proposeChange(app, "Rights");
  });

  test("a write without a token, or with one that is none, is refused", async () => {
    for (const path of [`/changes/${number}/approve`, "/pause", "/projects"]) {
      for (const token of [undefined, "wrong", "drover_000000000000_x"]) {
        const { status, body } = await running.ask<{ detail: string }>("POST", path, token, {});
        expect(status).toBe(401);
        expect(body.detail).toContain("token");
      }
    }
    expect((await running.ask("GET", "/whoami")).status).toBe(401);
    expect(await running.ask("GET", "/whoami", "root")).toMatchObject({
      body: { name: "root", role: "operator" },
    });
  });

  test("only an operator operates", async () => {
    for (const [path, body] of [
      ["/enqueue", { change: number, pipeline: "gate" }],
      ["/dequeue", { change: number, pipeline: "gate" }],
      ["/pause", { on: true }],
      ["/reconfigure", {}],
      ["/projects", { name: "other" }],
      ["/users", { name: "carol" }],
    ] as const) {
      const answer = await running.ask<{ detail: string }>("POST", path, "bob", body);
      expect(answer.status, path).toBe(403);
      expect(answer.body.detail).toBe("bob is no operator");
    }
    expect((await running.get<StatusView>("/status")).isPaused).toBe(false);
  });

  test("nobody approves his own change, and its state tells what can be done with it", async () => {
    const own = await running.ask<{ detail: string }>("POST", `/changes/${number}/approve`, "alice", {});
    expect(own.status).toBe(403);
    expect(own.body.detail).toContain("is your own: another user has to approve it");
    expect((await running.ask("POST", `/changes/${number}/abandon`, "bob", {})).status).toBe(403);
    await running.post(`/changes/${number}/abandon`, "alice");
    const late = await running.ask<{ detail: string }>("POST", `/changes/${number}/approve`, "bob", {});
    expect(late.status).toBe(409);
    expect(late.body.detail).toContain(`change ${number} is abandoned`);
    await running.post(`/changes/${number}/restore`, "alice");
    expect((await look(number)).state).toBe("open");
  });

  test("what makes no sense is told as a problem that names it", async () => {
    const ask = (path: string, body: unknown) => running.ask<{ detail: string }>("POST", path, "root", body);
    const asked = {
      unknownChange: await ask("/changes/4711/approve", {}),
      noNumber: await ask("/changes/x/approve", {}),
      unknownPipeline: await ask("/enqueue", { change: number, pipeline: "gaet" }),
      missing: await ask("/enqueue", { change: number }),
      unknownMember: await ask("/pause", { on: true, for: 5 }),
      notThere: await ask("/dequeue", { change: number, pipeline: "gate" }),
      otherProject: await ask("/dequeue", { change: number, pipeline: "gate", project: "library" }),
      projectExists: await ask("/projects", { name: "app" }),
      projectName: await ask("/projects", { name: "../app" }),
      noSource: await ask("/projects", { name: "other", importFrom: "/nonexistent" }),
      userName: await ask("/users", { name: "no name" }),
      vote: await ask(`/changes/${number}/comment`, { text: "hm", vote: 2 }),
      revision: await ask(`/changes/${number}/comment`, { text: "hm", revision: 9 }),
    };
    expect(
      Object.fromEntries(
        Object.entries(asked).map(([name, { status, body }]) => [name, [status, body.detail]]),
      ),
    ).toEqual({
      unknownChange: [404, "there is no change 4711"],
      noNumber: [400, "that is no number"],
      unknownPipeline: [404, "there is no pipeline gaet; there are: check, gate, post"],
      missing: [400, expect.stringContaining("pipeline: ")],
      unknownMember: [400, expect.stringContaining("for")],
      notThere: [404, `change ${number} is neither in gate nor waits for it`],
      otherProject: [404, `change ${number} is of app, not of library`],
      projectExists: [409, expect.stringContaining("there is a project app already")],
      projectName: [400, expect.stringContaining("a project's name has")],
      noSource: [400, expect.stringContaining("does not appear to be a git repository")],
      userName: [400, expect.stringContaining("a user's name has")],
      vote: [400, expect.stringContaining("vote")],
      revision: [404, expect.stringContaining(`change ${number} has no revision 9`)],
    });
    for (const path of ["/changes/4711", "/builds/4711", "/builds/4711/log", "/explain/4711", "/nothing"])
      expect((await running.ask("GET", path)).status, path).toBe(404);
  });

  test("the gate's functions are not for anybody on the network", async () => {
    const address = running.server.addresses[0]!;
    const servers = `127.0.0.1:${(address as { port: number }).port}`;
    const client = new Client({ servers });
    try {
      await expect(client.submit("gate:build:local", "{}").result()).rejects.toThrow(/gate:build:local/);
    } finally {
      await client.close();
    }
    const socket = connect((address as { port: number }).port, "127.0.0.1");
    socket.write(encodePacket(REQ, PacketType.CAN_DO, ["gate:build:local"]));
    socket.resume();
    // It is shut out, and nobody else's build was its.
    await once(socket, "close");
  });
});

describe("configuration", () => {
  test("what is wrong with it in a change is told with file and line, and nothing is built", async () => {
    const number = await proposeChange(app, "A job that is not there", {
      "zuul.yaml": "- project:\n    check:\n      jobs:\n        - tests-ap\n",
    });
    const { vote, text } = await voted(number);
    expect(vote).toBe(-1);
    expect(text).toContain("zuul.yaml:4");
    expect(text).toContain("tests-ap");
    expect(await buildsOf(number, "check")).toEqual([]);
    expect(await running.get("/config-problems")).toEqual([]);
    const jobs = await running.get<JobDefinitionsView[]>("/jobs");
    const defined = { project: "app", branch: "main", file: "zuul.yaml", isFor: "any branch", parent: null };
    expect(jobs.find(({ name }) => name === "tests-app")).toMatchObject({
      ancestors: ["base"],
      definitions: [{ ...defined, job: "tests-app", sets: expect.any(Array) }],
    });
    expect(jobs.find(({ name }) => name === "base")).toMatchObject({
      ancestors: [],
      definitions: [{ sets: expect.arrayContaining(["abstract", "timeout"]) }],
    });
  });

  test("a change of it is tested by itself, and is in effect for the next one once it has landed", async () => {
    const more = '- job:\n    name: more\n    command: ["true"]\n\n';
    const number = await approved(app, "Another job", {
      "zuul.yaml": more + configOf("tests-app", "true").replaceAll("[tests-app]", "[tests-app, more]"),
    });
    await merged(number);
    const jobs = (builds: readonly BuildView[]) => builds.map(({ job }) => job).sort();
    expect(jobs(await buildsOf(number, "gate"))).toEqual(["more", "tests-app"]);
    const next = await proposeChange(app, "Next", { next: "1" });
    await voted(next);
    expect(jobs(await buildsOf(next, "check"))).toEqual(["more", "tests-app"]);
    const back = await approved(app, "Back again", {
      "zuul.yaml": configOf("tests-app", `echo tested; echo fine > "$DROVER_ARTIFACTS/report.txt"`),
    });
    await merged(back);
  });

  test("a project that is added is empty and gated at once", async () => {
    expect(await running.post("/projects", "root", { name: "group/new" })).toEqual({
      done: ["project group/new is there, and gated"],
    });
    const clone = await running.clone("group/new", "alice");
    const number = await approved(clone, "Begin", { "zuul.yaml": configOf("tests-new", "true") });
    await merged(number);
    const projects = await running.get<{ name: string; isConfigured: boolean }[]>("/projects");
    expect(projects).toContainEqual({ name: "group/new", isConfigured: true });
    await clone.commit("Past the gate", { past: "1" });
    const direct = await clone.push("refs/heads/main");
    expect(direct.code).not.toBe(0);
  });
});

describe("changes that need others", () => {
  test("are tested with them, over projects", async () => {
    const needed = await proposeChange(library, "Needed", { needed: "1" });
    const number = await proposeChange(app, `Needs it\n\nDepends-On: gate:library/${needed}`, {
      needing: "1",
    });
    expect((await look(number)).needs).toEqual([
      { source: `gate:library/${needed}`, change: needed, problem: null },
    ]);
    await voted(number);
    const [build] = await buildsOf(number, "check");
    expect(build!.chain.map((link) => [link.project, link.number])).toEqual([
      ["library", needed],
      ["app", number],
    ]);
    const done = await running.post(`/changes/${number}/approve`, "bob");
    expect(done.done.join("\n")).toContain("it waits for gate");
    await running.post(`/changes/${needed}/approve`, "bob");
    await merged(needed);
    await merged(number);
  });

  test("wait for what cannot be had, until an operator says to go on without", async () => {
    const url = "https://elsewhere.example/changes/7";
    const number = await approved(app, `Needs another\n\nDepends-On: ${url}`, { another: "1" });
    const { now } = await running.get<ExplanationView>(`/explain/${number}`);
    expect(now.join("\n")).toContain("this gate knows no forge at elsewhere.example");
    const waiting = await running.ask<{ done: string[] }>("POST", "/enqueue", "root", {
      change: number,
      pipeline: "gate",
    });
    expect(waiting.body.done.join("\n")).toContain("elsewhere.example");
    await running.post("/enqueue", "root", { change: number, pipeline: "gate", ignoreDependsOn: [url] });
    await merged(number);
  });
});

describe("what there is to see", () => {
  let number: number;
  beforeAll(async () => {
    number = await approved(app, "Seen", { seen: "1" });
    await merged(number);
  });

  test("a change has its story: diff, votes, builds, and how to fetch it", async () => {
    const change = await look(number);
    expect(change).toMatchObject({ state: "merged", message: "Seen\n", isApproved: expect.any(Boolean) });
    expect(change.comments.filter(({ author }) => author === "gate").map(({ vote }) => vote)).toContain(1);
    const clone = await running.clone("app", "alice");
    const said = await clone.git(...change.fetchCommand.split(" ").slice(1));
    expect(said.code, said.text).toBe(0);
    expect(await clone.ok("rev-parse", "FETCH_HEAD")).toBe(change.revisions[0]!.commit);
    const diff = await running.ask<string>("GET", `/changes/${number}/diff`);
    expect(diff.body).toContain("+++ b/seen");
    expect(diff.headers.get("drover-cut")).toBe("false");
    const list = await running.get<ChangeSummaryView[]>("/changes?state=merged&project=app&limit=1");
    expect(list.map(({ subject }) => subject.number)).toEqual([number]);
    expect((await running.ask("GET", "/changes?state=shut")).status).toBe(400);
    const redirect = await fetch(`${running.url}/changes/${number}`, { redirect: "manual" });
    expect(redirect.headers.get("location")).toBe(`/#/gate/changes/${number}`);
  });

  test("a build has a log to read and to follow, and artifacts", async () => {
    const [build] = await buildsOf(number, "gate");
    expect(build).toMatchObject({ result: "SUCCESS", job: "tests-app", voting: true, attempt: 1 });
    const path = `/builds/${build!.id}`;
    const log = await running.ask<string>("GET", `${path}/log`);
    expect(log.headers.get("drover-log-ended")).toBe("true");
    const at = Buffer.from(log.body).indexOf("tested\n");
    expect(at).toBeGreaterThan(0);
    const rest = await running.ask<string>("GET", `${path}/log?from=${at}`);
    expect(rest.headers.get("drover-log-from")).toBe(String(at));
    expect(log.body.endsWith(rest.body)).toBe(true);
    const followed = await events(`${path}/log`, { "last-event-id": String(at) }, (all) =>
      all.some(({ event }) => event === "end"),
    );
    expect(followed.map(({ data }) => data.text ?? "").join("")).toBe(rest.body);
    expect(followed.at(-1)!.data).toEqual({ result: "SUCCESS" });
    expect((await running.get<BuildView>(path)).logBytes).toBe(Buffer.byteLength(log.body));

    expect(build!.artifacts.map(({ name }) => name)).toEqual(["report.txt"]);
    const artifact = await fetch(running.url + build!.artifacts[0]!.url);
    expect(await artifact.text()).toBe("fine\n");
    expect(artifact.headers.get("content-security-policy")).toContain("sandbox");
    for (const name of ["nothing", "..%2flog", ""])
      expect((await fetch(`${running.url}/api/gate${path}/artifacts/${name}`)).status, name).toBe(404);
  });

  test("the status comes as events, whenever it is another", async () => {
    await running.post("/pause", "root", { on: true });
    const next = await approved(app, "Followed", { followed: "1" });
    const seen = events("/events", {}, (all) => all.length >= 2 && !all.at(-1)!.data.isPaused);
    await until("it waits for the gate to go on", DEADLINE_MS, async () => {
      const { now } = await running.get<ExplanationView>(`/explain/${next}`);
      return now.join("\n").includes("paused");
    });
    expect(await buildsOf(next, "gate")).toEqual([]);
    await running.post("/pause", "root", { on: false });
    const all = await seen;
    expect(all[0]!.event).toBe("status");
    expect(all[0]!.data.isPaused).toBe(true);
    await merged(next);
    const { now, jobs, decisions } = await running.get<ExplanationView>(`/explain/${next}`);
    expect(now).toEqual(["it is merged, and in no pipeline"]);
    expect(jobs).toContainEqual({
      pipeline: "gate",
      job: "tests-app",
      runs: true,
      now: expect.stringMatching(/^ended with SUCCESS as build \d+$/),
      reasons: [expect.stringContaining("It runs: tests-app in gate, as app main zuul.yaml:")],
      definitions: expect.arrayContaining([
        {
          job: "base",
          project: "config",
          branch: "main",
          file: "zuul.d/jobs.yaml",
          line: expect.any(Number),
        },
        { job: "tests-app", project: "app", branch: "main", file: "zuul.yaml", line: expect.any(Number) },
      ]),
      builds: [expect.objectContaining({ result: "SUCCESS", attempt: 1 })],
    });
    expect(decisions.map(({ text }) => text).join("\n")).toMatch(/was enqueued.*passed/s);
  });

  test("a comment may trigger, and a vote is kept with what was said and where", async () => {
    const said = { text: "Why?", vote: -1, file: "commented", line: 1 };
    const commented = await proposeChange(app, "Commented", { commented: "1" });
    await voted(commented);
    await running.post(`/changes/${commented}/comment`, "bob", said);
    expect((await look(commented)).comments.at(-1)).toMatchObject({ ...said, author: "bob", revision: 1 });
    await running.post(`/changes/${commented}/comment`, "bob", { text: "recheck" });
    await until("it was tested again", DEADLINE_MS, async () => {
      const builds = await buildsOf(commented, "check");
      return builds.length === 2 && builds.every(({ result }) => result === "SUCCESS");
    });
  });

  test("metrics tell of the gate beside the job server", async () => {
    const text = await (await fetch(`${running.url}/metrics`)).text();
    expect(text).toMatch(/^drover_gate_merges_total [1-9]/m);
    expect(text).toMatch(/^drover_gate_current_changes\{pipeline="gate"\} \d+$/m);
    expect(text).toMatch(/^drover_gate_builds_total\{result="SUCCESS"\} \d+$/m);
  });

  test("nothing that happened was a fault, and no token was logged", () => {
    const log = JSON.stringify(running.logged);
    expect(log).not.toContain("GATE_EFFECT_FAILED");
    expect(log).not.toContain("GATE_LOST");
    for (const token of running.tokens.values()) expect(log).not.toContain(token);
  });

  test("a gate that has no time for the past says that it may be asked again", async () => {
    await running.gate.history.close();
    for (const [path, user] of [
      [`/status?at=${Date.now()}`, undefined],
      ["/replay", "root"],
    ] as const)
      expect(await running.ask("GET", path, user)).toMatchObject({
        status: 429,
        body: { detail: expect.stringContaining("the gate ends: ask again") },
      });
  });
});

interface Sent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: events of several kinds
  readonly data: any;
}

/** Server-sent events until there are enough of them. */
async function events(
  path: string,
  headers: Readonly<Record<string, string>>,
  areEnough: (all: readonly Sent[]) => boolean,
): Promise<Sent[]> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const accept = "text/event-stream";
  const response = await fetch(`${running.url}/api/gate${path}`, { headers: { accept, ...headers }, signal });
  const all: Sent[] = [];
  let unread = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    unread += decoder.decode(bytes, { stream: true });
    const blocks = unread.split("\n\n");
    unread = blocks.pop()!;
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data === undefined) continue;
      all.push({ event: /^event: (.*)$/m.exec(block)?.[1] ?? "message", data: JSON.parse(data) });
    }
    if (areEnough(all)) break;
  }
  return all;
}
