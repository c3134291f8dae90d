import { describe, expect, test } from "vitest";
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
