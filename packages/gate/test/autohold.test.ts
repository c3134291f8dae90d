import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UNKNOWN_MS } from "../src/autohold/autoholds.ts";
import {
  AUTOHOLD_MIGRATIONS,
  type Autohold,
  Autoholds,
  AutoholdTable,
  type HeldBuild,
  MAX_AUTOHOLDS,
} from "../src/autohold/index.ts";
import type { Change } from "../src/core/index.ts";
import type { BuildRow, FrozenBuildset } from "../src/scheduler/build-table.ts";
import { GateDatabase } from "../src/store/database.ts";

let folder: string;
let database: GateDatabase;
let table: AutoholdTable;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-autohold-"));
  database = new GateDatabase(join(folder, "gate.db"), AUTOHOLD_MIGRATIONS);
  table = new AutoholdTable(database);
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

const SUBJECT: Change = {
  ...{ kind: "change", id: "local:7", revision: 1, project: "app", branch: "stable/1", commit: "c" },
  ...{ state: "open", isApproved: true, needs: [] },
};

function add(fields: Partial<Autohold> = {}): Autohold {
  return table.add({
    ...{ project: "app", job: "unit", change: null, ref: null, reason: "why", askedBy: "root" },
    ...{ count: 1, holdMs: 1_000, madeMs: 1, ...fields },
  })!;
}

/** Holds a build for a request, on the executor `one`. */
function hold(build: number, { id }: Autohold, more: Partial<HeldBuild> = {}): boolean {
  return table.hold({
    ...{ execution: `execution ${build}`, executor: "one", autohold: id, build, buildset: 10 + build },
    ...{ sinceMs: 0, untilMs: 100, ...more },
  });
}

test("a request holds as many builds as it says, and is there until the last of them is let go", () => {
  const asked = add({ count: 2 });
  expect([hold(1, asked), hold(2, asked, { untilMs: 200 }), hold(3, asked)]).toEqual([true, true, false]);
  expect(table.forBuild("unit", SUBJECT)).toBeUndefined();
  expect(table.letGo()).toMatchObject([{ build: 3 }]);
  table.expire(100);
  expect(table.held()).toMatchObject([{ build: 2, buildset: 12, execution: "execution 2" }]);
  expect(table.list()).toMatchObject([{ id: asked.id, count: 0 }]);
  table.expire(200);
  expect(table.list()).toEqual([]);
});

test("an execution that several builds share counts once", () => {
  const asked = add({ count: 2 });
  const shared = { execution: "shared" };
  expect([hold(1, asked, shared), hold(2, asked, shared)]).toEqual([true, true]);
  expect(table.held()).toMatchObject([{ build: 1 }]);
  expect(table.list()).toMatchObject([{ count: 1 }]);
});

test("the most specific request that has something left counts", () => {
  add();
  const byRef = add({ ref: "stable/" });
  const byChange = add({ change: "local:7" });
  expect(table.forBuild("unit", SUBJECT)?.id).toBe(byChange.id);
  hold(1, byChange);
  expect(table.forBuild("unit", SUBJECT)?.id).toBe(byRef.id);
});

test("a request that is taken back has what was held for it let go", () => {
  const [one, other] = [add({ count: 5 }), add()];
  hold(1, one);
  hold(2, other);
  expect(table.remove(one.id)).toBe(true);
  expect(table.letGo()).toMatchObject([{ build: 1 }]);
  expect(table.held()).toMatchObject([{ build: 2 }]);
  expect(table.remove(one.id)).toBe(false);
});

test("there are at most so many requests", () => {
  database.transaction(() => {
    for (let n = 0; n < MAX_AUTOHOLDS; n++) add();
  });
  expect(add()).toBeUndefined();
});

describe("what an executor holds", () => {
  let nowMs: number;
  let autoholds: Autoholds;
  const row = { id: 1, job: "unit", subject: SUBJECT, buildset: 11, attempt: 1, endedMs: null };
  let rows: Record<number, object>;
  beforeEach(() => {
    nowMs = 1_000_000;
    rows = { 1: row };
    autoholds = new Autoholds({
      table,
      builds: {
        get: (id) => rows[id] as BuildRow | undefined,
        frozen: () => ({ jobs: { unit: { name: "unit", attempts: 2 } } }) as unknown as FrozenBuildset,
      },
      buildsNamed: (name) => [Number(name)],
      log: undefined as never,
      nowMs: () => nowMs,
    });
  });
  const there = (execution: string, sinceMs = 0) => ({ execution, sinceMs, untilMs: 2_000_000, bytes: 1 });
  const FAILED = { kind: "final", result: "FAILURE" } as const;

  test("is for whatever was asked when its build failed, and of preparations for the last", () => {
    expect(autoholds.holdMs("1", FAILED)).toBeNull();
    add({ holdMs: 5_000 });
    expect(autoholds.holdMs("1", FAILED)).toBe(5_000);
    expect(autoholds.holdMs("1", { kind: "final", result: "SUCCESS" })).toBeNull();
    expect(autoholds.holdMs("1", { kind: "retry", again: true })).toBeNull();
    rows = { 1: { ...row, attempt: 2 } };
    expect(autoholds.holdMs("1", { kind: "retry", again: true })).toBe(5_000);
    rows = { 1: { ...row, endedMs: 7 } };
    expect(autoholds.holdMs("1", FAILED)).toBeNull();
  });

  test("is let go when it was taken back, or when nobody has heard of it for long", () => {
    const asked = add({ holdMs: 500_000 });
    const held = { untilMs: 2_000_000, executor: "one" };
    autoholds.keep(row as never, { execution: "e", held } as never);
    expect(table.held()).toMatchObject([{ build: 1, executor: "one", untilMs: 1_500_000 }]);
    const all = [there("e"), there("new", nowMs - UNKNOWN_MS), there("old", nowMs - UNKNOWN_MS - 1)];
    expect(autoholds.compare("one", all)).toEqual(["old"]);
    table.remove(asked.id);
    expect(autoholds.compare("one", all)).toEqual(["e", "old"]);
  });

  test("is not known any more once it is gone there, unless it has come just now", () => {
    const asked = add({ count: 2 });
    hold(1, asked, { sinceMs: nowMs - 1_000, untilMs: 2_000_000 });
    hold(2, asked, { executor: "two", untilMs: 2_000_000 });
    autoholds.compare("one", []);
    expect(table.held()).toHaveLength(2);
    nowMs += 60_000;
    autoholds.compare("one", []);
    expect(table.held()).toMatchObject([{ build: 2 }]);
  });
});
