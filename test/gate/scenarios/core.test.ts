import { describe, expect, it } from "vitest";
import { SCENARIOS } from "./index.ts";
import { ReusingWorld } from "./reusing-world.ts";
import { SimulatedWorld } from "./simulated-world.ts";

describe("the core of the gate, in a world where everything happens at once", () => {
  for (const { title, setup, play } of SCENARIOS) it(title, () => play(new SimulatedWorld(setup)));
});

/** What check has found serves the gate at once, so that B has merged when its author thinks better of it. */
const OVERTAKING = "E7: a new revision in the middle takes those along that were built on the old one";

describe("with builds of equal content that are one execution: the same verdicts, and no more builds", () => {
  const spared: string[] = [];
  for (const { title, setup, play } of SCENARIOS) {
    it(title, async () => {
      const [plain, reusing] = [new SimulatedWorld(setup), new ReusingWorld(setup)];
      await play(plain);
      await play(reusing);
      for (const world of [plain, reusing]) await world.release();
      const [with_, without] = [reusing.world.verdicts(), plain.verdicts()];
      if (title === OVERTAKING) expect(with_.merged).toEqual(["A", "B", "C", "D"]);
      else expect(with_).toEqual(without);
      expect(reusing.sharing.executions).toBeLessThanOrEqual(plain.builds);
      if (reusing.sharing.executions < plain.builds) spared.push(title);
    });
  }
  it("some of them are spared builds", () => {
    expect(spared).toContain(OVERTAKING);
    expect(spared.length).toBeGreaterThan(2);
  });
});
