import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReadyQueue } from "../src/core/ready-queue.ts";

/** The same by a list in which the deleted stay, unless they are the last. */
class NaiveQueue {
  readonly members = new Set<number>();
  line: number[] = [];

  add(member: number): void {
    this.members.add(member);
    if (!this.line.includes(member)) this.line.push(member);
  }

  delete(member: number): void {
    if (this.members.delete(member) && this.line.at(-1) === member) this.line.pop();
  }

  peek(): number {
    while (this.line.length > 0 && !this.members.has(this.line[0]!)) this.line.shift();
    return this.line[0] ?? -1;
  }

  next(): number {
    const found = this.peek();
    if (found >= 0) this.line.push(this.line.shift()!);
    return found;
  }
}

const member = fc.oneof(fc.nat(40), fc.constantFrom(1023, 1024, 1_000_000));

describe("ReadyQueue", () => {
  it("gives, for any adds, deletes and turns, what a list gives", () => {
    const step = fc.oneof(
      fc.tuple(fc.constant("add" as const), member),
      fc.tuple(fc.constant("delete" as const), member),
      fc.tuple(fc.constant("next" as const), fc.constant(0)),
      fc.tuple(fc.constant("peek" as const), fc.constant(0)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new ReadyQueue();
        const naive = new NaiveQueue();
        for (const [what, number] of steps) {
          if (what === "add") {
            queue.add(number);
            naive.add(number);
          } else if (what === "delete") {
            queue.delete(number);
            naive.delete(number);
          } else if (what === "next") expect(queue.next()).toBe(naive.next());
          else expect(queue.peek()).toBe(naive.peek());
          expect(queue.isEmpty).toBe(naive.members.size === 0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("hands out every member once before any comes again", () => {
    fc.assert(
      fc.property(fc.uniqueArray(member, { minLength: 1, maxLength: 30 }), fc.nat(50), (members, skipped) => {
        const queue = new ReadyQueue();
        for (const number of members) queue.add(number);
        for (let i = 0; i < skipped; i++) queue.next();
        const round = members.map(() => queue.next());
        expect(new Set(round)).toEqual(new Set(members));
      }),
    );
  });

  it("puts one that comes back after its turn behind those that waited", () => {
    const queue = new ReadyQueue();
    queue.add(1);
    expect(queue.next()).toBe(1);
    queue.delete(1);
    queue.add(2);
    queue.add(1);
    expect([queue.next(), queue.next()]).toEqual([2, 1]);
  });

  it("does not grow with members that come and go", () => {
    const queue = new ReadyQueue();
    queue.add(0);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 1_000_000; i++) {
      queue.add(1);
      queue.add(2);
      queue.delete(1);
      queue.delete(2);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000);
    expect(queue.next()).toBe(0);
  });

  it("forgets its members when cleared, and takes new ones", () => {
    const queue = new ReadyQueue();
    for (const number of [1, 40, 2_000]) queue.add(number);
    queue.clear();
    expect(queue.next()).toBe(-1);
    queue.add(2_000);
    expect(queue.next()).toBe(2_000);
  });

  it("does not mind deleting what it never held", () => {
    const queue = new ReadyQueue();
    queue.delete(1_000_000);
    queue.add(3);
    queue.delete(4);
    expect(queue.next()).toBe(3);
  });
});
