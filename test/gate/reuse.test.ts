import type { BuildView, ChangeView, ExplanationView, FlakeView, StatusView } from "@drover/gate/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* Builds of equal content are one execution: with git, the job server and processes that are really run. */

const DEADLINE_MS = 60_000;

let running: RunningGate;
beforeAll(async () => {
  running = await RunningGate.start();
  await running.makeControls(20);
});
afterAll(() => running?.end());

/** Says what it sees, and waits where a file of the tree names what to wait for. */
const SCRIPT = (control: string): string => `
echo "$DROVER_PROJECT at $(git rev-parse HEAD): $(git log --format=%s | wc -l) commits, $(git tag | wc -l) tags"
echo "told: $(env | grep ^DROVER_ | sort | tr '\\n' ' ')"
cat "$DROVER_VARIABLES"
echo "holds: $(cd "$DROVER_WORKSPACE/src" && echo *)"
if [ -f waits ]; then echo waits; read -r code < "${control}/$(cat waits)"; exit "$code"; fi
`;

/** A project with one job, as the base job of `init` has it, or with more attributes. */
async function add(project: string, attributes: object = {}, queue?: string): Promise<Clone> {
  const job = { name: `tests-${project}`, command: ["sh", "-c", SCRIPT(running.control)], ...attributes };
  const list = { jobs: [job.name] };
  const config = [
    ...(queue === undefined ? [] : [{ queue: { name: queue } }]),
    { job },
    { project: { ...(queue === undefined ? {} : { queue }), check: list, gate: list } },
  ];
  const files = { "zuul.yaml": JSON.stringify(config), "README.md": "one\n" };
  const clone = await running.repository(project, "alice", files);
  await clone.ok("tag", "v1");
  await running.post("/projects", "root", { name: project, importFrom: clone.folder });
  return clone;
}

const propose = (clone: Clone, files: Readonly<Record<string, string>>, message = "A change") =>
  proposeChange(clone, message, files);

const look = (number: number) => running.get<ChangeView>(`/changes/${number}`);
const buildsOf = async (number: number): Promise<BuildView[]> =>
  (await running.get<BuildView[]>(`/builds?change=${number}`)).reverse();
const logOf = async (build: BuildView): Promise<string> =>
  (await running.ask<string>("GET", `/builds/${build.id}/log`)).body;

const approve = (number: number) => running.post(`/changes/${number}/approve`, "bob");

function merged(number: number): Promise<ChangeView> {
  return until(`change ${number} has merged`, DEADLINE_MS, async () => {
    const change = await look(number);
    return change.state === "merged" ? change : undefined;
  });
}

/** Builds of a change once they are like this: pipeline, result, and how they have their execution. */
async function settled(number: number, ...wanted: readonly string[]): Promise<BuildView[]> {
  let last: string[] = [];
  return await until(`builds of change ${number}: ${wanted.join("; ")}`, DEADLINE_MS, async () => {
    const builds = await buildsOf(number);
    last = builds.map(({ pipeline, result, shared }) =>
      [pipeline, result ?? "runs", ...(shared == null ? [] : [shared.how, shared.build])].join(" "),
    );
    return last.join() === wanted.join() ? builds : undefined;
  }).catch((error: Error) => {
    expect(last, error.message).toEqual(wanted);
    throw error;
  });
}

const waiting = (build: BuildView) =>
  until(`build ${build.id} waits`, DEADLINE_MS, async () => /^waits$/m.test(await logOf(build)) || undefined);

