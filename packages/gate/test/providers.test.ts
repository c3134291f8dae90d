import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Subject } from "../src/core/index.ts";
import { BUILD_MIGRATIONS, BuildTable, type FrozenBuildset } from "../src/scheduler/build-table.ts";
import { providedArtifacts, providersOnRecord } from "../src/scheduler/providers.ts";
import { GateDatabase } from "../src/store/database.ts";

let folder: string;
let database: GateDatabase;
let builds: BuildTable;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-providers-"));
  database = new GateDatabase(join(folder, "gate.db"), BUILD_MIGRATIONS);
  builds = new BuildTable(database);
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function subject(revision: number): Subject {
  return {
    ...{ kind: "change", id: "local:7", revision, project: "app", branch: "main", commit: `c${revision}` },
    ...{ state: "open", isApproved: true, needs: [] },
  };
}

/** One buildset of which these jobs provide an image, and one other job that does not. */
function freeze(buildset: number, ...names: readonly string[]): void {
  const jobs = Object.fromEntries([
    ...names.map((name) => [name, { name, provides: ["image"] }]),
    ["other", { name: "other" }],
  ]);
  const frozen = { chain: [], jobs, repositories: {} } as unknown as FrozenBuildset;
  builds.freeze(buildset, "check", frozen, 1);
}

function run(id: number, buildset: number, job: string, result: string, revision = 1): void {
  const row = { id, buildset, item: 1, pipeline: "check", job, subject: subject(revision) };
  builds.begin({ ...row, voting: true, attempt: 1, startedMs: id }, null);
  builds.end(id, { result, detail: null, outcome: null }, id);
}

const find = (revision = 1) =>
  providersOnRecord(builds, { pipeline: "check", subjects: [{ id: "local:7", revision }] });

describe("what is on record of jobs that provide something", () => {
  test("is of the newest buildset of the revision in the pipeline, and of each job its newest build", () => {
    freeze(1, "make");
    run(1, 1, "make", "FAILURE");
    freeze(2, "make");
    run(2, 2, "make", "RETRY");
    run(3, 2, "make", "SUCCESS");
    run(4, 2, "other", "FAILURE");
    freeze(3, "make");
    run(5, 3, "make", "FAILURE", 2);
    const provides = ["image"];
    expect(find()).toEqual([{ job: "make", provides, build: 3, result: "SUCCESS" }]);
    expect(find(2)).toEqual([{ job: "make", provides, build: 5, result: "FAILURE" }]);
    expect(find(3)).toEqual([]);
  });

  test("says of a job that never ran that it did not", () => {
    freeze(1, "make", "never");
    run(1, 1, "make", "SUCCESS");
    expect(find()[1]).toEqual({ job: "never", provides: ["image"], build: null, result: null });
  });
});

test("a build is told whose artifacts it gets, of files and of what was returned", () => {
  const data = { artifacts: [{ name: "registry", url: "http://here" }] };
  const outcome = { artifacts: [{ name: "image.tar", bytes: 3, sha256: "ab" }], data };
  const row = { job: "make", subject: subject(2), outcome } as never;
  const of = { project: "app", change: "7", patchset: "2", job: "make" };
  expect(providedArtifacts([row])).toEqual([
    { ...of, name: "image.tar", sha256: "ab" },
    { ...of, name: "registry", url: "http://here" },
  ]);
});
