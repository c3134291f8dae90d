import type { AutoholdView, BuildView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { numberIn, RunningGate } from "./running-gate.ts";

/* Scenario 58: which failed builds of a gate that runs are held. */

const DEADLINE_MS = 60_000;

let running: RunningGate;
let clone: Clone;
beforeAll(async () => {
  running = await RunningGate.start();
  await running.makeControls(20);
  const script = `read -r code < "${running.control}/\${DROVER_BUILD##*-}"; exit "$code"`;
  const job = { name: "unit", command: ["sh", "-c", script] };
  const config = [{ job }, { project: { check: { jobs: ["unit"] } } }];
  clone = await running.repository("app", "alice", { "zuul.yaml": JSON.stringify(config) });
  await running.post("/projects", "root", { name: "app", importFrom: clone.folder });
});
afterAll(() => running?.end());

const list = () => running.get<AutoholdView[]>("/autoholds");
const wish = (more: object = {}) =>
  running.post("/autoholds", "root", { project: "app", job: "unit", reason: "to look", ...more });

/** Proposes a change. @returns Its number, and that of its build. */
async function propose(): Promise<{ readonly change: number; readonly build: string }> {
  await clone.ok("checkout", "--quiet", "--detach", "main");
  await clone.commit("A change", { file: String(process.hrtime.bigint()) });
  const change = numberIn((await clone.push("refs/for/main")).text);
  const build = await until("it is built", DEADLINE_MS, async () => {
    return (await running.get<BuildView[]>(`/builds?change=${change}`))[0]?.id;
  });
  return { change, build };
}

async function end(build: string, code: number): Promise<void> {
  await running.endBuild(build, code);
  await until(`build ${build} has ended`, DEADLINE_MS, async () =>
    (await running.get<BuildView>(`/builds/${build}`)).result === null ? undefined : true,
  );
}

test("a failed build is held, as often as it was asked for; none that succeeds or is cancelled", async () => {
  await wish();
  const [good, aborted, first, second] = [await propose(), await propose(), await propose(), await propose()];
  await end(good.build, 0);
  await running.post("/dequeue", "root", { change: aborted.change, pipeline: "check" });
  expect(await list()).toMatchObject([{ count: 1, held: [] }]);
  await end(first.build, 1);
  await end(second.build, 1);
  const [asked] = await list();
  expect(asked).toMatchObject({ count: 0, held: [{ build: first.build }] });
  const answer = await fetch(`${running.url}/api/gate/autoholds/${asked!.id}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${running.tokens.get("root")}` },
  });
  expect(answer.status).toBe(200);
  expect(await list()).toEqual([]);
});

test("a request for a change goes before one for a branch, and that before one for the job", async () => {
  await wish({ reason: "job" });
  await wish({ reason: "ref", ref: "mai" });
  // It has to be known before it starts.
  const { change, build } = await propose();
  await end(build, 0);
  await wish({ reason: "change", change });
  await running.post("/enqueue", "root", { change, pipeline: "check" });
  const again = await until("it is built again", DEADLINE_MS, async () => {
    const id = (await running.get<BuildView[]>(`/builds?change=${change}`))[0]!.id;
    return id === build ? undefined : id;
  });
  await end(again, 1);
  const other = await propose();
  await end(other.build, 1);
  const held = (await list()).map(({ reason, held }) => [reason, held.map((one) => one.build)]);
  expect(held).toEqual([
    ["job", []],
    ["ref", [other.build]],
    ["change", [again]],
  ]);
});

test("what cannot be held is refused", async () => {
  const ask = (body: object, user = "root") =>
    running.ask("POST", "/autoholds", user, { project: "app", job: "unit", reason: "x", ...body });
  expect((await ask({}, "alice")).status).toBe(403);
  expect((await ask({ project: "none" })).status).toBe(404);
  expect((await ask({ change: 999 })).status).toBe(404);
  expect((await ask({ ref: "(" })).status).toBe(400);
  expect((await ask({ change: 1, ref: "x" })).status).toBe(400);
  expect((await ask({ holdMs: 1e12 })).status).toBe(400);
});
