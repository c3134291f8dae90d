import { afterAll, describe, it } from "vitest";
import { RunningGate } from "../running-gate.ts";
import { SCENARIOS, type Setup } from "./index.ts";
import { pipelineFiles } from "./real-config.ts";
import { addConnections } from "./real-connections.ts";
import { RealWorld } from "./real-world.ts";

/** Of all scenarios together. */
const MAX_BUILDS = 500;
/** Others are in the way of a scenario, and of this machine. */
const TIMEOUT_MS = 300_000;
/** One gate for all scenarios that want the same pipelines. */
const gates = new Map<string, Promise<RunningGate>>();

afterAll(async () => {
  for (const gate of gates.values()) await (await gate).end();
});

/** Slots are not shared: what runs for one scenario would be in the way of the other. */
function gateFor(setup: Setup, title: string): Promise<RunningGate> {
  const { window, check, supercedes, rechecks, slots, disableAfter, pipelines, reportsElsewhere } = setup;
  // A clock that strikes, and failures in a row, are not shared either.
  const isShared =
    slots === undefined && disableAfter === undefined && pipelines?.includes("nightly") !== true;
  const key = JSON.stringify({
    ...{ window, check: check === true, supercedes: supercedes === true, rechecks: rechecks === true },
    ...{ pipelines, reportsElsewhere, own: isShared ? null : title },
  });
  const known = gates.get(key) ?? openGate(setup);
  gates.set(key, known);
  return known;
}

async function openGate(setup: Setup): Promise<RunningGate> {
  const running = await RunningGate.start(setup.slots === undefined ? {} : { slots: setup.slots });
  await running.makeControls(MAX_BUILDS);
  if (setup.reportsElsewhere) await addConnections(running);
  await running.pushDirectly("config", pipelineFiles(setup, running.control));
  return running;
}

// They are in each other's way as little as projects are.
describe.concurrent("a gate with git, builds and HTTP", () => {
  for (const [at, { title, setup, play }] of SCENARIOS.entries())
    it(title, { timeout: TIMEOUT_MS }, async () =>
      play(new RealWorld(await gateFor(setup, title), setup, `s${at}`)),
    );
});
