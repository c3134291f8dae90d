import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  envelopeOf,
  failed,
  failureOf,
  freshnessOf,
  invalidated,
  jittered,
  supersedes,
  ttlOf,
} from "../src/core/freshness.ts";

const lifetimes = { freshMs: 1_000, staleMs: 5_000 };
const value = Buffer.from("v");
const envelope = envelopeOf({ value, beganMs: 900, endedMs: 1_000, version: 0 }, lifetimes);
const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("freshness", () => {
  it("is fresh, then stale, then missing", () => {
    expect([1_999, 2_000, 6_999, 7_000].map((ms) => freshnessOf(envelope, ms, 0.9, 0))).toEqual([
      "fresh",
      "stale",
      "stale",
      "missing",
    ]);
    expect(freshnessOf(undefined, 0, 0, 1)).toBe("missing");
  });

  it("is early the likelier the nearer the expiry, and never without beta", () => {
    fc.assert(
      fc.property(draws, fc.integer({ min: 0, max: 1_999 }), fc.nat(1_000), (draw, nowMs, later) => {
        expect(freshnessOf(envelope, nowMs, draw, 0)).toBe("fresh");
        if (freshnessOf(envelope, nowMs, draw, 1) !== "early") return;
        expect(freshnessOf(envelope, nowMs + later, draw, 1)).not.toBe("fresh");
      }),
    );
    // With a computation of 100 ms: by e^-1 of the draws 100 ms before, by e^-5 500 ms before.
    expect(freshnessOf(envelope, 1_900, 1 - Math.exp(-1.01), 1)).toBe("early");
    expect(freshnessOf(envelope, 1_900, 1 - Math.exp(-0.99), 1)).toBe("fresh");
  });

  it("gives each invalidation a version above all before, even when clocks go back", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000), { minLength: 2 }), fc.boolean(), (times, serveStale) => {
        let held = envelope;
        for (const nowMs of times) {
          const next = invalidated(held, 0, nowMs, serveStale);
          expect(next.version).toBeGreaterThan(held.version);
          expect(freshnessOf(next, nowMs, 0, 0)).not.toBe("fresh");
          expect(supersedes(held, next, nowMs)).toBe(false);
          held = next;
        }
      }),
    );
  });

  it("keeps a later computation, unless it comes from a clock that runs ahead", () => {
    const later = { ...envelope, asOfMs: 1_500 };
    expect(supersedes(envelope, later, 2_000)).toBe(false);
    expect(supersedes(later, envelope, 2_000)).toBe(true);
    expect(supersedes(envelope, later, 1_000)).toBe(true);
  });

  it("remembers a failure with the value that was held, and none that an invalidation has overtaken", () => {
    const next = failed(envelope, "broken", 3_000, 2_100, 0)!;
    expect(next.value).toBe(value);
    expect([2_999, 3_000].map((ms) => failureOf(next, ms))).toEqual(["broken", undefined]);
    expect(failed(invalidated(envelope, 0, 2_000, false), "broken", 3_000, 2_100, 0)).toBeUndefined();
    expect(failed(undefined, "broken", 3_000, 2_100, 0)!.value).toBeUndefined();
  });

  it("is held until its hard expiry, and after an invalidation at least as long as an older computation may run", () => {
    expect(ttlOf(envelope, 1_000, 60_000)).toBe(6_000);
    expect(ttlOf(invalidated(envelope, 0, 2_000, false), 2_000, 60_000)).toBe(60_000);
    expect(ttlOf({ ...envelope, version: 2_000 }, 3_000, 60_000)).toBe(59_000);
  });

  it("spreads durations by a quarter to either side", () => {
    fc.assert(fc.property(draws, (draw) => jittered(100, draw) >= 75 && jittered(100, draw) <= 125));
  });
});
