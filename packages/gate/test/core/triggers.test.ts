import { describe, expect, it } from "vitest";
import type { Change, GateEvent, PipelineRules, RefUpdate } from "../../src/core/index.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

const names = (told: Told, pipeline: string): string[] =>
  told.items(pipeline).map(({ subject, live }) => (live ? subject.id : `(${subject.id})`));
const needs = (...changes: readonly string[]) =>
  changes.map((change) => ({ source: change, change, revision: null, problem: null }));

describe("what happens in the gate starts pipelines", () => {
  const again: PipelineRules = {
    ...{ ...CHECK, name: "again", ignoreDependencies: true, require: { open: true, approved: false } },
    triggers: { parentEnqueued: ["gate"], projectMerged: false },
  };

  it("offers those that need a change when it enters a pipeline that was named", () => {
    const told = new Told(GATE, CHECK, again);
    for (const id of ["A", "B", "C", "D"])
      told.tell({
        kind: "change",
        change: changeOf(id, { isApproved: id !== "B", needs: id === "A" ? [] : needs("A") }),
      });
    told.tell({ kind: "change", change: changeOf("C", { state: "abandoned" }) });
    told.tell({ kind: "offer", subject: "A", pipelines: ["check"] });
    expect(names(told, "again")).toEqual([]);
    told.tell({ kind: "offer", subject: "A", pipelines: ["gate"] });
    // D is approved, and follows A into the gate; B is checked anew.
    expect(names(told, "gate")).toEqual(["A", "D"]);
    expect(names(told, "again")).toEqual(["B"]);
  });

  it("does not offer those that come to need a change after it has entered, even if that is told at once", () => {
    const told = new Told(GATE, again);
    const tell = (id: string, fields: Partial<Change>): GateEvent => {
      return { kind: "change", change: changeOf(id, { isApproved: false, ...fields }) };
    };
    told.tell(tell("B", {}), tell("C", {}));
    const offer: GateEvent = { kind: "offer", subject: "A", pipelines: ["gate"] };
    const [before, after] = ["B", "C"].map((id) => tell(id, { needs: needs("A") }));
    told.tell(tell("A", { isApproved: true }), before!, offer, after!);
    expect(names(told, "again")).toEqual(["B"]);
  });

  it("offers all open changes of a project when one of it has merged", () => {
    const merging: PipelineRules = {
      ...{ ...CHECK, name: "merge-check" },
      triggers: { parentEnqueued: null, projectMerged: true },
    };
    const told = new Told(GATE, merging);
    for (const id of ["B", "C"]) told.tell({ kind: "change", change: changeOf(id) });
    told.tell({ kind: "change", change: changeOf("E", { project: "Q" }) });
    told.end(told.run(changeOf("A")));
    const { buildset } = told.one("land");
    told.tell({ kind: "landed", buildset, refused: null });
    expect(names(told, "merge-check")).toEqual(["B", "C"]);
    // B does not merge any more; C does, and nobody is told.
    const [b, c] = told.asked("merge").map((effect) => effect.buildset);
    told.tell({ kind: "merged", buildset: b!, result: { kind: "conflict", link: 0, detail: "file" } });
    expect(told.one("report")).toMatchObject({ what: "merge-conflict", subject: { id: "B" } });
    const steps = [{ base: "1", commit: "2" }];
    told.tell({ kind: "merged", buildset: c!, result: { kind: "merged", steps } });
    told.frozen(jobOf("noop", { isNoop: true }));
    expect(names(told, "merge-check")).toEqual([]);
  });
});

describe("pipelines that supersede each other, and that parents start", () => {
  it("do not offer the changes of a cycle to each other for ever", () => {
    const triggers = { parentEnqueued: [], projectMerged: false };
    const queues = new Map([["P", { name: "one", perBranch: false, allowsCycles: true }]]);
    const one = { ...CHECK, name: "one", ignoreDependencies: true, supercedes: ["two"], triggers, queues };
    const told = new Told(one, { ...one, name: "two", supercedes: ["one"] });
    told.tell({ kind: "change", change: changeOf("A", { needs: needs("B") }) });
    told.tell({ kind: "change", change: changeOf("B", { needs: needs("A") }) });
    told.tell({ kind: "offer", subject: "A", pipelines: ["one"] });
    expect([...names(told, "one"), ...names(told, "two")].sort()).toEqual(["A", "B"]);
  });
});

describe("a branch as it is, for which the clock asks", () => {
  const standing: RefUpdate = {
    ...{ kind: "ref", id: "ref:P:refs/heads/main", project: "P", ref: "refs/heads/main", branch: "main" },
    ...{ oldCommit: null, newCommit: null },
  };

  it.each(["independent", "serial", "supercedent"] as const)("is in a %s pipeline once", (manager) => {
    const told = new Told({ ...CHECK, require: {}, manager });
    const offer = (subject: RefUpdate) => told.tell({ kind: "offer", subject, pipelines: ["check"] });
    offer(standing);
    offer(standing);
    offer({ ...standing, id: `${standing.id}@1`, newCommit: "1" });
    offer(standing);
    expect(names(told, "check")).toEqual([standing.id, `${standing.id}@1`]);
    told.tell({ kind: "dequeue", subject: standing.id, pipeline: "check" });
    offer(standing);
    expect(names(told, "check")).toEqual([`${standing.id}@1`, standing.id]);
  });

  it("51: does not care for changes that are abandoned", () => {
    const told = new Told({ ...CHECK, require: {} });
    told.offer(changeOf("A"), "check");
    told.tell({ kind: "offer", subject: standing, pipelines: ["check"] });
    told.tell({ kind: "change", change: changeOf("A", { state: "abandoned" }) });
    expect(names(told, "check")).toEqual([standing.id]);
  });
});

describe("a pipeline that fails again and again", () => {
  const rules: PipelineRules = { ...CHECK, disableAfter: 3 };

  function runs(told: Told, id: string, result: "SUCCESS" | "FAILURE"): boolean {
    told.offer(changeOf(id), "check");
    told.freeze(jobOf("J"));
    told.grant();
    told.end(told.one("startBuild").build, { kind: "final", result });
    return told.one("report").isDisabled ?? false;
  }

  it("60: tells its third failure in a row as ever, and then reports elsewhere until it is configured again", () => {
    const told = new Told(rules);
    expect(runs(told, "A", "FAILURE")).toBe(false);
    expect(runs(told, "B", "FAILURE")).toBe(false);
    expect(runs(told, "C", "SUCCESS")).toBe(false);
    for (const id of ["D", "E", "F"]) expect(runs(told, id, "FAILURE")).toBe(false);
    expect(told.core.status().pipelines[0]?.isDisabled).toBe(true);
    expect(runs(told, "G", "FAILURE")).toBe(true);
    told.restart();
    told.configure([rules], ["P"], {}, true);
    expect(runs(told, "H", "SUCCESS")).toBe(true);
    told.configure([rules]);
    expect(runs(told, "I", "FAILURE")).toBe(false);
  });

  it("goes on for ever where nothing is said", () => {
    const told = new Told(CHECK);
    for (const id of ["A", "B", "C", "D", "E"]) expect(runs(told, id, "FAILURE")).toBe(false);
  });
});
