import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Gate } from "@drover/gate";
import type { ChangeView } from "@drover/gate/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../peers/until.ts";
import { numberIn, RunningGate } from "./running-gate.ts";

/* A tenant is a gate of its own, so that what is wrong with one is nothing to another; and a gate goes on by what it had. */

const DEADLINE_MS = 60_000;

let broken: RunningGate;
let other: RunningGate;

const PROJECT = "- project:\n    check: {jobs: [noop]}\n    gate: {jobs: [noop]}\n";

async function add(running: RunningGate): Promise<void> {
  const clone = await running.repository("app", "alice", { "zuul.yaml": PROJECT });
  await running.post("/projects", "root", { name: "app", importFrom: clone.folder });
}

/** Proposes a change, has it approved, and waits until it has merged. */
async function merges(running: RunningGate): Promise<void> {
  const clone = await running.clone("app", "alice");
  await clone.commit("More", { [`file-${Math.random()}`]: "x" });
  const number = numberIn((await clone.push("refs/for/main")).text);
  await running.post(`/changes/${number}/approve`, "bob");
  await until("it has merged", DEADLINE_MS, async () => {
    return (await running.get<ChangeView>(`/changes/${number}`)).state === "merged";
  });
}

const fileOf = (running: RunningGate): string => join(running.gateFolder, "gate.yaml");

beforeAll(async () => {
  [broken, other] = [await RunningGate.start(), await RunningGate.start()];
  for (const running of [broken, other]) await add(running);
});
afterAll(async () => {
  await broken?.end();
  await other?.end();
});

test("a tenant file that is wrong is told at its line when it is read again, and what was read before counts", {
  timeout: 200_000,
}, async () => {
  const right = readFileSync(fileOf(broken), "utf8");
  writeFileSync(fileOf(broken), right.replace("source:", "sauce:"));
  const { status, body } = await broken.ask<{ error: { code: string; message: string } }>(
    "POST",
    "/reconfigure",
    "root",
  );
  expect(status).toBe(409);
  expect(JSON.stringify(body)).toMatch(/gate\.yaml:\d+: unknown key \\"sauce\\" in tenant/);
  await merges(broken);

  // Nor does it start by such a file, which is nothing to the other one.
  await broken.close();
  const opened = broken.open();
  await expect(opened).rejects.toThrow(/GATE_CONFIG_INVALID: .*gate\.yaml:\d+: unknown key "sauce"/);
  await broken.server.stop(0);
  await merges(other);
  writeFileSync(fileOf(broken), right);
  await broken.open();
  expect(broken.gate).toBeInstanceOf(Gate);
  await merges(broken);
});

test("a config-project that is wrong stops its own tenant's pipelines, and no other's", {
  timeout: 200_000,
}, async () => {
  await broken.pushDirectly("config", { "zuul.d/pipelines.yaml": "- pipeline: {name: check}\n" });
  await until("it was read", DEADLINE_MS, () => broken.gate.configProblems.length > 0);
  await merges(other);
  expect(other.gate.configProblems).toEqual([]);
});
