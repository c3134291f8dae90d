import { afterAll, describe, expect, it } from "vitest";
import { RunningGate } from "../running-gate.ts";
import { SCENARIOS, type Setup } from "./index.ts";
import { pipelineFiles } from "./real-config.ts";
import { RealReusingWorld } from "./real-reusing-world.ts";
import { RealWorld } from "./real-world.ts";
import { SimulatedWorld } from "./simulated-world.ts";

/** Others are in the way of a scenario, and of this machine. */
const TIMEOUT_MS = 300_000;

/**
 * Whose execution a build has matters in many; these are those of resets and of a gate that takes over what check has begun.
 * Every scenario is played with reuse in the simulated world, with its verdicts (core.test.ts): they take long here.
 */
const PLAYED: readonly RegExp[] = [/^E2: /, /^22: /];
const CHOSEN = SCENARIOS.filter(({ title }) => PLAYED.some((one) => one.test(title)));
/** One gate for all scenarios that want the same pipelines. */
const gates = new Map<string, Promise<RunningGate>>();
/** Builds that had the execution of another, in all scenarios. */
let shared = 0;

afterAll(async () => {
  for (const gate of gates.values()) await (await gate).end();
});

function gateFor(setup: Setup): Promise<RunningGate> {
  const { window, check, supercedes } = setup;
  const key = JSON.stringify({ window, check: check === true, supercedes: supercedes === true });
  const known = gates.get(key) ?? openGate(setup);
  gates.set(key, known);
  return known;
}

async function openGate(setup: Setup): Promise<RunningGate> {
  const running = await RunningGate.start();
  await running.pushDirectly("config", pipelineFiles(setup, running.control, true));
  return running;
}

it("each pattern is that of one scenario", () => {
  expect(CHOSEN).toHaveLength(PLAYED.length);
});

describe.concurrent("a gate with git, builds and HTTP, and reuse: the verdicts are those without", () => {
  for (const [at, { title, setup, play }] of CHOSEN.entries())
    it(title, { timeout: TIMEOUT_MS }, async () => {
      const simulated = new SimulatedWorld(setup);
      await play(simulated);
      await simulated.release();
      const real = new RealReusingWorld(new RealWorld(await gateFor(setup), setup, `r${at}`, true), setup);
      await play(real);
      shared += await real.compare(simulated.verdicts());
    });
});

describe("of all of their builds", () => {
  it("some had what others had", () => {
    expect(shared).toBeGreaterThan(0);
  });
});
