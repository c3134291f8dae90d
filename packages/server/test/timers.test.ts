import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fifo } from "../src/core/fifo.ts";
import { type Timer, TimerHeap } from "../src/core/timers.ts";

class NamedTimer implements Timer {
  atMs = 0;
  heapIndex = -1;
  order = 0;
  readonly name: number;

  constructor(name: number) {
    this.name = name;
  }
}

describe("TimerHeap", () => {
  it("gives timers in the order of their times, equal ones in the order they were added, whatever was moved or deleted", () => {
    const step = fc.record({
      what: fc.constantFrom("set", "set", "delete", "take"),
      name: fc.nat(15),
      atMs: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const heap = new TimerHeap<NamedTimer>();
        const timers = Array.from({ length: 16 }, (_, name) => new NamedTimer(name));
        const naive: { name: number; atMs: number; added: number }[] = [];
        let added = 0;
        const sort = () => naive.sort((a, b) => a.atMs - b.atMs || a.added - b.added);
        for (const { what, name, atMs } of steps) {
          const at = naive.findIndex((timer) => timer.name === name);
          if (what === "set") {
            heap.set(timers[name]!, atMs);
            if (at < 0) naive.push({ name, atMs, added: added++ });
            else naive[at]!.atMs = atMs;
          } else if (what === "delete") {
            heap.delete(timers[name]!);
            if (at >= 0) naive.splice(at, 1);
          } else {
            sort();
            const due = naive[0] !== undefined && naive[0].atMs <= atMs ? naive.shift() : undefined;
            expect(heap.takeDue(atMs)?.name).toBe(due?.name);
          }
          sort();
          expect(heap.size).toBe(naive.length);
          expect(heap.nextMs).toBe(naive[0]?.atMs ?? Number.POSITIVE_INFINITY);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("lets a timer be set again after it was taken", () => {
    const heap = new TimerHeap<NamedTimer>();
    const timer = new NamedTimer(1);
    heap.set(timer, 5);
    expect(heap.takeDue(4)).toBeUndefined();
    expect(heap.takeDue(5)).toBe(timer);
    heap.set(timer, 7);
    expect(heap.takeDue(7)).toBe(timer);
    expect(heap.takeDue(7)).toBeUndefined();
  });
});

describe("Fifo", () => {
  it("gives back in order what was put in, for any mix of both", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 600 }), (steps) => {
        const fifo = new Fifo<number>();
        const naive: number[] = [];
        steps.forEach((push, i) => {
          if (push) {
            fifo.push(i);
            naive.push(i);
          } else {
            expect(fifo.peek()).toBe(naive[0]);
            expect(fifo.shift()).toBe(naive.shift());
          }
          expect(fifo.length).toBe(naive.length);
        });
      }),
    );
  });
});
