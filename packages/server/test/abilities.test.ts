import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AbilitySets } from "../src/core/abilities.ts";
import { DEFAULT_FUNCTION_SETTINGS, Job, JobFunction, type Peer } from "../src/core/index.ts";

type Worker = Pick<Peer, "abilities">;

/** Only the abilities of a connection matter here. */
function newWorker(): Peer {
  const worker: Worker = { abilities: null };
  return worker as Peer;
}

function newFunctions(count: number): JobFunction[] {
  return Array.from({ length: count }, (_, i) => new JobFunction(`f${i}`, DEFAULT_FUNCTION_SETTINGS));
}

let jobs = 0;

function queueJob(fn: JobFunction, priority: 0 | 1 | 2 = 1): Job {
  const job = new Job(fn, jobs++, "", priority, false, 0);
  fn.enqueue(job, false);
  return job;
}

function register(sets: AbilitySets, worker: Peer, functions: readonly JobFunction[]): void {
  for (const fn of functions) sets.own(worker).add(fn);
}

describe("AbilitySets", () => {
  it("lets workers with equal abilities in equal order share one set", () => {
    const sets = new AbilitySets();
    const [f, g] = newFunctions(2) as [JobFunction, JobFunction];
    const [one, two, other] = [newWorker(), newWorker(), newWorker()];
    register(sets, one, [f, g]);
    register(sets, two, [f, g]);
    register(sets, other, [g, f]);
    expect(sets.settle(one)).toBe(sets.settle(two));
    expect(sets.settle(other)).not.toBe(sets.settle(one));
    expect(f.setCount).toBe(2);
  });

  it("gives a worker that changes a set of its own, and the others keep theirs", () => {
    const sets = new AbilitySets();
    const [f, g, h] = newFunctions(3) as [JobFunction, JobFunction, JobFunction];
    const [one, two] = [newWorker(), newWorker()];
    for (const worker of [one, two]) {
      register(sets, worker, [f, g]);
      sets.settle(worker);
    }
    sets.own(one).add(h);
    expect([...one.abilities!.places.keys()]).toEqual([f, g, h]);
    expect([...two.abilities!.places.keys()]).toEqual([f, g]);
    sets.own(one).remove(h);
    expect(sets.settle(one)).toBe(two.abilities);
  });

  it("forgets a set with its last worker", () => {
    const sets = new AbilitySets();
    const [f] = newFunctions(1) as [JobFunction];
    const [one, two] = [newWorker(), newWorker()];
    for (const worker of [one, two]) {
      register(sets, worker, [f]);
      sets.settle(worker);
    }
    sets.leave(one);
    expect(f.setCount).toBe(1);
    sets.leave(two);
    expect(f.setCount).toBe(0);
  });

  it("knows at all times which functions are ready and who offers what, for any changes", () => {
    const functions = newFunctions(6);
    const step = fc.record({
      what: fc.constantFrom("add", "remove", "settle", "leave", "queue", "grab"),
      worker: fc.nat(3),
      fn: fc.nat(5),
      priority: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const sets = new AbilitySets();
        const workers = [0, 1, 2, 3].map(newWorker);
        const offered = workers.map((): JobFunction[] => []);
        for (const { what, worker: index, fn: place, priority } of steps) {
          const worker = workers[index]!;
          const mine = offered[index]!;
          const fn = functions[place]!;
          if (what === "add" && !mine.includes(fn)) {
            sets.own(worker).add(fn);
            mine.push(fn);
          } else if (what === "remove" && mine.includes(fn)) {
            sets.own(worker).remove(fn);
            mine.splice(mine.indexOf(fn), 1);
          } else if (what === "settle") sets.settle(worker);
          else if (what === "leave") {
            sets.leave(worker);
            mine.length = 0;
          } else if (what === "queue") queueJob(fn, priority as 0 | 1 | 2);
          else if (what === "grab") {
            const ready = sets.settle(worker)?.nextReady() ?? null;
            const job = ready === null ? null : ready.next;
            const best = Math.min(...mine.map(mostUrgent));
            expect(job?.priority ?? Number.POSITIVE_INFINITY).toBe(best);
            if (ready !== null) expect(mine).toContain(ready);
            if (job !== null) ready!.dequeue(job);
          }
        }
        for (const [i, worker] of workers.entries()) {
          expect([...(worker.abilities?.places.keys() ?? [])]).toEqual(offered[i]);
        }
        // Leave no jobs for the next round.
        for (const fn of functions) {
          while (fn.queued > 0) fn.dequeue(fn.next);
          for (let i = 0; i < fn.setCount; i++) expect(fn.setAt(i).functions[fn.placeAt(i)]).toBe(fn);
        }
        for (const worker of workers) sets.leave(worker);
        expect(functions.every((fn) => fn.setCount === 0)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps the order of registration when many were withdrawn", () => {
    const sets = new AbilitySets();
    const functions = newFunctions(100);
    const worker = newWorker();
    register(sets, worker, functions);
    for (const fn of functions.slice(0, 90)) sets.own(worker).remove(fn);
    const left = functions.slice(90);
    expect([...worker.abilities!.places.keys()]).toEqual(left);
    expect(worker.abilities!.functions.length).toBeLessThan(50);
    for (const fn of left) queueJob(fn);
    expect(left.map(() => worker.abilities!.nextReady())).toEqual(left);
  });
});

function mostUrgent(fn: JobFunction): number {
  return fn.queued === 0 ? Number.POSITIVE_INFINITY : fn.next.priority;
}