describe("a result that is there", () => {
  test("of check serves the gate when nothing has moved, and says whose it is", async () => {
    const clone = await add("same");
    const number = await propose(clone, { "README.md": "two\n" });
    const [checked] = await settled(number, "check SUCCESS");
    await approve(number);
    await merged(number);
    const [, gated] = await settled(number, "check SUCCESS", `gate SUCCESS reused ${checked!.id}`);
    expect(await logOf(gated!)).toBe(await logOf(checked!));
    const { jobs } = await running.get<ExplanationView>(`/explain/${number}`);
    expect(jobs.find(({ pipeline }) => pipeline === "gate")?.builds).toMatchObject([
      { id: gated!.id, shared: { how: "reused", build: checked!.id } },
    ]);
  });

  test("does not serve another content", async () => {
    const clone = await add("other");
    const first = await propose(clone, { "README.md": "two\n" });
    await settled(first, "check SUCCESS");
    const second = await propose(clone, { other: "two\n" });
    await settled(second, "check SUCCESS");
    await approve(first);
    await merged(first);
    await approve(second);
    await merged(second);
    // Now on top of the first one.
    await settled(second, "check SUCCESS", "gate SUCCESS");
  });

  test("is not used with `reuse: false`", async () => {
    const clone = await add("always", { reuse: false });
    const number = await propose(clone, { "README.md": "two\n" });
    await settled(number, "check SUCCESS");
    await approve(number);
    await merged(number);
    const [checked] = await settled(number, "check SUCCESS", "gate SUCCESS");
    const log = await logOf(checked!);
    expect(log).toMatch(/: 2 commits, 1 tags$/m);
    expect(log).toContain(`DROVER_CHANGE=${number} `);
  });

  test("is not used when it is older than `max-age`, nor when an input is another one", async () => {
    const old = await add("old", { "max-age": 1 });
    const number = await propose(old, { "README.md": "two\n" });
    const [build] = await settled(number, "check SUCCESS");
    await until("a second has passed", DEADLINE_MS, async () => Date.now() > build!.endedMs! + 1_000);
    await approve(number);
    await merged(number);
    await settled(number, "check SUCCESS", "gate SUCCESS");

    const piped = await add("piped", { inputs: ["pipeline"] });
    const other = await propose(piped, { "README.md": "two\n" });
    await settled(other, "check SUCCESS");
    await approve(other);
    await merged(other);
    const [checked, gated] = await settled(other, "check SUCCESS", "gate SUCCESS");
    expect(await logOf(checked!)).toContain("DROVER_PIPELINE=check ");
    expect(await logOf(gated!)).toContain("DROVER_PIPELINE=gate ");
  });

  test("of what failed is never used: it is run again, and what comes out otherwise is a flake", async () => {
    const clone = await add("flaky");
    const number = await propose(clone, { waits: "1" });
    const [first] = await settled(number, "check runs");
    await running.endBuild("1", 1);
    await settled(number, "check FAILURE");
    await running.post(`/changes/${number}/comment`, "bob", { text: "recheck" });
    await settled(number, "check FAILURE", "check runs");
    await running.endBuild("1", 0);
    const [, second] = await settled(number, "check FAILURE", "check SUCCESS");
    const of = (project: string) => running.get<FlakeView[]>(`/flakes?project=${project}`);
    expect(await of("flaky")).toMatchObject([
      {
        project: "flaky",
        job: "tests-flaky",
        executions: [
          { result: "FAILURE", build: first!.id, detail: "run 1 exited with 1" },
          { result: "SUCCESS", build: second!.id, detail: null },
        ],
      },
    ]);
    expect(await of("same")).toEqual([]);
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    expect(metrics).toMatch(/^drover_gate_flakes_total 1$/m);
    expect(metrics).toMatch(/^drover_gate_builds_reused_total [1-9]/m);
    // What has failed is not used by what comes later, either.
    await approve(number);
    await merged(number);
    await settled(number, "check FAILURE", "check SUCCESS", `gate SUCCESS reused ${second!.id}`);
  });
});

describe("what a build of this kind sees", () => {
  test("is one commit of its tree, without tags, and nothing that tells which change it is of", async () => {
    const clone = await add("sealed");
    const first = await propose(clone, { "README.md": "two\n" });
    const [build] = await settled(first, "check SUCCESS");
    const log = await logOf(build!);
    expect(log).toMatch(/: 1 commits, 0 tags$/m);
    expect(log).toContain("}holds: sealed\n");
    for (const name of ["CHANGE", "REVISION", "REF", "BRANCH", "PIPELINE", "BUILDSET"])
      expect(log).toMatch(new RegExp(`DROVER_${name}= `));
    for (const name of ["DROVER_BUILD=", "DROVER_ATTEMPT", '"change"', '"branch"', '"items"', '"build"'])
      expect(log).not.toContain(name);
  });

  test("is what its job declares besides", async () => {
    const clone = await add("declared", { inputs: ["history", "change", "branch"] });
    const number = await propose(clone, { "README.md": "two\n" });
    const [build] = await settled(number, "check SUCCESS");
    const log = await logOf(build!);
    expect(log).toMatch(/: 2 commits, 1 tags$/m);
    expect(log).toContain(`DROVER_CHANGE=${number} `);
    expect(log).toContain("DROVER_BRANCH=main ");
    expect(log).toContain("DROVER_PIPELINE= ");
  });
});

