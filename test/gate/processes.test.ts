import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { BuildView, ChangeView, WorkerView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { SeparateGate } from "./separate-gate.ts";

/* A gate whose job server, executors and mergers are processes of their own, which share no folder. */

const CONFIG = `
- job:
    name: unit
    command: [sh, -c, "cat README && echo kept > $DROVER_ARTIFACTS/what && until test -e go; do sleep 0.1; done"]
- job:
    name: quick
    command: [sh, -c, "test ! -e bad && touch $HOME/x"]
- project:
    gate:
      jobs: [quick]
`;

describeWith(["bubblewrap"], "a gate of separate processes", () => {
  const gate = new SeparateGate();
  beforeAll(async () => {
    await gate.start();
    await gate.addProject("tools/app", { README: "begin\n", "zuul.yaml": CONFIG });
  }, 180_000);
  afterAll(() => gate[Symbol.asyncDispose](), 60_000);

  test("what passes on an executor is merged as a merger elsewhere made it, what fails is not", async () => {
    // Two that touch different files: the second one is tested as a merge commit that only the merger has made.
    const [good, bad] = [
      await gate.propose("tools/app", { one: "1" }),
      await gate.propose("tools/app", { bad: "" }),
    ];
    const last = await gate.propose("tools/app", { two: "2" });
    await until("all are told", 60_000, async () => {
      const changes =
        await gate.get<{ subject: { number: number }; state: string }[]>("/changes?state=merged");
      return [good, last].every((number) => changes.some(({ subject }) => subject.number === number));
    });
    expect((await gate.get<ChangeView>(`/changes/${bad}`)).state).toBe("open");
    const builds = await gate.get<BuildView[]>(`/builds?change=${bad}`);
    expect(builds[0]).toMatchObject({ job: "quick", result: "FAILURE" });
    await gate.post(`/changes/${bad}/abandon`);
  }, 120_000);

  test("log and artifacts are at the gate, and nothing of them stays at the executor", async () => {
    const config = CONFIG.replace("until test -e go; do sleep 0.1; done", "true");
    const number = await gate.propose("tools/app", {
      README: "what it says\n",
      "zuul.yaml": config.replace("[quick]", "[unit]"),
    });
    await until("it is merged", 60_000, async () => {
      return (await gate.get<ChangeView>(`/changes/${number}`)).state === "merged";
    });
    const [build] = await gate.get<BuildView[]>(`/builds?change=${number}`);
    expect(build).toMatchObject({ result: "SUCCESS", artifacts: [{ name: "what" }] });
    expect(await gate.drover("gate", "log", build!.id, "--server", gate.url)).toMatch(
      /what it says\n(.*\n)*drover: result: SUCCESS\n$/,
    );
    const artifact = await fetch(`${gate.url}/api/gate/builds/${build!.id}/artifacts/what`);
    expect(await artifact.text()).toBe("kept\n");
    expect(readdirSync(join(gate.folder, "executor-1", "executions"))).toEqual([]);
  }, 120_000);

  test("a log can be followed while its build runs elsewhere", async () => {
    const number = await gate.propose("tools/app", {
      README: "as it comes\n",
      "zuul.yaml": CONFIG.replace("[quick]", "[unit]"),
    });
    const build = await until("it runs", 60_000, async () => {
      const [one] = await gate.get<BuildView[]>(`/builds?change=${number}`);
      return one;
    });
    await until("its first words are there", 60_000, async () =>
      (await gate.get<string>(`/builds/${build.id}/log`)).includes("as it comes\n"),
    );
    const workers = await gate.get<WorkerView[]>("/workers");
    expect((await gate.get<BuildView>(`/builds/${build.id}`)).result).toBeNull();
    await until("the gate knows where it runs", 30_000, async () =>
      (await gate.get<WorkerView[]>("/workers")).some(({ builds }) => builds.includes(build.id)),
    );
    expect(
      workers.map(({ kind, name, isConnected, accepts }) => ({ kind, name, isConnected, accepts })),
    ).toEqual([
      { kind: "executor", name: "executor-1", isConnected: true, accepts: true },
      { kind: "merger", name: "merger-1", isConnected: true, accepts: true },
    ]);
    expect(await gate.drover("gate", "workers", "--server", gate.url)).toMatch(
      /executor +executor-1 +1 of 50 +accepts +\d+\n/,
    );
    await gate.post(`/changes/${number}/abandon`);
    await until("it has ended there, too", 60_000, async () =>
      (await gate.get<WorkerView[]>("/workers")).every(({ builds }) => builds.length === 0),
    );
  }, 120_000);

  test("a worker's token is for nothing else", async () => {
    const token = (
      await gate.drover("gate", "user", "add", "other", "--worker", "--server", gate.url)
    ).trim();
    const ask = async (method: string, path: string, bearer: string, body = ""): Promise<number> => {
      const response = await fetch(`${gate.url}/api/gate${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}` },
        body,
      });
      await response.arrayBuffer();
      return response.status;
    };
    const execution = "00000000-0000-0000-0000-000000000000";
    expect(await ask("POST", "/pause", token, '{"on": true}')).toBe(403);
    expect(await ask("POST", "/changes/1/approve", token)).toBe(403);
    expect(await ask("PUT", `/executions/${execution}/log?from=0`, gate.token, "x")).toBe(403);
    expect(await ask("PUT", `/executions/${execution}/log?from=0`, "nobody", "x")).toBe(401);
    expect(await ask("PUT", "/executions/..%2f..%2fx/log?from=0", token, "x")).toBe(400);
    expect(await ask("PUT", `/executions/${execution}/artifacts/..%2f..%2fx`, token, "x")).toBe(400);
    expect(await ask("POST", "/packs/tools/app", token, "no pack at all")).toBe(400);
    expect(await ask("POST", "/packs/elsewhere", token, "PACK")).toBe(404);
  }, 60_000);
});
