import { describe, expect, it } from "vitest";
import { GATE_MUTANTS } from "./mutants.ts";
import { explainGate, runGate } from "./run.ts";

/* The short run of the simulation of the gate; `npm run sim -- gate` is the long one. */

const EVENTS = 1_500;

describe("the core of the gate in a bad world", () => {
  it.each(Array.from({ length: 30 }, (_, i) => i + 1))("seed %i breaks no invariant", (seed) => {
    if (runGate(seed, EVENTS).failure === null) return;
    const { events, text } = explainGate(seed, EVENTS).failure!;
    expect.fail(
      `${events.join("\n")}\n${text}\nrepeat: npm run sim -- gate --seed ${seed} --steps ${EVENTS}`,
    );
  });

  it.each([31, 32])("seed %i comes out the same twice", (seed) => {
    expect(runGate(seed, EVENTS).hash).toBe(runGate(seed, EVENTS).hash);
  });

  it("different seeds are different worlds", () => {
    const hashes = [41, 42, 43, 44].map((seed) => runGate(seed, 300).hash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

/** Seeds that a wrong core has to be caught within. */
const SEEDS = 25;

describe("a wrong core of the gate is caught", () => {
  for (const { name, make, undo } of GATE_MUTANTS) {
    it(name, () => {
      const rules: string[] = [];
      try {
        for (let seed = 1; seed <= SEEDS && rules.length === 0; seed++) {
          const { failure } = runGate(seed, EVENTS, { tampering: make() });
          // A core that falls over would be noticed by anybody: another seed has to show what is wrong.
          if (failure !== null && failure.rule !== "exception") rules.push(failure.rule);
        }
      } finally {
        undo?.();
      }
      expect(rules).toHaveLength(1);
    });
  }
});
