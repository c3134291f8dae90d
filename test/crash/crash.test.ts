import { describe, expect, test } from "vitest";
import { playGateCrashes } from "./gate/play.ts";
import { playCrashes } from "./play.ts";

/* The short run; `npm run crash` is the long one. */

describe("a server that is killed at any moment", () => {
  test("loses nothing that it acknowledged, in 10 lives", async () => {
    const { kills, acknowledged, again } = await playCrashes({ rounds: 10, seed: Date.now() % 1_000_000 });
    expect(kills).toBe(10);
    expect(acknowledged).toBeGreaterThan(100);
    expect(again).toBeGreaterThan(0);
  });
});

describe("a gate that is killed at any moment", () => {
  test("forgets nothing that was approved and no result, in 3 lives", { timeout: 300_000 }, async () => {
    const { kills, approved } = await playGateCrashes({ rounds: 3, seed: Date.now() % 1_000_000 });
    expect(kills).toBe(3);
    expect(approved).toBeGreaterThan(2);
  });
});
