import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextRound } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GateEvent } from "../src/core/index.ts";
import { EVENT_LOG_MIGRATIONS, KEPT_EVENTS_MS, MAX_KEPT_BATCHES } from "../src/scheduler/event-log.ts";
import { firstDifference } from "../src/scheduler/history.ts";
import { HistoryReader } from "../src/scheduler/history-reader.ts";
import { Scheduler } from "../src/scheduler/scheduler.ts";
import { GateDatabase } from "../src/store/database.ts";
import { change, DEPENDENT } from "./layouts.ts";

/* What the log of events tells of the past. */

const silent = { debug() {}, info() {}, warn() {}, error() {} };
let folder: string;
let database: GateDatabase;
let history: HistoryReader;
let nowMs = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-history-"));
  database = new GateDatabase(join(folder, "gate.db"), EVENT_LOG_MIGRATIONS);
  history = new HistoryReader(database.path);
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

async function namesAt(atMs: number): Promise<string[]> {
  const { pipelines } = (await history.coreAt(atMs)).status();
  return pipelines.flatMap(({ queues }) =>
    queues.flatMap(({ items }) => items.map(({ subject }) => subject.id)),
  );
}

test("a state of the past is found again, before a snapshot, behind it, and before anything had happened", async () => {
  const first = open();
  told(first, { kind: "configured", layout: DEPENDENT });
  const one = told(first, ...enters(1));
  first.close();
  const second = open();
  const two = told(second, ...enters(2));
  const third = told(second, { kind: "dequeue", subject: "local:1", pipeline: "gate" });
  expect(await namesAt(one - 1)).toEqual([]);
  expect(await namesAt(one)).toEqual(["local:1"]);
  expect(await namesAt(two - 1)).toEqual(["local:1"]);
  expect(await namesAt(two)).toEqual(["local:1", "local:2"]);
  expect(await namesAt(third + 1_000_000)).toEqual(["local:2"]);
  expect(await namesAt(5)).toEqual([]);
  const [then, before] = [await history.coreAt(two), await history.coreAt(one)];
  expect(then.explain("local:1")).toEqual(before.explain("local:1"));
});

test("what is not kept any more is said to be gone, since when", async () => {
  const at: number[] = [];
  for (let start = 0; start < 5; start++) {
    nowMs += KEPT_EVENTS_MS;
    const scheduler = open();
    if (start === 0) told(scheduler, { kind: "configured", layout: DEPENDENT });
    at.push(told(scheduler, ...enters(start + 1)));
    scheduler.close();
  }
  await expect(history.coreAt(at[0]!)).rejects.toThrow(
    `HISTORY_GONE: what was told before ${new Date(at[2]!).toISOString().slice(0, 19).replace("T", " ")} is not kept any more`,
  );
  expect(await namesAt(at[3]!)).toHaveLength(4);
});

test("all of the last days is kept, however often the gate was started, but no more than so many batches", async () => {
  const at: number[] = [];
  for (let start = 0; start < 12; start++) {
    const scheduler = open();
    if (start === 0) told(scheduler, { kind: "configured", layout: DEPENDENT });
    at.push(told(scheduler, ...enters(start + 1)));
    scheduler.close();
  }
  expect(await namesAt(at[1]!)).toEqual(["local:1", "local:2"]);
  // As if very much had happened since.
  database.db.exec(`UPDATE gate_events SET seq = seq + ${MAX_KEPT_BATCHES} WHERE seq > 20`);
  database.db.exec(`UPDATE gate_snapshots SET seq = seq + ${MAX_KEPT_BATCHES} WHERE seq > 20`);
  const scheduler = open();
  told(scheduler, ...enters(20));
  scheduler.close();
  await expect(history.coreAt(at[1]!)).rejects.toThrow("HISTORY_GONE");
});

