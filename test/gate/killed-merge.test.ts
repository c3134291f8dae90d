import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { BuildView, ChangeView, StatusView } from "@drover/gate/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* What a merge starts, when the gate is killed between the merge and that, or between two that are one. */

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
  let lib: Clone;

  beforeAll(async () => {
    running = await RunningGate.start();
    await running.pushDirectly("config", {
      "zuul.d/after.yaml": stringify(PIPELINES.map((pipeline) => ({ pipeline }))),
    });
    const jobs = ["deploy", "publish"].map((name) => ({ job: { name: `do-${name}`, command: ["true"] } }));
    const lists = { deploy: { jobs: ["do-deploy"] }, publish: { jobs: ["do-publish"] } };
    const project = { project: { queue: "both", gate: { jobs: ["noop"] }, ...lists } };
    const queue = { queue: { name: "both", "allow-circular-dependencies": true } };
    app = await running.repository("app", "alice", { "zuul.yaml": stringify([queue, ...jobs, project]) });
    await running.post("/projects", "root", { name: "app", importFrom: app.folder });
    lib = await running.repository("lib", "alice", { "zuul.yaml": stringify([project]) });
    await running.post("/projects", "root", { name: "lib", importFrom: lib.folder });
  }, 120_000);
  afterAll(() => running?.end());

  const propose = (title: string) => proposeChange(app, title, { [title]: title });

  /** Runs gates that approve changes and are killed at a step each, and one that goes on behind them. */
  const kill = async (changes: readonly number[], steps: readonly string[]): Promise<void> => {
    await running.close();
    for (const step of steps) {
      const script = join(import.meta.dirname, "dying-gate.ts");
      const died = spawnSync(process.execPath, [script, running.gateFolder, changes.join(), step]);
      expect(died.signal, died.stderr.toString()).toBe("SIGKILL");
    }
    await running.open();
    await until("all is merged and done", DEADLINE_MS, async () => {
      const details = await Promise.all(
        changes.map((change) => running.get<ChangeView>(`/changes/${change}`)),
      );
      const { pipelines } = await running.get<StatusView>("/status");
      const isIdle = pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
      return isIdle && details.every(({ state }) => state === "merged");
    });
  };
  const builds = () => running.get<BuildView[]>("/builds?limit=500");
  /** What ran that had not run before. */
  const ranSince = async (before: readonly BuildView[]) =>
    (await builds())
      .filter(({ id }) => !before.some((one) => one.id === id))
      .map(({ job, result, subject }) => [job, result, subject.number ?? subject.commit])
      .sort();
  const tipOf = async (project: string) => (await running.gate.forge.branches(project)).get("main")!;

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
      const before = await builds();
      await kill([change], steps);
      const { commit } = running.gate.forge.landed(change)!;
      expect(await tipOf("app")).toBe(commit);
      expect(await ranSince(before)).toEqual([
        ["do-deploy", "SUCCESS", change],
        ["do-publish", "SUCCESS", commit],
      ]);
    },
    180_000,
  );

  test.each([
    [["prepared lib"]],
    [["decided"]],
    [["committed app"]],
    [["committed lib"]],
    [["told"]],
    [["prepared app", "committed app"]],
  ])(
    "after %s of a cycle, merges both once, and has both start what they start",
    async (steps) => {
      const first = await propose(`cycle-${steps.join("-").replaceAll(" ", "-")}`);
      const second = await proposeChange(lib, `Too\n\nDepends-On: gate:app/${first}`, {
        [`with-${first}`]: "",
      });
      await app.amend(`${first} needs it\n\nDepends-On: gate:lib/${second}`);
      const said = await app.push(`refs/for/main%change=${first}`);
      expect(said.code, said.text).toBe(0);
      const before = await builds();
      await kill([first, second], steps);
      const [one, two] = [await tipOf("app"), await tipOf("lib")];
      expect([first, second].map((change) => running.gate.forge.landed(change)!.commit)).toEqual([one, two]);
      expect(await ranSince(before)).toEqual(
        [
          ["do-deploy", "SUCCESS", first],
          ["do-deploy", "SUCCESS", second],
          ["do-publish", "SUCCESS", one],
          ["do-publish", "SUCCESS", two],
        ].sort(),
      );
    },
    180_000,
  );
});
