import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { levelFor } from "../../src/plan/core/level.ts";
import { Load } from "../../src/plan/core/load.ts";
import { Order, type Request } from "../../src/plan/core/order.ts";
import { MAX_STRETCHES, Timeline } from "../../src/plan/core/timeline.ts";
import { Spread, Waiting } from "../../src/plan/core/waiting.ts";

/* The sums of `drover plan` against slow ones that follow the definitions word by word. */

const logs = fc
  .array(
    fc.record({
      unique: fc.constantFrom("a", "b", "c", "d"),
      atUs: fc.nat(60),
      durationUs: fc.oneof(fc.nat(20), fc.constant(0)),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((requests) => requests.sort((a, b) => a.atUs - b.atUs));

interface Run extends Request {
  size: number;
  beginUs: number;
  endUs: number;
}

/** Each instant looked at by itself, since all times are small whole numbers. */
function levels(
  runs: readonly { beginUs: number; endUs: number }[],
  fromUs: number,
  untilUs: number,
): number[] {
  const all: number[] = [];
  for (let us = fromUs; us < untilUs; us++) {
    all.push(runs.filter(({ beginUs, endUs }) => beginUs <= us && us < endUs).length);
  }
  return all;
}

function runsOf(requests: readonly Request[]): Run[] {
  const runs: Run[] = [];
  for (const request of requests) {
    const { unique, atUs, durationUs } = request;
    const running = runs.find((run) => run.unique === unique && run.beginUs <= atUs && atUs < run.endUs);
    if (running !== undefined) running.size++;
    else runs.push({ ...request, size: 1, beginUs: atUs, endUs: atUs + durationUs });
  }
  return runs;
}

const alone = (requests: readonly Request[]) =>
  requests.map(({ atUs, durationUs }) => ({ beginUs: atUs, endUs: atUs + durationUs }));

/** Workers that look at the queue at every instant. */
function simulate(requests: readonly Request[], workers: number, joining: boolean) {
  const runs: (Run & { started: boolean })[] = [];
  const asked: { request: Request; run: Run }[] = [];
  let peak = 0;
  const lastUs = Math.max(...requests.map(({ atUs }) => atUs));
  for (let us = 0; us <= lastUs || runs.some((run) => !run.started || run.endUs > us); us++) {
    const start = () => {
      for (const run of runs) {
        const busy = runs.filter((other) => other.started && other.endUs > us).length;
        if (run.started || busy >= workers) continue;
        Object.assign(run, { started: true, beginUs: us, endUs: us + run.durationUs });
      }
      peak = Math.max(peak, runs.filter((run) => run.started && run.endUs > us).length);
    };
    start();
    for (const request of requests.filter(({ atUs }) => atUs === us)) {
      const open = runs.find((run) => run.unique === request.unique && (!run.started || run.endUs > us));
      if (joining && open !== undefined) {
        asked.push({ request, run: open });
        continue;
      }
      const run = { ...request, size: 1, beginUs: -1, endUs: -1, started: false };
      runs.push(run);
      asked.push({ request, run });
      start();
    }
  }
  const waits = asked
    .map(({ request, run }) => Math.max(0, run.beginUs - request.atUs))
    .sort((a, b) => a - b);
  const at = (percent: number) => waits[Math.max(1, Math.ceil((waits.length * percent) / 100)) - 1];
  return { runs: runs.length, peak, waitUs: { p50: at(50), p99: at(99), max: waits.at(-1) } };
}

describe("load", () => {
  test("runs, peaks, times and herds are those of the definition", () => {
    fc.assert(
      fc.property(logs, (requests) => {
        const load = new Load(5);
        for (const request of requests) load.add(request);
        const report = load.end()!;
        const runs = runsOf(requests);
        expect([report.requests, report.runs]).toEqual([requests.length, runs.length]);
        for (const [level, expected] of [
          [report.alone, levels(alone(requests), report.beginUs, report.endUs)],
          [report.joined, levels(runs, report.beginUs, report.endUs)],
        ] as const) {
          expect(level.peak).toBe(Math.max(0, ...expected));
          if (level.peak > 0) expect(level.peakAtUs).toBe(report.beginUs + expected.indexOf(level.peak));
          expect(level.workUs).toBe(expected.reduce((sum, count) => sum + count, 0));
          expect(level.busyUs).toBe(expected.filter((count) => count > 0).length);
          expect(level.timeline.highest).toEqual(expected);
          for (const percent of [50, 90, 100]) {
            const sorted = [...expected].sort((a, b) => a - b);
            const place = Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1;
            expect(levelFor(level.timeAtUs, percent)).toBe(sorted[place] ?? 0);
          }
        }
        const largest = runs
          .filter(({ size }) => size > 1)
          .sort((a, b) => b.size - a.size || a.beginUs - b.beginUs || (a.unique < b.unique ? -1 : 1))
          .slice(0, 5);
        expect(report.herds.map(({ unique, size, beginUs }) => [unique, size, beginUs])).toEqual(
          largest.map(({ unique, size, beginUs }) => [unique, size, beginUs]),
        );
      }),
    );
  });

  test("a request at the end of a run begins the next one, and their load is one", () => {
    const load = new Load(5);
    load.add({ unique: "a", atUs: 0, durationUs: 10 });
    load.add({ unique: "a", atUs: 9, durationUs: 99 });
    load.add({ unique: "a", atUs: 10, durationUs: 10 });
    const report = load.end()!;
    expect([report.runs, report.joined.peak, report.alone.peak]).toEqual([2, 1, 2]);
    expect(report.herds).toMatchObject([{ unique: "a", size: 2, beginUs: 0, endUs: 10 }]);
  });

  test("nothing is no load", () => expect(new Load(5).end()).toBeUndefined());
});

describe("waiting", () => {
  test("is that of workers who take runs in order", () => {
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 4 }), fc.boolean(), (requests, workers, joining) => {
        const waiting = new Waiting(workers, joining);
        for (const request of requests) waiting.add(request);
        expect(waiting.report()).toMatchObject(simulate(requests, workers, joining));
      }),
    );
  });

  test("n_active = min(n_uniques, n_workers)", () => {
    fc.assert(
      fc.property(logs, fc.integer({ min: 1, max: 6 }), (requests, workers) => {
        const load = new Load(0);
        const waiting = new Waiting(workers, true);
        for (const request of requests) {
          load.add(request);
          waiting.add(request);
        }
        expect(waiting.report().peak).toBe(Math.min(load.end()!.joined.peak, workers));
      }),
    );
  });

  test("percentiles are exact below 2048 and a thousandth too high at most", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1e12), { minLength: 1 }), fc.nat(100), (values, percent) => {
        const spread = new Spread();
        for (const value of values) spread.add(value);
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1]!;
        const kept = spread.percentile(percent);
        expect(kept).toBeGreaterThanOrEqual(exact);
        expect(kept).toBeLessThanOrEqual(exact < 2048 ? exact : exact * 1.001);
      }),
    );
  });
});

