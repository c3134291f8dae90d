import { describe, expect, it } from "vitest";
import { FLEET_MUTANTS } from "./mutants.ts";
import { explainFleet, runFleet } from "./run.ts";

/* The short run of the simulation of a fleet; `npm run sim -- fleet` is the long one. */

const STEPS = 3_000;

describe("five servers of a fleet in a bad world", () => {
  it.each(Array.from({ length: 12 }, (_, i) => i + 1))("seed %i breaks no rule", (seed) => {
    if (runFleet(seed, STEPS).failure === null) return;
    const { events, text } = explainFleet(seed, STEPS).failure!;
    expect.fail(
      `${events.join("\n")}\n${text}\nrepeat: npm run sim -- fleet --seed ${seed} --steps ${STEPS}`,
    );
  });

  it("comes out the same twice, and other seeds are other worlds", () => {
    const hashes = [31, 31, 32, 33].map((seed) => runFleet(seed, 1_000).hash);
    expect(hashes[0]).toBe(hashes[1]);
    expect(new Set(hashes).size).toBe(3);
  });

  it("is bad enough that keys have several runners, and that owners ask for what others run", () => {
    const outcomes = [1, 2, 3, 4].map((seed) => runFleet(seed, STEPS));
    expect(Math.max(...outcomes.map(({ mostRunners }) => mostRunners))).toBeGreaterThan(1);
    expect(Math.min(...outcomes.map(({ asked }) => asked))).toBeGreaterThan(0);
  });
});

/** Seeds that a wrong fleet has to be caught within. */
const SEEDS = 60;

describe("a wrong fleet is caught", () => {
  it.each(FLEET_MUTANTS)("$name", ({ make, rules }) => {
    const undo = make();
    const broken: string[] = [];
    try {
      for (let seed = 1; seed <= SEEDS && broken.length === 0; seed++) {
        const { failure } = runFleet(seed, STEPS);
        if (failure !== null) broken.push(failure.rule);
      }
    } finally {
      undo();
    }
    expect(broken).toHaveLength(1);
    expect(rules).toContain(broken[0]);
  });
});
