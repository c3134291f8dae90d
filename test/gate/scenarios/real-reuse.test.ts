import { afterAll, describe, expect, it } from "vitest";
import { RunningGate } from "../running-gate.ts";
import { SCENARIOS, type Setup } from "./index.ts";
import { pipelineFiles } from "./real-config.ts";
import { RealReusingWorld } from "./real-reusing-world.ts";
import { RealWorld } from "./real-world.ts";
import { ReusingWorld } from "./reusing-world.ts";
import { SimulatedWorld } from "./simulated-world.ts";

/** Others are in the way of a scenario, and of this machine. */
const TIMEOUT_MS = 300_000;

/**
 * Those in which it matters whose execution a build has: check before the gate, resets, shared queues, cycles, what is
 * promoted, withdrawn or refused, semaphores, pauses, chosen jobs, what is required of changes ahead. All others are played with
 * reuse in the simulated world only (core.test.ts), where each has its verdicts without, as they take so long here; those on few
 * slots are, too, since which builds have them another count of executions changes.
 */
const PLAYED: readonly RegExp[] = [
  /^E2: /,
  /^E4: /,
  /^E7: /,
  /^E8: /,
  /^14: /,
  /^22: /,
  /^40: /,
  /^43: /,
  /^47: a cycle that is one no more/,
  /^52: promoted/,
  /^a change whose approval is withdrawn/,
  /^a build that says that it fails/,
  /^what is behind a change that adds a job/,
  /^an equal job of a cycle's changes runs once for all/,
  /^57: a semaphore is freed when a reset/,
  /^59: a change that adds a job is tested by it/,
  /^59: a paused build is cancelled/,
  /^59: a build says which/,
  /^59: shared queue, fast/,
];
const CHOSEN = SCENARIOS.filter(({ title }) => PLAYED.some((one) => one.test(title)));
/** What check has found serves the gate at once, so that B has merged when its author thinks better of it. */
const OVERTAKING = "E7: a new revision in the middle takes those along that were built on the old one";

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
      const reference = title === OVERTAKING ? new ReusingWorld(setup) : new SimulatedWorld(setup);
      await play(reference);
      const simulated = reference instanceof ReusingWorld ? reference.world : reference;
      await simulated.release();
      const real = new RealReusingWorld(new RealWorld(await gateFor(setup), setup, `r${at}`, true), setup);
      await play(real);
      shared += await real.compare(simulated.verdicts());
    });
});

describe("of all of their builds", () => {
  it("some had what others had", () => {
    expect(shared).toBeGreaterThan(5);
  });
});
