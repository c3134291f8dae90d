import { PagePool, SharedPages } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DeadLetter, DeadLetters } from "../src/core/dead-letters.ts";
import { DEFAULT_FUNCTION_SETTINGS, JobFunction } from "../src/core/index.ts";
import { type LingeringResult, LingeringResults } from "../src/core/linger.ts";
import { Outcomes } from "../src/core/outcomes.ts";
import { WorkloadStore } from "../src/core/workload-store.ts";

/* What is kept for a while: results, outcomes, dead letters, workloads. */

const [F, G] = [
  new JobFunction("f", DEFAULT_FUNCTION_SETTINGS),
  new JobFunction("g", DEFAULT_FUNCTION_SETTINGS),
] as const;

describe("LingeringResults", () => {
  function result(number: number, key: string, bytes = 10, endsMs = 100, fn = F): LingeringResult {
    return { fn, key, number, packets: [], bytes, endsMs };
  }

  it("answers with the newest result of a function and key until its time is over", () => {
    const results = new LingeringResults(1_000);
    results.add(result(1, "u"));
    results.add(result(2, "u"));
    results.add(result(3, "u", 10, 100, G));
    expect(results.get(F, "u", 99)?.number).toBe(2);
    expect(results.get(G, "u", 99)?.number).toBe(3);
    expect(results.get(F, "u", 100)).toBeUndefined();
    expect(results.size).toBe(1);
  });

  it("gives up the oldest when all together are too large, and one that is too large by itself at once", () => {
    const results = new LingeringResults(30);
    for (const number of [1, 2, 3, 4]) results.add(result(number, `u${number}`));
    results.add(result(5, "large", 31));
    expect([1, 2, 3, 4].map((n) => results.get(F, `u${n}`, 0)?.number)).toEqual([undefined, 2, 3, 4]);
    expect(results.get(F, "large", 0)).toBeUndefined();
  });

  it("makes room by what ended, and counts a replaced one no longer", () => {
    const results = new LingeringResults(30);
    results.add(result(1, "a", 20, 50));
    results.add(result(2, "a", 20, 100));
    results.add(result(3, "b", 10, 100));
    expect(results.size).toBe(2);
    results.expire(100);
    expect(results.size).toBe(0);
    results.add(result(4, "c", 30));
    expect(results.get(F, "c", 0)?.number).toBe(4);
  });
});

describe("Outcomes", () => {
  const outcome = (number: number, key: string, endedMs = 0, fn = F) =>
    ({ fn, key, number, state: "done", endedMs }) as const;

  it("are found by number and, the newest, by function and key, while fresh", () => {
    const outcomes = new Outcomes({ outcomeMs: 100, maxOutcomes: 10 });
    outcomes.add(outcome(1, "u"));
    outcomes.add(outcome(2, "u", 50));
    expect(outcomes.ofNumber(1, 99)?.number).toBe(1);
    expect(outcomes.ofNumber(1, 100)).toBeUndefined();
    expect(outcomes.ofUnique(F, "u", 149)?.number).toBe(2);
    expect(outcomes.ofUnique(G, "u", 0)).toBeUndefined();
    expect(outcomes.ofUnique(F, "u", 150)).toBeUndefined();
  });

  it("of jobs without a unique are found by number only", () => {
    const outcomes = new Outcomes({ outcomeMs: 100, maxOutcomes: 10 });
    outcomes.add(outcome(1, ""));
    expect(outcomes.ofNumber(1, 0)?.number).toBe(1);
    expect(outcomes.ofUnique(F, "", 0)).toBeUndefined();
  });

  it("are kept up to a number, the newest of them", () => {
    const outcomes = new Outcomes({ outcomeMs: 100, maxOutcomes: 2 });
    for (const number of [1, 2, 3]) outcomes.add(outcome(number, `u${number}`));
    expect([1, 2, 3].map((n) => outcomes.ofNumber(n, 0)?.number)).toEqual([undefined, 2, 3]);
    expect(outcomes.ofUnique(F, "u1", 0)).toBeUndefined();
  });

  it("are not kept at all with a number of 0", () => {
    const outcomes = new Outcomes({ outcomeMs: 100, maxOutcomes: 0 });
    outcomes.add(outcome(1, "u"));
    expect(outcomes.size).toBe(0);
  });

  it("go when their time is over, and an older one does not take a newer one's key along", () => {
    const outcomes = new Outcomes({ outcomeMs: 100, maxOutcomes: 10 });
    outcomes.add(outcome(1, "u", 0));
    outcomes.add(outcome(2, "u", 50));
    outcomes.expire(100);
    expect(outcomes.size).toBe(1);
    expect(outcomes.ofUnique(F, "u", 100)?.number).toBe(2);
  });
});

