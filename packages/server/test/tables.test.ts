import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_FUNCTION_SETTINGS, Job, JobFunction } from "../src/core/index.ts";
import { JobList } from "../src/core/job.ts";
import { JobTable } from "../src/core/job-table.ts";
import { digestKey, shownUnique, UniqueTable } from "../src/core/uniques.ts";

const FUNCTIONS = [0, 1, 2].map((i) => new JobFunction(`f${i}`, DEFAULT_FUNCTION_SETTINGS));

function newJob(number: number, fn = FUNCTIONS[0]!, key = ""): Job {
  return new Job(fn, number, key, 1, false, 0);
}

describe("UniqueTable", () => {
  it("gives, for any changes, what a map by function and key gives", () => {
    const step = fc.record({
      what: fc.constantFrom("set", "delete"),
      fn: fc.nat(2),
      key: fc.constantFrom("a", "b"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const table = new UniqueTable();
        const naive = new Map<string, Job>();
        steps.forEach(({ what, fn, key }, i) => {
          const id = `${fn} ${key}`;
          const job = what === "set" ? newJob(i, FUNCTIONS[fn]!, key) : naive.get(id);
          if (what === "set") {
            table.set(job!);
            naive.set(id, job!);
          } else if (job !== undefined) {
            table.delete(job);
            naive.delete(id);
          }
          for (const name of ["a", "b"]) {
            const holders = FUNCTIONS.map((_, f) => naive.get(`${f} ${name}`));
            FUNCTIONS.forEach((each, f) => {
              expect(table.get(each, name)).toBe(holders[f]);
            });
            const some = holders.filter((holder) => holder !== undefined);
            const found = table.first(name);
            if (some.length === 0) expect(found).toBeUndefined();
            else expect(some).toContain(found);
          }
        });
      }),
    );
  });

  it("is not emptied by a job that its key no longer stands for", () => {
    const table = new UniqueTable();
    const [old, current] = [newJob(1, FUNCTIONS[0]!, "u"), newJob(2, FUNCTIONS[0]!, "u")];
    table.set(old);
    table.set(current);
    table.delete(old);
    expect(table.get(FUNCTIONS[0]!, "u")).toBe(current);
  });

  it("keeps keys of workloads apart from every unique, and shows them as -", () => {
    expect(digestKey("abc")).not.toBe("abc");
    expect(shownUnique(digestKey("abc"))).toBe("-");
    expect(shownUnique("abc")).toBe("abc");
  });
});

describe("JobTable", () => {
  it("holds jobs by number and lists them in the order of submission, for any that end", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4_000), { maxLength: 30 }), (ends) => {
        const table = new JobTable();
        const jobs = Array.from({ length: 2_500 }, (_, number) => newJob(number));
        for (const job of jobs) table.add(job);
        const ended = new Set(ends.filter((number) => number < jobs.length));
        for (const number of ended) table.delete(jobs[number]!);
        const left = jobs.filter((job) => !ended.has(job.number));
        expect(table.size).toBe(left.length);
        expect([...table.values()]).toEqual(left);
        for (const number of ends) expect(table.get(number)).toBeUndefined();
        expect(table.get(-1)).toBeUndefined();
      }),
      { numRuns: 20 },
    );
  });

  it("goes on beyond 2,147,483,648 jobs, and forgets pages that nobody is on", () => {
    const table = new JobTable();
    const early = newJob(5);
    table.add(early);
    for (const start of [2 ** 31 - 3, 2 ** 32 - 3, 2 ** 45]) {
      const jobs = [0, 1, 2, 3, 4, 5, 2_000].map((i) => newJob(start + i));
      for (const job of jobs) table.add(job);
      for (const job of jobs) expect(table.get(job.number)).toBe(job);
      expect([...table.values()]).toEqual([early, ...jobs]);
      for (const job of jobs) {
        table.delete(job);
        expect(table.get(job.number)).toBeUndefined();
      }
      expect(table.get(5)).toBe(early);
      expect(table.size).toBe(1);
    }
  });

  it("does not delete a job twice, nor another of its number", () => {
    const table = new JobTable();
    const job = newJob(7);
    table.add(job);
    table.delete(newJob(7));
    expect(table.get(7)).toBe(job);
    table.delete(job);
    table.delete(job);
    expect(table.size).toBe(0);
  });
});

describe("JobList", () => {
  it("keeps its order, for any appends, prepends and removals", () => {
    const step = fc.tuple(fc.constantFrom("append", "prepend", "remove"), fc.nat(20));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const list = new JobList();
        let naive: Job[] = [];
        steps.forEach(([what, at], i) => {
          if (what === "remove") {
            const job = naive[at % Math.max(1, naive.length)];
            if (job === undefined) return;
            list.remove(job);
            naive = naive.filter((other) => other !== job);
            expect([job.previous, job.next]).toEqual([null, null]);
          } else {
            const job = newJob(i);
            if (what === "append") list.append(job);
            else list.prepend(job);
            naive = what === "append" ? [...naive, job] : [job, ...naive];
          }
        });
        const forward: Job[] = [];
        for (let job = list.head; job !== null; job = job.next) forward.push(job);
        const backward: Job[] = [];
        for (let job = list.tail; job !== null; job = job.previous) backward.push(job);
        expect(forward).toEqual(naive);
        expect(backward.reverse()).toEqual(naive);
        expect(list.length).toBe(naive.length);
      }),
    );
  });
});
