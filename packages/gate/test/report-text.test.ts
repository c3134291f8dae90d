import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { REUSE_MIGRATIONS } from "../src/reuse/index.ts";
import { BUILD_MIGRATIONS, BuildTable, type FrozenBuildset } from "../src/scheduler/build-table.ts";
import { reportText } from "../src/scheduler/report-text.ts";
import { GateDatabase } from "../src/store/database.ts";
import { BASE, change, load } from "./config/memory-source.ts";

test("a job's own messages stand in place of its result, in a cycle those of the change that it ran for", async () => {
  const app = (more: string) =>
    `- job: {name: t, run: t, success-message: fine, ${more}}\n- project: {check: {jobs: [t]}}\n`;
  const { layout } = await load({
    config: { main: { "zuul.yaml": BASE } },
    app: { main: { "zuul.yaml": app("failure-message: see the wiki") } },
  });
  const result = layout.freeze("check", change("app"));
  if (result.kind !== "graph") throw new Error(JSON.stringify(result.problems));
  const one = result.jobs.get("t")!;
  const folder = mkdtempSync(join(tmpdir(), "drover-report-"));
  const database = new GateDatabase(join(folder, "gate.db"), [...BUILD_MIGRATIONS, ...REUSE_MIGRATIONS]);
  try {
    const builds = new BuildTable(database);
    const subject = (id: string) => ({ kind: "ref", id, project: "app", ref: "r", branch: null }) as const;
    const frozen: FrozenBuildset = {
      ...{ chain: [], repositories: {}, owners: { "t of 1": "c:1", "t of 2": "c:2" } },
      jobs: { "t of 1": one, "t of 2": { ...one, failureMessage: null } },
    };
    builds.freeze(1, "check", frozen, 0);
    const commits = { oldCommit: null, newCommit: null };
    for (const [id, of] of [
      [11, "c:1"],
      [12, "c:2"],
      [13, "c:1"],
    ] as const) {
      const row = { id, buildset: id === 13 ? 99 : 1, item: 1, pipeline: "check", job: "t", attempt: 1 };
      builds.begin({ ...row, subject: { ...subject(of), ...commits }, voting: true, startedMs: 0 }, null);
      builds.end(id, { result: "FAILURE", detail: null, outcome: null }, 1_000);
    }
    const said = (build: number | null, result: string): string =>
      reportText(
        {
          ...{ kind: "report", report: 1, pipeline: "check", what: "failure", reason: "", problems: [] },
          ...{ subject: { ...subject("c:1"), ...commits }, isDisabled: false },
          builds: [{ job: "t", build, result, voting: true }],
        } as never,
        { actions: [], message: "", footer: "" },
        (id) => builds.get(id),
        () => null,
        (row) => builds.definitionOf(row),
      );
    expect(said(11, "FAILURE")).toBe("- t see the wiki in 1 s");
    expect(said(12, "FAILURE")).toBe("- t FAILURE in 1 s");
    expect(said(12, "SUCCESS")).toBe("- t fine in 1 s");
    expect(said(11, "TIMED_OUT")).toBe("- t TIMED_OUT in 1 s");
    // Of a buildset that is forgotten, and of a build that never was.
    expect(said(13, "FAILURE")).toBe("- t FAILURE in 1 s");
    expect(said(null, "FAILURE")).toBe("- t FAILURE");
  } finally {
    database.close();
    rmSync(folder, { recursive: true });
  }
});