describe("what is under way", () => {
  test("is joined by the same content in another pipeline, and both have its result", async () => {
    const clone = await add("together");
    const files = { waits: "2" };
    const first = await propose(clone, files, "One");
    const [checked] = await settled(first, "check runs");
    const second = await propose(clone, files, "The same again");
    await settled(second, `check runs joined ${checked!.id}`);
    await running.endBuild("2", 0);
    const [one] = await settled(first, "check SUCCESS");
    const [two] = await settled(second, `check SUCCESS joined ${checked!.id}`);
    expect(await logOf(two!)).toBe(await logOf(one!));
  });

  test("goes on when one of its builds is taken back, and until nobody wants it any more", async () => {
    const clone = await add("leaving");
    const files = { waits: "3" };
    const first = await propose(clone, files, "One");
    const [checked] = await settled(first, "check runs");
    const second = await propose(clone, files, "The same again");
    const [joined] = await settled(second, `check runs joined ${checked!.id}`);
    await waiting(checked!);
    await running.post(`/changes/${first}/abandon`, "alice");
    await settled(first, "check CANCELED");
    expect(running.gate.executor!.running).toBe(1);
    await running.post(`/changes/${second}/abandon`, "alice");
    await settled(second, `check CANCELED joined ${checked!.id}`);
    await until("nothing runs", DEADLINE_MS, async () => running.gate.executor!.running === 0 || undefined);
    expect(await logOf(joined!)).toContain("drover: cancelled");
  });

  test("is not begun anew by a reset that leaves it as it is", async () => {
    const app = await add("reset-app", {}, "reset");
    const library = await running.repository("reset-library", "alice", {
      "zuul.yaml": JSON.stringify([
        { job: { name: "tests-reset-library", command: ["sh", "-c", SCRIPT(running.control)] } },
        { project: { queue: "reset", gate: { jobs: ["tests-reset-library"] } } },
      ]),
    });
    await running.post("/projects", "root", { name: "reset-library", importFrom: library.folder });
    const first = await propose(app, { waits: "4" });
    const [checked] = await settled(first, "check runs");
    const second = await propose(library, { waits: "5" });
    await approve(first);
    const before = ["check CANCELED", `gate runs joined ${checked!.id}`];
    await settled(first, ...before);
    await approve(second);
    const [tested] = await settled(second, "gate runs");
    await waiting(tested!);
    await running.endBuild("4", 1);
    // It hangs under nothing now, and its own repository is what it was.
    await settled(second, "gate CANCELED", `gate runs joined ${tested!.id}`);
    await running.endBuild("5", 0);
    await merged(second);
    await settled(second, "gate CANCELED", `gate SUCCESS joined ${tested!.id}`);
  });
});

describe("on a machine with one slot, which something else has", () => {
  let others: RunningGate;
  beforeAll(async () => {
    others = running;
    running = await RunningGate.start({ slots: 1 });
    await running.makeControls(2);
  });
  afterAll(async () => {
    await running.end();
    running = others;
  });

  test("what joins has its execution at once, and what is there serves the gate, which merges by it", async () => {
    const clone = await add("full");
    const first = await propose(clone, { waits: "1" }, "One");
    const [checked] = await settled(first, "check runs");
    await waiting(checked!);
    const second = await propose(clone, { waits: "1" }, "The same again");
    await settled(second, `check runs joined ${checked!.id}`);
    const other = await propose(clone, { waits: "2" }, "Another");
    expect((await running.get<StatusView>("/status")).slots).toEqual({ total: 1, used: 1 });
    expect(await buildsOf(other)).toEqual([]);
    await running.endBuild("1", 0);
    await settled(second, `check SUCCESS joined ${checked!.id}`);
    // Now that one has the slot.
    const [occupying] = await settled(other, "check runs");
    await waiting(occupying!);
    await approve(first);
    await merged(first);
    await settled(first, "check SUCCESS", `gate SUCCESS reused ${checked!.id}`);
    await settled(other, "check runs");
    await running.endBuild("2", 0);
    await settled(other, "check SUCCESS");
    await until("the slot is free", DEADLINE_MS, async () => running.gate.slots.used === 0 || undefined);
  });
});
