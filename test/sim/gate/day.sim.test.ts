import { describe, expect, it } from "vitest";
import { compareDays, playDay } from "./day.ts";

describe("a day of a gate with builds of equal content as one execution", () => {
  it.each([1, 2, 3, 4, 5])("seed %i: fewer builds are run, and every verdict is the same", (seed) => {
    const { without: plain, with: reusing, different } = compareDays(seed);
    expect(plain.executions).toBe(plain.builds);
    expect(reusing.executions).toBeLessThan(plain.executions * 0.9);
    expect(different).toEqual([]);
    // Something did go wrong that day, in the gate too.
    const verdicts = Object.entries(plain.verdicts);
    expect(
      verdicts.filter(([name, what]) => / gate$/.test(name) && what === "failure").length,
    ).toBeGreaterThan(3);
    expect(
      verdicts.filter(([name, what]) => / gate$/.test(name) && what === "success").length,
    ).toBeGreaterThan(50);
  });

  it("a day comes out the same twice", () => {
    expect(playDay({ seed: 7, reuse: true })).toEqual(playDay({ seed: 7, reuse: true }));
  });
});
