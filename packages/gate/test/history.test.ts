import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GateEvent } from "../src/core/index.ts";
import { EVENT_LOG_MIGRATIONS, KEPT_EVENTS_MS, MAX_KEPT_BATCHES } from "../src/scheduler/event-log.ts";
import { coreAt, firstDifference, replay } from "../src/scheduler/history.ts";
import { Scheduler } from "../src/scheduler/scheduler.ts";
import { GateDatabase } from "../src/store/database.ts";
import { change, DEPENDENT } from "./layouts.ts";

/* What the log of events tells of the past. */

const silent = { debug() {}, info() {}, warn() {}, error() {} };
let folder: string;
let database: GateDatabase;
let nowMs = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-history-"));
  database = new GateDatabase(join(folder, "gate.db"), EVENT_LOG_MIGRATIONS);
  nowMs = 1_000_000;
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

function open(): Scheduler {
  return new Scheduler({ database, log: silent, act() {}, onStep() {}, onLost() {}, nowMs: () => nowMs });
}

function told(scheduler: Scheduler, ...events: GateEvent[]): number {
  nowMs += 1_000;
  for (const event of events) scheduler.tellNow(event);
  return nowMs;
}

const enters = (number: number): GateEvent[] => [
  { kind: "change", change: change(number) },
  { kind: "offer", subject: `local:${number}`, pipelines: ["gate"] },
];

const namesAt = (atMs: number): string[] =>
  coreAt(database.db, atMs)
    .status()
    .pipelines.flatMap(({ queues }) => queues.flatMap(({ items }) => items.map(({ subject }) => subject.id)));

test("a state of the past is found again, before a snapshot, behind it, and before anything had happened", () => {
  const first = open();
  told(first, { kind: "configured", layout: DEPENDENT });
  const one = told(first, ...enters(1));
  first.close();
  const second = open();
  const two = told(second, ...enters(2));
  const third = told(second, { kind: "dequeue", subject: "local:1", pipeline: "gate" });
  expect(namesAt(one - 1)).toEqual([]);
  expect(namesAt(one)).toEqual(["local:1"]);
  expect(namesAt(two - 1)).toEqual(["local:1"]);
  expect(namesAt(two)).toEqual(["local:1", "local:2"]);
  expect(namesAt(third + 1_000_000)).toEqual(["local:2"]);
  expect(namesAt(5)).toEqual([]);
  expect(coreAt(database.db, two).explain("local:1")).toEqual(coreAt(database.db, one).explain("local:1"));
});

test("what is not kept any more is said to be gone, since when", () => {
  const at: number[] = [];
  for (let start = 0; start < 5; start++) {
    nowMs += KEPT_EVENTS_MS;
    const scheduler = open();
    if (start === 0) told(scheduler, { kind: "configured", layout: DEPENDENT });
    at.push(told(scheduler, ...enters(start + 1)));
    scheduler.close();
  }
  expect(() => coreAt(database.db, at[0]!)).toThrow(
    `HISTORY_GONE: what was told before ${new Date(at[2]!).toISOString().slice(0, 19).replace("T", " ")} is not kept any more`,
  );
  expect(namesAt(at[3]!)).toHaveLength(4);
});

test("all of the last days is kept, however often the gate was started, but no more than so many batches", () => {
  const at: number[] = [];
  for (let start = 0; start < 12; start++) {
    const scheduler = open();
    if (start === 0) told(scheduler, { kind: "configured", layout: DEPENDENT });
    at.push(told(scheduler, ...enters(start + 1)));
    scheduler.close();
  }
  expect(namesAt(at[1]!)).toEqual(["local:1", "local:2"]);
  // As if very much had happened since.
  database.db.exec(`UPDATE gate_events SET seq = seq + ${MAX_KEPT_BATCHES} WHERE seq > 20`);
  database.db.exec(`UPDATE gate_snapshots SET seq = seq + ${MAX_KEPT_BATCHES} WHERE seq > 20`);
  const scheduler = open();
  told(scheduler, ...enters(20));
  scheduler.close();
  expect(() => coreAt(database.db, at[1]!)).toThrow("HISTORY_GONE");
});

test("a replay gives each state that was written down, and that of the gate that runs", () => {
  const first = open();
  told(first, { kind: "configured", layout: DEPENDENT });
  told(first, ...enters(1));
  first.close();
  const second = open();
  told(second, ...enters(2));
  expect(replay(database.db, second.core.snapshot())).toMatchObject([
    { fromSeq: 0, toSeq: 3, comparedWith: "snapshot", difference: null },
    { fromSeq: 3, toSeq: 5, comparedWith: "running gate", difference: null },
  ]);
  expect(replay(database.db)).toMatchObject([
    { comparedWith: "snapshot", difference: null },
    { comparedWith: null, difference: null },
  ]);
});

test("a replay names the first place at which a state is not as it was written down", () => {
  const scheduler = open();
  told(scheduler, { kind: "configured", layout: DEPENDENT });
  told(scheduler, ...enters(1));
  scheduler.close();
  const { state } = database.db.prepare("SELECT state FROM gate_snapshots").get() as { state: string };
  const tampered = state.replace('"resets":0,"resetReason"', '"resets":7,"resetReason"');
  expect(tampered).not.toBe(state);
  database.db.prepare("UPDATE gate_snapshots SET state = ?").run(tampered);
  expect(replay(database.db)[0]!.difference).toEqual({
    path: ".queues[0].items[0].resets",
    recorded: "7",
    replayed: "0",
  });
  database.db.exec('UPDATE gate_events SET events = \'[{"kind":"configured"}]\' WHERE seq = 1');
  expect(() => replay(database.db)).toThrow("HISTORY_UNREADABLE: batch 1 of ");
});

test("differences are found at any depth, and the order of keys is none", () => {
  expect(firstDifference({ a: 1, b: [{ c: 2 }] }, { b: [{ c: 2 }], a: 1 })).toBeNull();
  expect(firstDifference({ a: [1, { b: null }] }, { a: [1, { b: 0 }] })).toEqual({
    path: ".a[1].b",
    recorded: "null",
    replayed: "0",
  });
  expect(firstDifference([1], [1, 2])).toEqual({ path: "[1]", recorded: undefined, replayed: "2" });
  expect(firstDifference(1, "1")).toEqual({ path: ".", recorded: "1", replayed: '"1"' });
});
