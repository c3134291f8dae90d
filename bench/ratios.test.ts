import { describe, expect, test } from "vitest";
import { bestOf, isFarBehind, median, medianOf, pairedDifferences, pairedRatios } from "./ratios.ts";

describe("median", () => {
  test("is the middle one, or the mean of the two in the middle, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
  });

  test("of a series leaves out rounds without a figure", () => {
    expect(medianOf([null, 3, null, 5, 4])).toBe(4);
    expect(medianOf([null])).toBeUndefined();
    expect(medianOf(undefined)).toBeUndefined();
  });
});

describe("paired ratios", () => {
  test("compare within each round, so that a slow one does not count", () => {
    expect(pairedRatios([100, 10, 120], [50, 5, 60])).toEqual({ median: 2, min: 2, max: 2, rounds: 3 });
  });

  test("use only rounds that have both figures, and no peer of nothing", () => {
    expect(pairedRatios([10, null, 30, 40], [5, 5, null, 0])).toEqual({
      median: 2,
      min: 2,
      max: 2,
      rounds: 1,
    });
    expect(pairedRatios([1, null], [null, 1])).toBeUndefined();
  });

  test("have differences as their like", () => {
    expect(pairedDifferences([700, 900], [600, 500])).toEqual({ median: 250, min: 100, max: 400, rounds: 2 });
  });
});

describe("the best configuration", () => {
  test("is not one that only ran while the machine was fast", () => {
    expect(bestOf("ops_per_s", { one: [900, 800], other: [1000, 900, 100, 100, 100] })).toBe("other");
  });

  test("has the highest rate", () => {
    expect(bestOf("ops_per_s", { one: [90, 1, 100], other: [80, 80, 80] })).toBe("one");
  });

  test("has the least of everything else", () => {
    expect(bestOf("p99_us", { one: [90, 1, 100], other: [80, 80, 80] })).toBe("other");
  });

  test("is none that has no figure", () => {
    expect(bestOf("p99_us", { one: [null], other: [80] })).toBe("other");
    expect(bestOf("p99_us", {})).toBeUndefined();
  });
});

describe("far behind", () => {
  test("is who was worse by a fifth in every round", () => {
    expect(isFarBehind("ops_per_s", [50, 70], [100, 100], 2)).toBe(true);
    expect(isFarBehind("ops_per_s", [50, 90], [100, 100], 2)).toBe(false);
    expect(isFarBehind("p99_us", [200, 130], [100, 100], 2)).toBe(true);
    expect(isFarBehind("p99_us", [50, 50], [100, 100], 2)).toBe(false);
  });

  test("is nobody before there are enough rounds", () => {
    expect(isFarBehind("ops_per_s", [1], [100], 2)).toBe(false);
  });
});
