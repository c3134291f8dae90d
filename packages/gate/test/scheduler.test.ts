import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GateEffect, GateEvent } from "../src/core/index.ts";
import { LocalSlots } from "../src/nodes/local-slots.ts";
import { EVENT_LOG_MIGRATIONS } from "../src/scheduler/event-log.ts";
import { HistoryReader } from "../src/scheduler/history-reader.ts";
import { Pace, SLICE_MS } from "../src/scheduler/pace.ts";
import { Scheduler } from "../src/scheduler/scheduler.ts";
import { GateDatabase } from "../src/store/database.ts";
import { change, DEPENDENT } from "./layouts.ts";

/* The shell around the core: what is told is on the disk before it is acted upon, and nothing is acted upon that is not. */

const silent = { debug() {}, info() {}, warn() {}, error() {} };

const enters = (number: number): GateEvent[] => [
  { kind: "change", change: change(number) },
  { kind: "offer", subject: `local:${number}`, pipelines: ["gate"] },
];

let folder: string;
let database: GateDatabase;
let acted: GateEffect[];
let lost: Error[];

const open = (act = (effect: GateEffect): void => void acted.push(effect)): Scheduler =>
  new Scheduler({
    database,
    log: silent,
    act,
    onStep: () => {},
    onLost: (error) => lost.push(error),
  });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-scheduler-"));
  database = new GateDatabase(join(folder, "gate.db"), EVENT_LOG_MIGRATIONS);
  [acted, lost] = [[], []];
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

test("much that is done at a pace lets others have their turn, in the order of asking", async () => {
  const pace = new Pace(2);
  const done: (number | string)[] = [];
  const all = Array.from({ length: 10 }, async (_, at) => {
    await pace.turn();
    const untilMs = performance.now() + 1;
    while (performance.now() < untilMs);
    done.push(at);
  });
  await turn();
  done.push("other");
  await Promise.all(all);
  expect(done.filter((one) => one !== "other")).toEqual(Array.from({ length: 10 }, (_, at) => at));
  expect(done.indexOf("other")).toBeLessThan(10);
});

