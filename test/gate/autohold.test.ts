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
  const job = { name: "unit", reuse: false, command: ["sh", "-c", script] };
  const config = [{ job }, { project: { check: { jobs: ["unit"] } } }];
  clone = await running.repository("app", "alice", { "zuul.yaml": JSON.stringify(config) });
  await running.post("/projects", "root", { name: "app", importFrom: clone.folder });
});
afterAll(() => running?.end());

const list = () => running.get<AutoholdView[]>("/autoholds");
const wish = (more: object = {}) =>
  running.post("/autoholds", "root", { project: "app", job: "unit", reason: "to look", ...more });

const remove = (id: number, user = "root") =>
  fetch(`${running.url}/api/gate/autoholds/${id}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${running.tokens.get(user)}` },
  });

/** Executions whose workspaces the executor holds. */
const workspaces = async () => (await running.gate.executor!.held()).map(({ execution }) => execution);

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
  expect(asked).toMatchObject({ count: 0, held: [{ build: first.build, executor: "gate" }] });
  const { execution } = asked!.held[0]!;
  await running.close();
  await running.open();
  expect(await list()).toEqual([asked]);
  await until("only what counts is held", DEADLINE_MS, async () => (await workspaces()).join() === execution);
  expect((await remove(asked!.id, "alice")).status).toBe(403);
  expect((await remove(asked!.id)).status).toBe(200);
  expect(await list()).toEqual([]);
  await until("its workspace is gone", DEADLINE_MS, async () => (await workspaces()).length === 0);
});

test("a build that runs already is held, too, and let go when its time has come", async () => {
  const { build } = await propose();
  await wish({ holdMs: 1_000 });
  await end(build, 1);
  await until("nothing is held any more", DEADLINE_MS, async () => {
    return (await list()).length === 0 && (await workspaces()).length === 0;
  });
});

test("of builds that share an execution the workspace is held", async () => {
  const config = [{ job: { name: "same", command: ["false"] } }, { project: { check: { jobs: ["same"] } } }];
  const shared = await running.repository("lib", "alice", { "zuul.yaml": JSON.stringify(config) });
  await running.post("/projects", "root", { name: "lib", importFrom: shared.folder });
  await wish({ project: "lib", job: "same" });
  await shared.ok("checkout", "--quiet", "--detach", "main");
  await shared.commit("A change", { file: "1" });
  await shared.push("refs/for/main");
  const held = await until("it is held", DEADLINE_MS, async () => (await list())[0]?.held[0]);
  expect(await workspaces()).toEqual([held.execution]);
  expect((await running.get<BuildView>(`/builds/${held.build}`)).job).toBe("same");
  await remove((await list())[0]!.id);
});

test("a request for a change goes before one for a branch, and that before one for the job", async () => {
  await wish({ reason: "job" });
  await wish({ reason: "ref", ref: "mai" });
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
  for (const { id } of await list()) await remove(id);
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
  expect((await ask({ count: 0 })).status).toBe(400);
  expect((await ask({ count: 101 })).status).toBe(400);
  expect((await ask({ count: 100 })).status).toBe(200);
  const [most] = await list();
  expect(most?.count).toBe(100);
  await remove(most!.id);
});
