import { afterAll, describe, expect, it } from "vitest";
import { SCENARIOS } from "./index.ts";
import { RealGates } from "./real-gates.ts";
import { RealReusingWorld } from "./real-reusing-world.ts";
import { RealWorld } from "./real-world.ts";
import { SimulatedWorld } from "./simulated-world.ts";

/** Others are in the way of a scenario, and of this machine. */
const TIMEOUT_MS = 300_000;

/** What check has found serves the gate at once, so that B has merged when its author would revise it, which the forge refuses. */
const OVERTAKING = "E7: a new revision in the middle takes those along that were built on the old one";
const PLAYABLE = SCENARIOS.filter(({ title }) => title !== OVERTAKING);
/** In these is what can happen to a build on its way to a result, whoever shares it; the others take minutes more. */
const ALWAYS = /^(E\d+|22|40|43|45|47|5[679]): /;
const CHOSEN =
  process.env.DROVER_ALL_SCENARIOS === "1" ? PLAYABLE : PLAYABLE.filter(({ title }) => ALWAYS.test(title));
const gates = new RealGates(true);
/** Builds that had the execution of another, in all scenarios. */
let shared = 0;

afterAll(() => gates.end());

it("all but one can be played", () => {
  expect(PLAYABLE).toHaveLength(SCENARIOS.length - 1);
});

describe.concurrent("a gate with git, builds and HTTP, and reuse: the verdicts are those without", () => {
  for (const { title, setup, play } of CHOSEN) {
    const at = SCENARIOS.findIndex((one) => one.title === title);
    it(title, { timeout: TIMEOUT_MS }, async () => {
      const simulated = new SimulatedWorld(setup);
      await play(simulated);
      await simulated.release();
      const real = new RealReusingWorld(new RealWorld(await gates.for(setup, title), setup, `r${at}`, true));
      await play(real);
      shared += await real.compare(simulated);
    });
  }
});

describe("of all of their builds", () => {
  it("some had what others had", () => {
    expect(shared).toBeGreaterThan(0);
  });
});