describe("DeadLetters", () => {
  function letter(number: number, bytes = 10): DeadLetter {
    const rest = { fn: "f", key: "", priority: 1, reducer: "", reason: "", attempts: 1, diedMs: 0 } as const;
    return { ...rest, number, workload: new Uint8Array(bytes) };
  }

  it("stay within their count and their size, the oldest going first", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 20 }), (sizes) => {
        const letters = new DeadLetters({ maxDeadLetters: 4, deadLetterBytes: 50 });
        const naive: number[] = [];
        sizes.forEach((bytes, number) => {
          const evicted = letters.add(letter(number, bytes)).map((old) => old.number);
          naive.push(number);
          const size = () => naive.reduce((sum, each) => sum + sizes[each]!, 0);
          const expected: number[] = [];
          while (naive.length > 4 || size() > 50) expected.push(naive.shift()!);
          expect(evicted).toEqual(expected);
          expect([...letters.values()].map((each) => each.number)).toEqual(naive);
        });
      }),
    );
  });

  it("make room when one is deleted", () => {
    const letters = new DeadLetters({ maxDeadLetters: 9, deadLetterBytes: 20 });
    letters.add(letter(1));
    letters.add(letter(2));
    expect(letters.delete(1)).toBe(true);
    expect(letters.delete(1)).toBe(false);
    expect(letters.add(letter(3))).toEqual([]);
    expect(letters.get(2)?.number).toBe(2);
  });
});

describe("WorkloadStore", () => {
  it("keeps every workload as it was, whatever becomes of the bytes it was read from and of the others", () => {
    const size = fc.oneof(fc.nat(100), fc.constantFrom(16_384, 16_385, 20_000, 65_536));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 12 }), (sizes) => {
        const pool = new PagePool();
        const store = new WorkloadStore(pool);
        const kept = sizes.map((length, i) => {
          // Read from a chunk that is much larger, which the kept workload must not need.
          const chunk = new Uint8Array(2 * length + 100).fill(i + 1, 50, 50 + length);
          const place = { workload: new SharedPages([]), start: 0, end: 0 };
          store.keep(chunk, 50, 50 + length, place);
          chunk.fill(0xff);
          return { place, length, value: i + 1 };
        });
        for (const { place, length, value } of kept) {
          const workload = place.workload.copy(place.start, place.end);
          expect(workload.length).toBe(length);
          expect(workload.every((byte) => byte === value)).toBe(true);
          // What is free again may be taken by somebody who writes into it.
          pool.release(place.workload);
          pool.take().fill(0xee);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("uses a page again when the last job on it has ended", () => {
    const pool = new PagePool();
    const store = new WorkloadStore(pool);
    const keep = () => {
      const place = { workload: new SharedPages([]), start: 0, end: 0 };
      store.keep(new Uint8Array(10_000), 0, 10_000, place);
      return place.workload;
    };
    const kept = Array.from({ length: 7 }, keep);
    const [page] = kept;
    expect(kept.filter((each) => each === page)).toHaveLength(6);
    for (const each of kept.slice(0, 5)) pool.release(each);
    expect(pool.take()).not.toBe(page!.first);
    pool.release(page!);
    expect(pool.take()).toBe(page!.first);
  });
});
