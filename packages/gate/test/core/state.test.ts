import { describe, expect, it } from "vitest";
import { Decisions } from "../../src/core/decisions.ts";
import { GateCore, MAX_CLOSED_CHANGES, MAX_DECISIONS, MAX_EXPLAINED } from "../../src/core/index.ts";
import { KnownChanges } from "../../src/core/known-changes.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

describe("a restart", () => {
  it("asks again for every merge, freeze, node, build, report and landing that was not answered", () => {
    const told = new Told({ ...GATE, window: { ...GATE.window, size: 0 } });
    const a = told.run(changeOf("A"));
    told.run(changeOf("B"));
    told.offer(changeOf("C"));
    told.freeze(jobOf("J"));
    told.offer(changeOf("D"));
    const { buildset, chain } = told.one("merge");
    const steps = chain.map(() => ({ base: "b", commit: "c" }));
    told.tell({ kind: "merged", buildset, result: { kind: "merged", steps } });
    told.offer(changeOf("E"));
    told.end(a);
    told.restart();
    const kinds = told.effects.map(({ kind }) => kind).sort();
    const starts = ["report", "report", "report"];
    expect(kinds).toEqual(["freeze", "land", "merge", ...starts, "requestNodes", "startBuild"]);
  });

  it("keeps its hands off a snapshot of another version", () => {
    const snapshot = { ...new GateCore().snapshot(), version: 2 as 1 };
    expect(() => GateCore.restore(snapshot)).toThrow("version 2");
  });
});

describe("a reconfiguration", () => {
  it("keeps builds of jobs that are still there, cancels those that are not, and runs new ones", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze(jobOf("stays"), jobOf("goes"), jobOf("failed"));
    told.grant();
    const [stays, goes, failed] = told.asked("startBuild");
    told.end(failed!.build, { kind: "final", result: "FAILURE" });
    told.configure([GATE]);
    told.frozen(jobOf("stays"), jobOf("new"));
    expect(told.asked("cancelBuild")).toEqual([{ kind: "cancelBuild", build: goes!.build }]);
    expect(told.asked("requestNodes")).toHaveLength(1);
    expect(told.items()[0]).toMatchObject({ failing: null, resets: 0 });
    const [job] = told.items()[0]!.jobs;
    expect(job).toMatchObject({ name: "stays", state: "running", build: stays!.build });
  });

  it("runs what was skipped only because of a job that is gone", () => {
    const told = new Told(GATE);
    told.run(changeOf("ahead"));
    told.offer(changeOf("A"));
    told.freeze(jobOf("parent"), jobOf("child", { dependencies: [{ name: "parent", soft: false }] }));
    told.grant();
    told.end(told.one("startBuild").build, { kind: "final", result: "FAILURE" });
    expect(told.items()[1]!.jobs[1]).toMatchObject({ name: "child", result: "SKIPPED" });
    told.configure([GATE]);
    const { buildset, layout } = told.asked("freeze")[1]!;
    const graph = { jobs: [jobOf("child")], failFast: false };
    told.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    expect(told.items()[1]).toMatchObject({ failing: null });
    expect(told.asked("requestNodes")).toHaveLength(1);
  });

  it("takes an answer only for the newest layout", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const { buildset } = told.one("merge");
    told.tell({ kind: "merged", buildset, result: { kind: "merged", steps: [{ base: "b", commit: "c" }] } });
    const { layout } = told.one("freeze");
    told.configure([GATE]);
    const graph = { jobs: [jobOf("old")], failFast: false };
    told.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    expect(told.effects).toEqual([]);
    expect(told.core.counters.stale).toBe(1);
  });

  it("moves items to the queues that their projects are in now", () => {
    const queues = (name: string) => new Map(["P", "Q"].map((p) => [p, { name, perBranch: false }]));
    const told = new Told({ ...GATE, queues: queues("one") });
    const build = told.run(changeOf("A"));
    told.run(changeOf("B", { project: "Q" }));
    told.configure([{ ...GATE, queues: queues("two") }]);
    expect(told.asked("cancelBuild")).toEqual([]);
    expect(told.core.status().pipelines[0]!.queues.map(({ name }) => name)).toEqual(["two"]);
    told.configure([GATE]);
    // B is not tested on top of A any more.
    expect(told.asked("cancelBuild")).toHaveLength(1);
    expect(told.one("cancelBuild").build).not.toBe(build);
    expect(told.one("merge").chain.map(({ change }) => change)).toEqual(["B"]);
  });

  it("takes out what is of a project or a pipeline that is gone", () => {
    const told = new Told(GATE, CHECK);
    told.offer(changeOf("A"));
    told.offer(changeOf("B", { project: "Q" }), "check");
    told.configure([GATE], ["Q"]);
    expect(told.items()).toEqual([]);
    expect(told.core.status().pipelines.map(({ name }) => name)).toEqual(["gate"]);
    expect(told.core.explain("B").at(-1)!.text).toContain("a pipeline that is not there any more");
  });
});

describe("a batch", () => {
  it("knows a change that is told after the order to enqueue it", () => {
    const told = new Told(GATE);
    const enqueue = {
      kind: "enqueue",
      pipeline: "gate",
      ignoreRequirements: false,
      ignoreNeeds: [],
    } as const;
    told.tell({ kind: "change", change: changeOf("A") }, { ...enqueue, subject: "A" });
    expect(told.items()).toHaveLength(1);
  });

  it("counts results before it takes more in", () => {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"));
    told.tell(
      ...[{ kind: "change", change: changeOf("B") } as const],
      { kind: "offer", subject: "B", pipelines: ["gate"] },
      { kind: "ended", build, result: { kind: "final", result: "FAILURE" } },
    );
    expect(told.one("merge").chain.map(({ change }) => change)).toEqual(["B"]);
  });
});

describe("what is remembered is bounded:", () => {
  it(`${MAX_CLOSED_CHANGES} closed changes, and those that are needed`, () => {
    const known = new KnownChanges();
    known.set(changeOf("needed", { state: "merged" }));
    const source = "gate:needed";
    known.set(changeOf("open", { needs: [{ source, change: "needed", revision: null, problem: null }] }));
    for (let n = 0; n <= MAX_CLOSED_CHANGES + 1; n++) known.set(changeOf(`c${n}`, { state: "merged" }));
    expect(known.get("c0")).toBeUndefined();
    expect(known.get(`c${MAX_CLOSED_CHANGES + 1}`)).toBeDefined();
    expect(known.get("needed")).toBeDefined();
    expect(known.get("open")).toBeDefined();
  });

  it(`${MAX_DECISIONS} decisions of each of ${MAX_EXPLAINED} changes`, () => {
    const decisions = new Decisions();
    const note = (change: string, text: string) => decisions.note(change, { atMs: 0, pipeline: null, text });
    for (let n = 0; n <= MAX_DECISIONS; n++) note("A", `decision ${n}`);
    expect(decisions.of("A")).toHaveLength(MAX_DECISIONS);
    expect(decisions.of("A")[0]!.text).toBe("decision 1");
    for (let n = 0; n < MAX_EXPLAINED; n++) note(`c${n}`, "is new");
    expect(decisions.of("A")).toEqual([]);
    note("c5", "is new");
    expect(decisions.of("c5")).toHaveLength(1);
  });

  it("a change that merged stays merged, whatever older news say", () => {
    const known = new KnownChanges();
    known.set(changeOf("A", { state: "merged" }));
    known.set(changeOf("A"));
    expect(known.get("A")!.state).toBe("merged");
  });
});
