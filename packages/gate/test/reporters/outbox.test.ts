import { afterEach, beforeEach, expect, test } from "vitest";
import { Outbox } from "../../src/reporters/index.ts";
import { letterOf, ReporterStage } from "./stage.ts";

let stage: ReporterStage;
let outbox: Outbox;

beforeEach(() => {
  stage = new ReporterStage();
  outbox = new Outbox(stage.database);
});
afterEach(() => stage.end());

const SECOND = 1_000;
const HOUR = 3_600_000;

test("a report is due at once, and gone when it was delivered", () => {
  outbox.add("mail", "local:12", letterOf("mail"), 100);
  expect(outbox.nextTimes()).toEqual(new Map([["mail", 100]]));
  const { id, letter } = outbox.due("mail", 100)!;
  expect(letter.body).toMatchObject({ id, connection: "mail", report: "success" });
  outbox.delivered(id);
  expect(outbox.due("mail", HOUR)).toBeUndefined();
  expect(outbox.list()).toEqual([]);
  expect(outbox.counts()).toEqual([{ connection: "mail", delivered: 1, givenUp: 0, waiting: 0 }]);
});

test("reports of a connection come in their order, each with an id of its own", () => {
  for (const subject of ["local:1", "local:2", "local:3"]) outbox.add("mail", subject, letterOf("mail"), 100);
  const ids: string[] = [];
  for (let next = outbox.due("mail", 100); next !== undefined; next = outbox.due("mail", 100)) {
    ids.push(next.id);
    outbox.delivered(next.id);
  }
  expect(new Set(ids).size).toBe(3);
});

test("what is not taken is tried again later and later, with the same id", () => {
  outbox.add("hook", "local:12", letterOf("hook"), 0);
  const { id } = outbox.due("hook", 0)!;
  let nowMs = 0;
  const waits: number[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    expect(outbox.failed(id, "it is away", nowMs)).toBeUndefined();
    const nextMs = outbox.nextTimes().get("hook")!;
    waits.push((nextMs - nowMs) / SECOND);
    expect(outbox.due("hook", nextMs - 1)).toBeUndefined();
    expect(outbox.due("hook", nextMs)).toMatchObject({ id, attempts: attempt + 1 });
    nowMs = nextMs;
  }
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
  expect(outbox.list()).toMatchObject([{ id, attempts: 10, problem: "it is away", givenUpMs: null }]);
});

test("a report is given up when the next attempt would be past maxReportAgeMs, and stays to be looked at", () => {
  outbox = new Outbox(stage.database, { maxReportAgeMs: 60 * SECOND });
  outbox.add("hook", "local:12", letterOf("hook"), 0);
  const { id } = outbox.due("hook", 0)!;
  expect(outbox.failed(id, "away", 50 * SECOND)).toBeUndefined();
  expect(outbox.failed(id, "still away", 55 * SECOND)).toMatchObject({ id, attempts: 2 });
  expect(outbox.nextTimes().size).toBe(0);
  expect(outbox.waiting()).toBe(0);
  expect(outbox.list()).toMatchObject([{ id, problem: "still away", givenUpMs: 55 * SECOND }]);
  expect(outbox.counts()).toEqual([{ connection: "hook", delivered: 0, givenUp: 1, waiting: 0 }]);
  expect(outbox.failed(id, "again", 56 * SECOND)).toBeUndefined();
  expect(outbox.counts()[0]?.givenUp).toBe(1);
});

test("beyond maxReports the oldest are given up for the newest", () => {
  outbox = new Outbox(stage.database, { maxReports: 2 });
  expect(outbox.add("hook", "local:1", letterOf("hook"), 0)).toEqual([]);
  expect(outbox.add("hook", "local:2", letterOf("hook"), 0)).toEqual([]);
  const [gone] = outbox.add("hook", "local:3", letterOf("hook"), 0);
  expect(gone).toMatchObject({ subject: "local:1", problem: expect.stringContaining("limit maxReports") });
  expect(outbox.waiting()).toBe(2);
});

test("of those that were given up the newest maxGivenUp are kept", () => {
  outbox = new Outbox(stage.database, { maxReports: 1, maxGivenUp: 2 });
  for (let n = 1; n <= 5; n++) outbox.add("hook", `local:${n}`, letterOf("hook"), n);
  expect(outbox.list().map(({ subject }) => subject)).toEqual(["local:5", "local:4", "local:3"]);
  expect(outbox.counts()).toMatchObject([{ givenUp: 4, waiting: 1 }]);
});

test("a report is there exactly when the transaction is that wrote it", () => {
  const write = (): void =>
    stage.database.transaction(() => {
      outbox.add("hook", "local:1", letterOf("hook"), 0);
      throw new Error("no room");
    });
  expect(write).toThrow("no room");
  expect(outbox.waiting()).toBe(0);
});

test("what was written is there for the next process, and its attempts count on", () => {
  outbox.add("hook", "local:1", letterOf("hook"), 0);
  const { id } = outbox.due("hook", 0)!;
  outbox.failed(id, "away", 0);
  stage.database.close();
  outbox = new Outbox(stage.open());
  expect(outbox.due("hook", HOUR)).toMatchObject({ id, attempts: 1 });
});

test("the reports of one change can be asked for", () => {
  outbox.add("hook", "local:1", letterOf("hook"), 0);
  outbox.add("hook", "local:2", letterOf("hook"), 0);
  expect(outbox.list({ subject: "local:1" })).toHaveLength(1);
  expect(outbox.list({ limit: 1 }).map(({ subject }) => subject)).toEqual(["local:2"]);
});