describe("order", () => {
  test("requests within the tolerance come in order, equal ones as they came", () => {
    fc.assert(
      fc.property(logs, fc.nat(30), (requests, toleranceUs) => {
        // The order of their ends, as servers write them.
        const written = [...requests].sort((a, b) => a.atUs + a.durationUs - b.atUs - b.durationUs);
        const emitted: Request[] = [];
        const taken: Request[] = [];
        const order = new Order(toleranceUs, (request) => emitted.push(request));
        for (const request of written) {
          const newestUs = Math.max(...taken.map(({ atUs }) => atUs));
          const lateUs = order.add(request);
          if (lateUs === 0) taken.push(request);
          else expect(lateUs).toBe(newestUs - request.atUs);
          if (newestUs - request.atUs <= toleranceUs) expect(lateUs).toBe(0);
        }
        order.end();
        expect(emitted).toEqual(taken.sort((a, b) => a.atUs - b.atUs));
      }),
    );
  });

  test("holds what the tolerance asks for, and no more", () => {
    const order = new Order(10, () => {});
    for (let us = 0; us < 1000; us++) order.add({ unique: "a", atUs: us, durationUs: 1 });
    expect(order.size).toBe(11);
  });
});

test(`a timeline has at most ${MAX_STRETCHES} stretches, and none loses its highest level`, () => {
  const timeline = new Timeline(0);
  for (let us = 0; us < 10_000; us++) timeline.hold(us, us + 1, us === 7_777 ? 9 : us % 3);
  expect(timeline.stretchUs).toBe(16);
  expect(timeline.highest).toHaveLength(625);
  expect(timeline.highest.indexOf(9)).toBe(Math.floor(7_777 / 16));
  expect(timeline.highest.filter((level) => level === 2)).toHaveLength(624);
});
