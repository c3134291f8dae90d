import { afterAll, describe, it } from "vitest";
import { SCENARIOS } from "./index.ts";
import { RealGates } from "./real-gates.ts";
import { RealWorld } from "./real-world.ts";

/** Others are in the way of a scenario, and of this machine. */
const TIMEOUT_MS = 300_000;
const gates = new RealGates(false);

afterAll(() => gates.end());

// They are in each other's way as little as projects are.
describe.concurrent("a gate with git, builds and HTTP", () => {
  for (const [at, { title, setup, play }] of SCENARIOS.entries())
    it(title, { timeout: TIMEOUT_MS }, async () =>
      play(new RealWorld(await gates.for(setup, title), setup, `s${at}`)),
    );
});
