import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AUTOHOLD_MIGRATIONS, type Autohold, AutoholdTable, MAX_AUTOHOLDS } from "../src/autohold/index.ts";
import type { Change } from "../src/core/index.ts";
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

test("a request holds as many builds as it says, and is there until the last of them is let go", () => {
  const asked = add({ count: 2 });
  const hold = (build: number, untilMs: number) =>
    table.hold(build, 10 + build, `execution ${build}`, asked, untilMs);
  expect([hold(1, 100), hold(2, 200), hold(3, 300)]).toEqual([true, true, false]);
  expect(table.forBuild("unit", SUBJECT)).toBeUndefined();
  expect(table.expire(100)).toMatchObject([{ build: 1, buildset: 11, execution: "execution 1" }]);
  expect(table.list()).toMatchObject([{ id: asked.id, count: 0 }]);
  expect(table.expire(200)).toMatchObject([{ build: 2 }]);
  expect(table.list()).toEqual([]);
});

test("the most specific request that has something left counts", () => {
  add();
  const byRef = add({ ref: "stable/" });
  const byChange = add({ change: "local:7" });
  expect(table.forBuild("unit", SUBJECT)?.id).toBe(byChange.id);
  table.hold(1, 1, "execution", byChange, 100);
  expect(table.forBuild("unit", SUBJECT)?.id).toBe(byRef.id);
});

test("a request that is taken back gives back what was held for it", () => {
  const [one, other] = [add({ count: 5 }), add()];
  table.hold(1, 1, "execution 1", one, 100);
  table.hold(2, 1, "execution 2", other, 100);
  expect(table.remove(one.id)).toMatchObject([{ build: 1 }]);
  expect(table.held()).toMatchObject([{ build: 2 }]);
  expect(table.remove(one.id)).toBeUndefined();
});

test("there are at most so many requests", () => {
  database.transaction(() => {
    for (let n = 0; n < MAX_AUTOHOLDS; n++) add();
  });
  expect(add()).toBeUndefined();
});