describe("a scheduler", () => {
  /** Where its log does not lead to what it has written down and to what it has. */
  const differences = async (scheduler: Scheduler) => {
    const spans = await new HistoryReader(database.path).replay(() => scheduler.core.snapshot());
    return spans.map(({ difference }) => difference);
  };

  test("decides upon what was told in a turn together, once it is written", async () => {
    const scheduler = open();
    scheduler.tell({ kind: "configured", layout: DEPENDENT });
    for (const event of enters(1)) scheduler.tell(event);
    expect(acted).toEqual([]);
    await turn();
    expect(acted).toMatchObject([{ kind: "merge", chain: [{ change: "local:1" }] }]);
    expect(database.db.prepare("SELECT count(*) AS n FROM gate_events").get()).toEqual({ n: 1 });
  });

  test("is after a kill where it was, and asks again for what was not answered", async () => {
    const first = open();
    first.tellNow({ kind: "configured", layout: DEPENDENT });
    for (const event of [...enters(1), ...enters(2)]) first.tellNow(event);
    const before = JSON.stringify(first.status());
    // No close: it was killed.
    const second = open();
    expect(JSON.stringify(second.status())).toBe(before);
    const asked = acted.filter(({ kind }) => kind === "merge");
    acted.length = 0;
    second.resume();
    await turn();
    expect(acted).toEqual(asked);
  });

  test("goes on from a snapshot after an orderly end", () => {
    const first = open();
    first.tellNow({ kind: "configured", layout: DEPENDENT });
    for (const event of enters(1)) first.tellNow(event);
    const before = JSON.stringify(first.status());
    first.close();
    database.db.exec("DELETE FROM gate_events");
    expect(JSON.stringify(open().status())).toBe(before);
  });

  test("does nothing about what was not written after all", () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    expect(() =>
      database.transaction(() => {
        scheduler.append(enters(1));
        throw new Error("the push was refused");
      }),
    ).toThrow("the push was refused");
    expect(acted).toEqual([]);
    expect(scheduler.status().pipelines[0]?.queues).toEqual([]);
    scheduler.append(enters(2));
    expect(acted).toMatchObject([{ kind: "merge", chain: [{ change: "local:2" }] }]);
    expect(open().status()).toEqual(scheduler.status());
  });

  test("records a change of the database and what it means, both or neither", () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    database.db.exec("CREATE TABLE results (build INTEGER PRIMARY KEY) STRICT");
    const count = () => database.db.prepare("SELECT count(*) AS n FROM results").get();
    scheduler.record(() => database.db.exec("INSERT INTO results VALUES (1)"), enters(1));
    expect(count()).toEqual({ n: 1 });
    expect(acted).toHaveLength(1);
    scheduler.record(() => {
      database.db.exec("INSERT INTO results VALUES (2)");
      throw new Error("the disk is gone");
    }, enters(2));
    expect(count()).toEqual({ n: 1 });
    expect(acted).toHaveLength(1);
    expect(lost).toMatchObject([{ message: "the disk is gone" }]);
  });

  test("records what a turn changes in one transaction, in the order of asking, and says when it is there", async () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    database.db.exec("CREATE TABLE results (build INTEGER PRIMARY KEY) STRICT");
    const rows = () => database.db.prepare("SELECT build FROM results ORDER BY rowid").all();
    const order: number[] = [];
    const recorded = [1, 2].map((number) =>
      scheduler.recordSoon(() => {
        order.push(number);
        database.db.exec(`INSERT INTO results VALUES (${number})`);
      }, enters(number)),
    );
    expect(rows()).toEqual([]);
    expect(acted).toEqual([]);
    expect(await Promise.all(recorded)).toEqual([true, true]);
    expect(order).toEqual([1, 2]);
    expect(rows()).toEqual([{ build: 1 }, { build: 2 }]);
    expect(database.db.prepare("SELECT count(*) AS n FROM gate_events").get()).toEqual({ n: 2 });
    expect(acted).toMatchObject([{ kind: "merge" }, { kind: "merge" }]);
    const lastOne = scheduler.recordSoon(() => {
      throw new Error("the disk is gone");
    }, enters(3));
    const behind = scheduler.recordSoon(() => order.push(4));
    expect(await Promise.all([lastOne, behind])).toEqual([false, false]);
    expect(await scheduler.recordSoon(() => order.push(5))).toBe(false);
    expect(order).toEqual([1, 2]);
    expect(acted).toHaveLength(2);
    expect(lost).toMatchObject([{ message: "the disk is gone" }]);
  });

  test("decides upon what one transaction tells in the order of the log, whatever comes of the first of it", async () => {
    const scheduler: Scheduler = open((effect) => {
      acted.push(effect);
      if (effect.kind !== "merge" || effect.chain.length > 1) return;
      const result = { kind: "conflict", link: 0, detail: "in the way" } as const;
      scheduler.record(() => {}, [{ kind: "merged", buildset: effect.buildset, result }]);
    });
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    database.transaction(() => {
      scheduler.append(enters(1));
      scheduler.append(enters(2));
    });
    expect(acted.map(({ kind }) => kind)).toEqual(["merge", "merge", "report", "merge", "report"]);
    expect(await differences(scheduler)).toEqual([null]);
  });

  test("writes its state as a whole only when all of what is written is decided upon", async () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    const snapshots = () => database.db.prepare("SELECT seq FROM gate_snapshots").all() as { seq: number }[];
    for (let number = 1; snapshots().length === 0; number++)
      database.transaction(() => {
        const [known, offered] = enters(number);
        scheduler.append([known!]);
        scheduler.append([offered!, { kind: "dequeue", subject: `local:${number}`, pipeline: "gate" }]);
      });
    expect(await differences(scheduler)).toEqual([null, null]);
    expect(open().status()).toEqual(scheduler.status());
  });

  test("writes in pieces what would take long, each with what it means, and all of it at the end", async () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    const pieces = () => database.db.prepare("SELECT count(*) AS n FROM gate_events").get()!.n as number;
    const before = pieces();
    const slowly = () => {
      const untilMs = performance.now() + SLICE_MS;
      while (performance.now() < untilMs);
    };
    const first = scheduler.recordSoon(slowly, enters(1));
    const second = scheduler.recordSoon(slowly, enters(2));
    const third = scheduler.recordSoon(() => {}, enters(3));
    expect(await first).toBe(true);
    expect(pieces()).toBe(before + 1);
    scheduler.close();
    expect(await Promise.all([second, third])).toEqual([true, true]);
    expect(acted.filter(({ kind }) => kind === "merge")).toHaveLength(3);
  });

  test("on a full disk acts on nothing that is not written, says so once, and loses nothing that is", async () => {
    const scheduler = open();
    scheduler.tellNow({ kind: "configured", layout: DEPENDENT });
    for (const event of enters(1)) scheduler.tellNow(event);
    const { page_count } = database.db.prepare("PRAGMA page_count").get() as { page_count: number };
    database.db.exec(`PRAGMA max_page_count = ${page_count}`);
    acted.length = 0;
    for (let number = 2; number < 2_000 && lost.length === 0; number++) {
      acted.length = 0;
      for (const event of enters(number)) scheduler.tell(event);
      await turn();
    }
    expect(lost).toMatchObject([{ message: "database or disk is full" }]);
    expect(acted).toEqual([]);
    scheduler.tell({ kind: "pause", on: true });
    await turn();
    expect(lost).toHaveLength(1);
    database.db.exec("PRAGMA max_page_count = 1000000");
    expect(open().status()).toEqual(scheduler.status());
  });
});

describe("slots of this machine", () => {
  test("are given to the lowest rank, as it is when they are given, and to the older of two", () => {
    const ranks = new Map([[3, 0]]);
    const slots = new LocalSlots(1, (build) => ranks.get(build) ?? null);
    slots.request(9, 1, 5);
    expect(slots.grant()).toEqual([9]);
    slots.request(1, 1, 7);
    slots.request(2, 1, 7);
    slots.request(3, 1, 9);
    expect(slots.grant()).toEqual([]);
    slots.release(9);
    expect(slots.grant()).toEqual([3]);
    slots.release(3);
    expect(slots.grant()).toEqual([1]);
  });

  test("who is first in line is not passed over for one that wants less", () => {
    const slots = new LocalSlots(2);
    slots.request(1, 1, 0);
    slots.grant();
    slots.request(2, 2, 1);
    slots.request(3, 1, 2);
    expect(slots.grant()).toEqual([]);
    slots.release(1);
    expect(slots.grant()).toEqual([2]);
    expect(slots.used).toBe(2);
  });

  test("more than there are is refused; what ran before counts; giving back twice is once", () => {
    const slots = new LocalSlots(2);
    expect(slots.request(1, 3, 0)).toBe(false);
    slots.adopt(2, 1);
    slots.adopt(2, 1);
    expect(slots.used).toBe(1);
    slots.release(2);
    slots.release(2);
    expect(slots.used).toBe(0);
  });
});
