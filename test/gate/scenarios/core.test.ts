import { describe, it } from "vitest";
import { SCENARIOS } from "./index.ts";
import { SimulatedWorld } from "./simulated-world.ts";

describe("the core of the gate, in a world where everything happens at once", () => {
  for (const { title, setup, play } of SCENARIOS) it(title, () => play(new SimulatedWorld(setup)));
});
