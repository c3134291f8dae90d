import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { BuildView, ChangeView, StatusView } from "@drover/gate/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* What a merge starts, when the gate is killed between the merge and that. */

const DEADLINE_MS = 60_000;

const PIPELINES = [
  { name: "deploy", manager: "serial", trigger: { local: { event: "change-merged" } } },
  {
    name: "publish",
    manager: "supercedent",
    trigger: { local: { event: "ref-updated", ref: "^refs/heads/" } },
  },
];

describe("a gate that is killed while it merges", () => {
  let running: RunningGate;
  let app: Clone;

  beforeAll(async () => {
    running = await RunningGate.start();
    await running.pushDirectly("config", {
      "zuul.d/after.yaml": stringify(PIPELINES.map((pipeline) => ({ pipeline }))),
    });
    const jobs = ["deploy", "publish"].map((name) => ({ job: { name: `do-${name}`, command: ["true"] } }));
    const lists = { deploy: { jobs: ["do-deploy"] }, publish: { jobs: ["do-publish"] } };
    const config = [...jobs, { project: { gate: { jobs: ["noop"] }, ...lists } }];
    app = await running.repository("app", "alice", { "zuul.yaml": stringify(config) });
    await running.post("/projects", "root", { name: "app", importFrom: app.folder });
  }, 120_000);
  afterAll(() => running?.end());

  const propose = (title: string) => proposeChange(app, title, { [title]: title });

  test.each([
    [["decided"]],
    [["moved"]],
    [["telling"]],
    [["told"]],
    [["decided", "moved"]],
    [["moved", "telling"]],
    [["telling", "told"]],
  ])(
    "after %s, has the merge start all that it starts once",
    async (steps) => {
      const change = await propose(steps.join("-"));
      const before = new Set((await running.get<BuildView[]>("/builds?limit=500")).map(({ id }) => id));
      await running.close();
      for (const step of steps) {
        const script = join(import.meta.dirname, "dying-gate.ts");
        const died = spawnSync(process.execPath, [script, running.gateFolder, String(change), step]);
        expect(died.signal, died.stderr.toString()).toBe("SIGKILL");
      }
      await running.open();
      await until("it is merged, and all is done", DEADLINE_MS, async () => {
        const { state } = await running.get<ChangeView>(`/changes/${change}`);
        const { pipelines } = await running.get<StatusView>("/status");
        const isIdle = pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
        return state === "merged" && isIdle ? true : undefined;
      });
      const builds = (await running.get<BuildView[]>("/builds?limit=500")).filter(
        ({ id }) => !before.has(id),
      );
      const { commit } = running.gate.forge.landed(change)!;
      expect((await running.gate.forge.branches("app")).get("main")).toBe(commit);
      expect(
        builds.map(({ job, result, subject }) => [job, result, subject.number ?? subject.commit]).sort(),
      ).toEqual([
        ["do-deploy", "SUCCESS", change],
        ["do-publish", "SUCCESS", commit],
      ]);
    },
    180_000,
  );
});
