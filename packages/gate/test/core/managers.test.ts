import { describe, expect, it } from "vitest";
import type { PipelineRules, RefUpdate } from "../../src/core/index.ts";
import { CHECK, changeOf, jobOf, Told } from "./told.ts";

const SERIAL: PipelineRules = { ...CHECK, require: {}, name: "deploy", manager: "serial" };
const SUPERCEDENT: PipelineRules = { ...CHECK, require: {}, name: "post", manager: "supercedent" };

function updated(newCommit: string, { ref = "refs/heads/main", project = "P" } = {}): RefUpdate {
  const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
  const id = `ref:${project}:${ref}@${newCommit}`;
  return { kind: "ref", id, project, ref, branch, oldCommit: "0", newCommit };
}

/** Offers a ref update to the one pipeline. */
function move(told: Told, pipeline: string, ...refs: readonly RefUpdate[]): void {
  for (const subject of refs) told.tell({ kind: "offer", subject, pipelines: [pipeline] });
}

/** Has the one job of what was enqueued last run. @returns Its build. */
function run(told: Told): number {
  told.frozen(jobOf("J"));
  told.grant();
  return told.one("startBuild").build;
}

const commits = (told: Told, pipeline: string) =>
  told.items(pipeline).map(({ subject }) => (subject.kind === "ref" ? subject.newCommit : subject.id));

describe("a serial pipeline", () => {
  it("works on one item of a queue at a time, in order, and on every one", () => {
    const told = new Told({
      ...SERIAL,
      queues: new Map(["P", "Q"].map((p) => [p, { name: "all", perBranch: false }])),
    });
    move(told, "deploy", updated("1"));
    const first = run(told);
    move(told, "deploy", updated("2", { project: "Q" }), updated("3"));
    expect(told.asked("freeze")).toEqual([]);
    expect(told.items("deploy")[1]?.waiting).toEqual([
      "waits until ref:P:refs/heads/main@1 is done, which is ahead of it",
    ]);
    told.end(first);
    expect(told.one("report")).toMatchObject({ what: "success", subject: { newCommit: "1" } });
    const second = run(told);
    expect(commits(told, "deploy")).toEqual(["2", "3"]);
    told.end(second);
    told.end(run(told));
    expect(told.one("report")).toMatchObject({ what: "success", subject: { newCommit: "3" } });
    expect(told.items("deploy")).toEqual([]);
  });

  it("goes on with the next item after one that failed, which starts no sooner for that", () => {
    const told = new Told(SERIAL);
    move(told, "deploy", updated("1"));
    told.frozen(jobOf("J"), jobOf("K"));
    told.grant();
    const [j, k] = told.asked("startBuild").map(({ build }) => build);
    move(told, "deploy", updated("2"));
    told.end(j!, { kind: "final", result: "FAILURE" });
    expect(told.effects.map(({ kind }) => kind)).toEqual(["releaseNodes"]);
    told.end(k!);
    expect(told.one("report")).toMatchObject({ what: "failure", subject: { newCommit: "1" } });
    told.end(run(told));
    expect(told.one("report")).toMatchObject({ what: "success", subject: { newCommit: "2" } });
  });

  it("takes changes, merged ones too, without what they need", () => {
    const told = new Told(SERIAL);
    told.offer(changeOf("A"), "deploy");
    const needs = [{ source: "git", change: "A", revision: 1, problem: null }];
    told.offer(changeOf("B", { needs }), "deploy");
    told.offer(changeOf("C", { state: "merged" }), "deploy");
    expect(told.items("deploy").map(({ subject, live }) => [subject.id, live])).toEqual([
      ["A", true],
      ["B", true],
      ["C", true],
    ]);
  });

  it("runs a ref that came back to where it was again, unless nothing came between", () => {
    const told = new Told(SERIAL);
    move(told, "deploy", updated("1"), updated("1"), updated("2"), updated("1"));
    expect(commits(told, "deploy")).toEqual(["1", "2", "1"]);
  });

  it("is the same after a restart, and one at a time when two of its queues become one", () => {
    const told = new Told(SERIAL);
    move(told, "deploy", updated("1"));
    run(told);
    move(told, "deploy", updated("2", { project: "Q" }));
    run(told);
    move(told, "deploy", updated("3"));
    told.restart();
    expect(told.asked("startBuild")).toHaveLength(2);
    const queues = new Map(["P", "Q"].map((p) => [p, { name: "all", perBranch: false }]));
    told.configure([{ ...SERIAL, queues }]);
    expect(told.asked("cancelBuild")).toHaveLength(1);
    expect(told.items("deploy").map(({ active }) => active)).toEqual([true, false, false]);
    expect(commits(told, "deploy")).toEqual(["1", "2", "3"]);
  });
});

describe("a supercedent pipeline", () => {
  it("finishes the first item of a ref and keeps only the newest that waits", () => {
    const told = new Told(SUPERCEDENT);
    move(told, "post", updated("1"));
    const first = run(told);
    move(told, "post", updated("2"), updated("3"), updated("4"));
    expect(commits(told, "post")).toEqual(["1", "4"]);
    expect(told.core.explain("ref:P:refs/heads/main@3").at(-1)?.text).toBe(
      "left the pipeline: it was superseded by ref:P:refs/heads/main@4",
    );
    told.end(first);
    told.end(run(told));
    expect(told.one("report")).toMatchObject({ what: "success", subject: { newCommit: "4" } });
    expect(told.items("post")).toEqual([]);
  });

  it("has a queue for each branch and tag", () => {
    const told = new Told(SUPERCEDENT);
    for (const ref of ["refs/heads/main", "refs/heads/stable", "refs/tags/main"])
      move(told, "post", updated("1", { ref }));
    move(told, "post", updated("1", { project: "Q" }));
    expect(told.items("post").map(({ active, itemAhead }) => [active, itemAhead])).toEqual(
      Array(4).fill([true, null]),
    );
  });

  it("runs a branch once more that came back to where it was while it was worked on", () => {
    const told = new Told(SUPERCEDENT);
    move(told, "post", updated("1"));
    run(told);
    move(told, "post", updated("2"), updated("1"));
    expect(commits(told, "post")).toEqual(["1", "1"]);
  });

  it("treats changes of a branch as it does the branch", () => {
    const told = new Told(SUPERCEDENT);
    for (const id of ["A", "B", "C"]) told.offer(changeOf(id, { state: "merged" }), "post");
    expect(commits(told, "post")).toEqual(["A", "C"]);
    told.offer(changeOf("D", { state: "merged", branch: "stable" }), "post");
    expect(commits(told, "post")).toEqual(["A", "C", "D"]);
  });
});
