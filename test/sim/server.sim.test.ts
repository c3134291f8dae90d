import { describe, expect, it } from "vitest";
import type { JobServerCore } from "../../packages/server/src/core/index.ts";
import { MUTANTS } from "./mutants.ts";
import { checkIsolation, checkRepetition, explainSeed, runSeed } from "./run.ts";

/* The short run of the simulation; `npm run sim` is the long one. */

describe("the job server in a bad world", () => {
  it.each([11, 12, 13, 14, 15, 16, 17, 18, 19, 20])("seed %i breaks no invariant", (seed) => {
    const { failure } = runSeed(seed, 2500);
    if (failure === null) return;
    const { events } = explainSeed(seed, 2500).failure!;
    expect.fail(`${events.join("\n")}\n${failure.text}\nrepeat: npm run sim -- --seed ${seed} --steps 2500`);
  });

  it.each([21, 22, 23])("seed %i comes out the same twice, to the last byte", (seed) => {
    expect(checkRepetition(seed, 1500)).toBeNull();
  });

  it("different seeds are different worlds", () => {
    const hashes = [31, 32, 33, 34].map((seed) => runSeed(seed, 300).hash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it.each([41, 42, 43, 44, 45])(
    "seed %i: peers that flood, stall or speak nonsense change nothing for the others",
    (seed) => {
      expect(checkIsolation(seed, 1500)).toBeNull();
    },
  );
});

/** Seeds that a wrong server has to be caught within. */
const SEEDS = 15;

describe("a wrong server is caught by what it sends", () => {
  for (const { name, make, undo } of MUTANTS) {
    it(name, () => {
      const rules: string[] = [];
      try {
        for (let seed = 1; seed <= SEEDS && rules.length === 0; seed++) {
          const { failure } = runSeed(seed, 2500, { tampering: make(), withoutWalks: true });
          // A server that falls over would be noticed by anybody.
          if (failure !== null) rules.push(failure.rule);
        }
      } finally {
        undo?.();
      }
      expect(rules).toHaveLength(1);
      expect(rules).not.toContain("exception");
    });
  }

  it("and the right one is not", () => {
    for (let seed = 1; seed <= 3; seed++) {
      expect(runSeed(seed, 1000, { withoutWalks: true }).failure).toBeNull();
    }
  });
});

describe("a server with wrong books is caught by a walk through them", () => {
  it.each(["workloadBytes", "replayBytes", "running", "submissionCount"] as const)("%s", (field) => {
    const turn = ({ state }: JobServerCore) => {
      if (state.jobs.size === 2) state[field]++;
    };
    expect(runSeed(1, 2000, { tampering: { turn } }).failure?.rule).toBe("counts");
  });
});
