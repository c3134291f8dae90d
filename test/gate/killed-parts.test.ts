import type { BuildView, ChangeView, WorkerView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { SeparateGate } from "./separate-gate.ts";

/* Each part of a gate of separate processes, killed while builds sleep. */

const SLEEPING = 50;

/** So many jobs that sleep for as long as it says. */
function config(jobs: number, seconds: number): string {
  const names = Array.from({ length: jobs }, (_, at) => `j${at}`);
  return [
    ...names.map(
      (name) => `- job:\n    name: ${name}\n    command: [sh, -c, "echo up; sleep ${seconds}; echo down"]\n`,
    ),
    "- project:\n    gate:\n      jobs:\n",
    ...names.map((name) => `        - ${name}\n`),
  ].join("");
}

describeWith(["bubblewrap"], "a part of a gate that is killed", () => {
  const gate = new SeparateGate(SLEEPING);
  beforeAll(async () => {
    await gate.start({ executors: 2, mergers: 1 });
    await gate.post("/projects", { name: "app" });
  }, 180_000);
  afterAll(() => gate[Symbol.asyncDispose](), 60_000);

  const buildsOf = (change: number): Promise<BuildView[]> =>
    gate.get<BuildView[]>(`/builds?change=${change}&limit=500`);

  /** Proposes a change with so many sleeping builds, and waits until all of them write. */
  async function asleep(jobs: number, seconds: number): Promise<number> {
    const change = await gate.propose("app", { "zuul.yaml": config(jobs, seconds) });
    await until("all builds sleep", 120_000, async () => {
      const workers = await gate.get<WorkerView[]>("/workers");
      return workers.reduce((sum, { builds }) => sum + builds.length, 0) === jobs;
    });
    return change;
  }

  async function merged(change: number): Promise<void> {
    await until("it is merged", 240_000, async () => {
      const { state } = await gate.get<ChangeView>(`/changes/${change}`);
      return state === "merged";
    });
  }

  test("the gate: 50 builds that sleep are joined again, none is lost and none repeated", async () => {
    const change = await asleep(SLEEPING, 30);
    const before = await buildsOf(change);
    await gate.kill("gate");
    await gate.run("gate");
    await merged(change);
    const after = await buildsOf(change);
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
    expect(after).toHaveLength(SLEEPING);
    for (const { id, result, attempt } of after) {
      expect({ result, attempt }).toEqual({ result: "SUCCESS", attempt: 1 });
      // One execution wrote it, from its first word to its last.
      expect((await gate.get<string>(`/builds/${id}/log`)).match(/^(?:up|down)$/gm)).toEqual(["up", "down"]);
    }
  }, 400_000);

  test("an executor: its builds run again elsewhere, and count no attempt", async () => {
    const change = await asleep(8, 10);
    const busy = (await gate.get<WorkerView[]>("/workers")).find(({ builds }) => builds.length > 0)!;
    await gate.kill(busy.name.replace("-", " ") as `executor ${number}`);
    await merged(change);
    const builds = await buildsOf(change);
    const lost = builds.filter(({ result }) => result === "LOST");
    expect(lost.map(({ id }) => id).sort()).toEqual([...busy.builds].sort());
    for (const { job } of lost) {
      const [again] = builds.filter((one) => one.job === job && one.result !== "LOST");
      expect(again).toMatchObject({ result: "SUCCESS", attempt: 1 });
    }
    await gate.run(busy.name.replace("-", " ") as `executor ${number}`);
  }, 300_000);

  test("the job server: what had not ended runs again, once", async () => {
    const change = await asleep(8, 8);
    await gate.kill("server");
    await gate.run("server");
    await merged(change);
    const builds = await buildsOf(change);
    expect(builds).toHaveLength(8);
    for (const { result, attempt } of builds)
      expect({ result, attempt }).toEqual({ result: "SUCCESS", attempt: 1 });
  }, 300_000);

  test("the merger: another one makes the same commits", async () => {
    await gate.kill("merger 1");
    const changes = [
      await gate.propose("app", { "zuul.yaml": config(1, 0) }),
      await gate.propose("app", { two: "2" }),
    ];
    await gate.run("merger 2");
    for (const change of changes) await merged(change);
  }, 300_000);
});
