import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BuildOutcome } from "../src/executor/index.ts";
import { REUSE_MIGRATIONS, ReuseLedger } from "../src/reuse/index.ts";
import { BUILD_MIGRATIONS, BuildTable } from "../src/scheduler/build-table.ts";
import { GateDatabase } from "../src/store/database.ts";

const WEEK_MS = 7 * 86_400_000;
const OF = { project: "app", job: "unit" };
let folder: string;
let gone: Set<string>;
let database: GateDatabase;
let builds: BuildTable;
let ledger: ReuseLedger;

function open(): void {
  database = new GateDatabase(join(folder, "gate.db"), [...BUILD_MIGRATIONS, ...REUSE_MIGRATIONS]);
  builds = new BuildTable(database);
  ledger = new ReuseLedger(database, (execution) => !gone.has(execution));
}
beforeEach(() => {
  gone = new Set();
  folder = mkdtempSync(join(tmpdir(), "drover-ledger-"));
  open();
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function outcome(execution: string): BuildOutcome {
  return {
    ...{ execution, result: { kind: "final", result: "SUCCESS" }, detail: null, startedMs: 0, endedMs: 1 },
    ...{ steps: [], artifacts: [], outputBytes: 0 },
    data: {
      ...{ logUrl: null, artifacts: [], childJobs: null, warnings: [], comment: null, pause: false },
      ...{ fileComments: {}, retry: true, variables: { x: 1 } },
    },
  };
}

/** As the gate begins a build: its row, and how it has its execution. */
function begin(id: number, key: string, nowMs = id) {
  const subject = { kind: "ref", id: "r", project: "app", ref: "r", branch: null } as const;
  const row = { id, buildset: 1, item: 1, pipeline: "check", job: "unit", attempt: 1, voting: true };
  const request = { build: key, job: "unit", run: [{ argv: ["x"] }], project: "app", repositories: [] };
  builds.begin(
    { ...row, subject: { ...subject, oldCommit: null, newCommit: null }, startedMs: nowMs },
    request as never,
  );
  return ledger.begin(id, key, WEEK_MS, nowMs);
}

function end(id: number, result: string, execution: string | null, nowMs = id): void {
  const told = { result, detail: null, outcome: execution === null ? null : outcome(execution) };
  database.transaction(() => {
    builds.end(id, told, nowMs);
    ledger.record(id, OF, told, nowMs);
  });
}

test("a success is reused until it is too old, also by the next process", () => {
  expect(begin(1, "k")).toEqual({ key: "k", unique: "k.0", how: null, source: null });
  end(1, "SUCCESS", "e1");
  expect(begin(2, "k")).toMatchObject({ how: "reused", source: 1, unique: "k.0" });
  database.close();
  open();
  expect(begin(3, "k")).toMatchObject({ how: "reused", source: 1 });
  expect(ledger.ended({ unique: "k.0", how: null })?.outcome?.data.variables).toEqual({ x: 1 });
  expect(begin(4, "k", WEEK_MS + 2)).toMatchObject({ how: null });
  expect(begin(5, "other")).toMatchObject({ how: null });
});

test("a failure is not: each makes it another unique, and so does a lost executor", () => {
  begin(1, "k");
  end(1, "FAILURE", "e1");
  expect(begin(2, "k")).toMatchObject({ unique: "k.1", how: null });
  end(2, "LOST", null);
  expect(begin(3, "k")).toMatchObject({ unique: "k.2", how: null });
  expect(ledger.flakes()).toEqual([]);
});

test("an execution is counted once, however many builds have it and however often it is told", () => {
  begin(1, "k");
  expect(begin(2, "k")).toMatchObject({ unique: "k.0", how: "joined", source: 1 });
  expect(begin(3, "k")).toMatchObject({ how: "joined", source: 1 });
  end(2, "FAILURE", "e1");
  // The process ends before the others are told.
  database.close();
  open();
  expect(ledger.of(1)).toEqual({ key: "k", unique: "k.0", how: null, source: null });
  expect(ledger.ended({ unique: "k.0", how: null })).toMatchObject({
    execution: "e1",
    result: "FAILURE",
    build: 2,
  });
  end(1, "FAILURE", "e1");
  end(3, "FAILURE", "e1");
  expect(begin(4, "k")).toMatchObject({ unique: "k.1" });
  expect(ledger.counts()).toEqual({ executions: 1, reused: 0, joined: 2, flakes: 0 });
});

test("a build that was lost with others is one lost execution", () => {
  begin(1, "k");
  begin(2, "k");
  end(1, "LOST", null);
  end(2, "LOST", null);
  expect(begin(3, "k")).toMatchObject({ unique: "k.1" });
});

test("who joined stays joined when the first leaves, and what is held is found", () => {
  begin(1, "k");
  begin(2, "k");
  builds.end(1, { result: "CANCELED", detail: null, outcome: null }, 2);
  expect(begin(3, "k")).toMatchObject({ how: "joined", source: 2 });
  expect(ledger.runningOf("k")).toEqual([2, 3]);
  for (const id of [2, 3]) builds.end(id, { result: "CANCELED", detail: null, outcome: null }, 3);
  expect(ledger.begin(9, "k", WEEK_MS, 9)).toMatchObject({ how: null });
  expect(ledger.begin(9, "k", WEEK_MS, 9, (unique) => (unique === "k.0" ? 3 : null))).toMatchObject({
    how: "joined",
    source: 3,
  });
});

test("equal content with different results is a flake, listed with its executions, and forgotten with them", () => {
  begin(1, "k");
  end(1, "FAILURE", "e1");
  begin(2, "k");
  end(2, "SUCCESS", "e2");
  const [flake, ...more] = ledger.flakes({ job: "unit" });
  expect(more).toEqual([]);
  expect(flake).toMatchObject({ ...OF, key: "k", firstMs: 2, lastMs: 2 });
  expect(flake!.executions.map(({ result, build }) => [result, build])).toEqual([
    ["FAILURE", 1],
    ["SUCCESS", 2],
  ]);
  expect(ledger.flakes({ project: "other" })).toEqual([]);
  ledger.prune(3);
  expect(ledger.flakes()).toEqual([]);
  expect(ledger.counts().flakes).toBe(1);
  expect(begin(3, "k")).toMatchObject({ unique: "k.0", how: null });
});

test("what is reused is a success, though its unique was run again since and failed", () => {
  begin(1, "k");
  end(1, "SUCCESS", "e1");
  // Too old for this one.
  const late = WEEK_MS + 2;
  expect(begin(2, "k", late)).toMatchObject({ how: null, unique: "k.0" });
  end(2, "FAILURE", "e2", late);
  // For a job that takes older ones, as it says now.
  const sharing = ledger.find("k", 2 * WEEK_MS, late + 1);
  expect(sharing).toMatchObject({ how: "reused", source: 1, unique: "k.0" });
  expect(ledger.ended(sharing)).toMatchObject({ result: "SUCCESS", execution: "e1" });
});

test("a success whose artifacts are not kept any more is not reused; one that had none is", () => {
  const artifacts = [{ name: "app.tar", bytes: 1, sha256: "0" }];
  const withArtifacts = { ...outcome("e1"), artifacts };
  begin(1, "k");
  const told = { result: "SUCCESS", detail: null, outcome: withArtifacts };
  database.transaction(() => {
    builds.end(1, told, 1);
    ledger.record(1, OF, told, 1);
  });
  begin(2, "bare");
  end(2, "SUCCESS", "e2");
  expect(begin(3, "k")).toMatchObject({ how: "reused", source: 1 });
  for (const execution of ["e1", "e2"]) gone.add(execution);
  expect(begin(4, "bare")).toMatchObject({ how: "reused", source: 2 });
  expect(begin(5, "k")).toMatchObject({ how: null });
  end(5, "SUCCESS", "e5");
  expect(begin(6, "k")).toMatchObject({ how: "reused", source: 5 });
});
