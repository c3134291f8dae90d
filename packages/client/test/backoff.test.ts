import { describe, expect, it } from "vitest";
import { backoffMs } from "../src/index.ts";

describe("backoffMs", () => {
  it("grows to its limit", () => {
    const backoff = { initialMs: 100, maxMs: 1_000, factor: 3, jitter: 0 };
    expect([1, 2, 3, 4, 5_000].map((failures) => backoffMs(failures, backoff, 0.7))).toEqual([
      100, 300, 900, 1_000, 1_000,
    ]);
  });

  it("lets chance shorten it by the jitter's part, never more", () => {
    const backoff = { initialMs: 100, jitter: 0.5 };
    expect([0, 0.5, 1].map((random) => backoffMs(1, backoff, random))).toEqual([100, 75, 50]);
    expect(backoffMs(1, { initialMs: 100, jitter: 1 }, 1)).toBe(0);
  });
});