test("a replay gives each state that was written down, and that of the gate that runs", async () => {
  const first = open();
  told(first, { kind: "configured", layout: DEPENDENT });
  told(first, ...enters(1));
  first.close();
  const second = open();
  told(second, ...enters(2));
  expect(await history.replay(() => second.core.snapshot())).toMatchObject([
    { fromSeq: 0, toSeq: 3, comparedWith: "snapshot", difference: null },
    { fromSeq: 3, toSeq: 5, comparedWith: "running gate", difference: null },
  ]);
  expect(await history.replay()).toMatchObject([
    { comparedWith: "snapshot", difference: null },
    { comparedWith: null, difference: null },
  ]);
});

test("a replay names the first place at which a state is not as it was written down", async () => {
  const scheduler = open();
  told(scheduler, { kind: "configured", layout: DEPENDENT });
  told(scheduler, ...enters(1));
  scheduler.close();
  const { state } = database.db.prepare("SELECT state FROM gate_snapshots").get() as { state: string };
  const tampered = state.replace('"resets":0,"resetReason"', '"resets":7,"resetReason"');
  expect(tampered).not.toBe(state);
  database.db.prepare("UPDATE gate_snapshots SET state = ?").run(tampered);
  expect((await history.replay())[0]!.difference).toEqual({
    path: ".queues[0].items[0].resets",
    recorded: "7",
    replayed: "0",
  });
  database.db.exec('UPDATE gate_events SET events = \'[{"kind":"configured"}]\' WHERE seq = 1');
  await expect(history.replay()).rejects.toThrow("HISTORY_UNREADABLE: batch 1 of ");
});

describe("a long log", () => {
  let scheduler: Scheduler;

  beforeEach(() => {
    scheduler = open();
    told(scheduler, { kind: "configured", layout: DEPENDENT }, ...enters(1));
    const at = database.db.prepare("SELECT max(seq) AS seq, max(at_ms) AS ms FROM gate_events").get() as {
      seq: number;
      ms: number;
    };
    const add = database.db.prepare("INSERT INTO gate_events (seq, at_ms, events) VALUES (?, ?, ?)");
    database.transaction(() => {
      for (let count = 1; count <= 15_000; count++) add.run(at.seq + count, at.ms + count, TICK);
    });
    nowMs = at.ms + 15_000;
    scheduler = open();
  });
  const TICK = JSON.stringify([{ kind: "tick" }]);
  /** Whether what is awaited was the last to be done. */
  const endsAfter = async (read: Promise<unknown>, others: () => void): Promise<boolean> => {
    let isRead = false;
    const reading = read.then(() => {
      isRead = true;
    });
    await nextRound();
    await nextRound();
    const isLater = !isRead;
    others();
    await reading;
    return isLater;
  };

  test("is replayed while the gate goes on, and compared with the state of when that began", async () => {
    const replayed = history.replay(() => scheduler.core.snapshot());
    expect(await endsAfter(replayed, () => told(scheduler, ...enters(2)))).toBe(true);
    expect(await replayed).toMatchObject([{ comparedWith: "running gate", difference: null, toSeq: 15_003 }]);
    const seen = history.coreAt(nowMs - 2_000);
    expect(await endsAfter(seen, () => told(scheduler, ...enters(3)))).toBe(true);
    const spans = await history.replay(() => scheduler.core.snapshot());
    expect(spans.map(({ difference }) => difference)).toEqual([null, null]);
  });

  test("is not replayed to the end when the gate ends", async () => {
    const [first, second] = [history.replay(), history.replay()].map((read) =>
      expect(read).rejects.toThrow("HISTORY_BUSY: the gate ends"),
    );
    await nextRound();
    await history.close();
    await Promise.all([first, second]);
    await expect(history.coreAt(nowMs)).rejects.toThrow("HISTORY_BUSY");
  });

  test("is replayed for one after the other, and not for any number of them", async () => {
    const reads = Array.from({ length: 18 }, () => history.coreAt(nowMs));
    const refused = reads.pop()!;
    await expect(refused).rejects.toThrow("HISTORY_BUSY: 17 others want to see the past");
    const cores = await Promise.all(reads);
    expect(new Set(cores.map((core) => core.status().pipelines.length))).toEqual(new Set([1]));
    expect(await namesAt(nowMs)).toEqual(["local:1"]);
  });
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
