import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReadyRing } from "../src/core/ready-ring.ts";

/** The same by a sorted list and a cursor. */
class NaiveRing {
  readonly members = new Set<number>();
  cursor = 0;

  peek(): number {
    const sorted = [...this.members].sort((a, b) => a - b);
    return sorted.find((member) => member >= this.cursor) ?? sorted[0] ?? -1;
  }

  next(): number {
    const found = this.peek();
    if (found >= 0) this.cursor = found + 1;
    return found;
  }
}

/** Members near each other, and at the edges of words and levels. */
const member = fc.oneof(
  fc.nat(40),
  fc.constantFrom(31, 32, 33, 1023, 1024, 1025, 32_767, 32_768, 32_769, 1_000_000),
);

describe("ReadyRing", () => {
  it("gives, for any adds, deletes and turns, what a sorted list with a cursor gives", () => {
    const step = fc.oneof(
      fc.tuple(fc.constant("add" as const), member),
      fc.tuple(fc.constant("delete" as const), member),
      fc.tuple(fc.constant("next" as const), fc.constant(0)),
      fc.tuple(fc.constant("peek" as const), fc.constant(0)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const ring = new ReadyRing();
        const naive = new NaiveRing();
        for (const [what, number] of steps) {
          if (what === "add") {
            ring.add(number);
            naive.members.add(number);
          } else if (what === "delete") {
            ring.delete(number);
            naive.members.delete(number);
          } else if (what === "next") expect(ring.next()).toBe(naive.next());
          else expect(ring.peek()).toBe(naive.peek());
          expect(ring.isEmpty).toBe(naive.members.size === 0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("hands out every member once before any comes again", () => {
    fc.assert(
      fc.property(fc.uniqueArray(member, { minLength: 1, maxLength: 30 }), fc.nat(50), (members, skipped) => {
        const ring = new ReadyRing();
        for (const number of members) ring.add(number);
        for (let i = 0; i < skipped; i++) ring.next();
        const round = members.map(() => ring.next());
        expect(new Set(round)).toEqual(new Set(members));
      }),
    );
  });

  it("forgets its members when cleared, and takes new ones", () => {
    const ring = new ReadyRing();
    for (const number of [1, 40, 2_000]) ring.add(number);
    ring.clear();
    expect(ring.next()).toBe(-1);
    ring.add(2_000);
    expect(ring.next()).toBe(2_000);
  });

  it("does not mind deleting what it never held", () => {
    const ring = new ReadyRing();
    ring.delete(1_000_000);
    ring.add(3);
    ring.delete(4);
    expect(ring.next()).toBe(3);
  });
});
