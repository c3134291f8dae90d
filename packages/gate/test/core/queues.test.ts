import { describe, expect, it } from "vitest";
import {
  GateCore,
  MAX_DEPENDENCIES,
  MAX_DISPUTES,
  MAX_ITEMS,
  MAX_MERGE_ERRORS,
  MERGE_RETRY_MS,
} from "../../src/core/index.ts";
import { carried, grown, shrunk } from "../../src/core/window.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

const need = (change: string) => ({ source: `gate:${change}`, change, revision: null, problem: null });

describe("a merge", () => {
  it("that cannot be tried is tried again later, and later counts against the change", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const { buildset } = told.one("merge");
    const error = { kind: "merged", buildset, result: { kind: "error", detail: "no merger" } } as const;
    for (let i = 1; i <= MAX_MERGE_ERRORS; i++) {
      told.tell(error);
      expect(told.effects).toEqual([]);
      expect(told.core.nextWakeMs).toBe(told.nowMs + i * MERGE_RETRY_MS);
      expect(told.items()[0]!.waiting[0]).toContain("no merger");
      told.nowMs += i * MERGE_RETRY_MS;
      told.tell({ kind: "tick" });
      expect(told.asked("merge")).toHaveLength(1);
    }
    told.tell(error);
    expect(told.core.nextWakeMs).toBeNull();
    expect(told.one("report")).toMatchObject({ what: "merge-conflict" });
  });

  it("that fails at a change ahead is that one's failure", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const [a] = told.asked("merge");
    told.offer(changeOf("B"));
    const [b] = told.asked("merge");
    const conflict = (buildset: number) =>
      ({ kind: "merged", buildset, result: { kind: "conflict", link: 0, detail: "in x" } }) as const;
    told.tell(conflict(b!.buildset));
    expect(told.items()[1]).toMatchObject({ failing: null, waiting: ["waits for A, which does not merge"] });
    told.tell(conflict(a!.buildset));
    expect(told.one("report")).toMatchObject({ what: "merge-conflict", subject: { id: "A" } });
    expect(told.one("merge").chain.map(({ change }) => change)).toEqual(["B"]);
  });

  it("that fails at a change which merged before has that one merged again", () => {
    const told = new Told(GATE);
    told.run(changeOf("A"));
    told.offer(changeOf("B"));
    const { buildset } = told.one("merge");
    told.tell({ kind: "merged", buildset, result: { kind: "conflict", link: 0, detail: "in x" } });
    expect(told.asked("cancelBuild")).toHaveLength(1);
    expect(told.asked("merge").map(({ chain }) => chain.length)).toEqual([1, 2]);
  });
});

describe("a dispute", () => {
  it(`about a change ahead ends after ${MAX_DISPUTES} merges with its failure`, () => {
    const told = new Told(GATE);
    told.run(changeOf("A"));
    told.offer(changeOf("B"));
    let dispute = told.one("merge").buildset;
    for (let i = 0; i <= MAX_DISPUTES; i++) {
      told.tell({
        ...{ kind: "merged", buildset: dispute },
        result: { kind: "conflict", link: 0, detail: "in x" },
      });
      if (i === MAX_DISPUTES) break;
      const [a, b] = told.asked("merge");
      const steps = [{ base: "b", commit: "c" }];
      told.tell({ kind: "merged", buildset: a!.buildset, result: { kind: "merged", steps } });
      dispute = b!.buildset;
    }
    expect(told.one("report")).toMatchObject({ what: "merge-conflict", subject: { id: "A" } });
  });
});

describe("landing", () => {
  function landing(): Told {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"));
    told.offer(changeOf("B"));
    told.freeze(jobOf("J"));
    told.end(build);
    return told;
  }

  it("that was outrun by a push is no failure: all is tested again on the new tip", () => {
    const told = landing();
    const { buildset } = told.one("land");
    told.tell({ kind: "landed", buildset, refused: "main is elsewhere", moved: true });
    expect(told.asked("report")).toEqual([]);
    expect(told.asked("merge").map(({ chain }) => chain.map(({ change }) => change))).toEqual([
      ["A"],
      ["A", "B"],
    ]);
  });

  it("goes on while a new revision comes, which leaves if it was refused", () => {
    const told = landing();
    const { buildset } = told.one("land");
    told.offer(changeOf("A", { revision: 2 }));
    expect(told.items().map(({ subject }) => subject.id)).toEqual(["A", "B"]);
    expect(told.waiting()[0]).toMatchObject({ change: "A", revision: 2 });
    told.tell({ kind: "landed", buildset, refused: "there is a newer revision" });
    expect(told.one("report")).toMatchObject({ what: "dequeue", subject: { id: "A" } });
    expect(
      told.items().map(({ subject }) => [subject.id, subject.kind === "change" && subject.revision]),
    ).toEqual([
      ["B", 1],
      ["A", 2],
    ]);
  });

  it("waits while the gate is paused, as do builds", () => {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"));
    told.tell({ kind: "pause", on: true });
    told.end(build);
    expect(told.asked("land")).toEqual([]);
    expect(told.items()[0]!.waiting).toEqual(["the gate is paused"]);
    told.offer(changeOf("B"));
    told.freeze(jobOf("J"));
    expect(told.asked("requestNodes")).toEqual([]);
    told.tell({ kind: "pause", on: false });
    expect(told.asked("land")).toHaveLength(1);
    expect(told.asked("requestNodes")).toHaveLength(1);
  });

  it("resets what is behind when somebody pushes past the gate, and leaves the window as it is", () => {
    const told = new Told(GATE);
    told.run(changeOf("A"));
    told.tell({ kind: "branchMoved", project: "P", branch: "stable" });
    expect(told.effects).toEqual([]);
    told.tell({ kind: "branchMoved", project: "P", branch: "main" });
    expect(told.effects.map(({ kind }) => kind)).toEqual(["cancelBuild", "releaseNodes", "merge"]);
    expect(told.items()[0]).toMatchObject({ resets: 1, failing: null });
    expect(told.core.snapshot().queues[0]!.window).toBe(20);
  });
});

describe("admission", () => {
  it("takes all that a change needs, or nothing", () => {
    const told = new Told(GATE);
    told.tell({ kind: "change", change: changeOf("A") });
    told.tell({ kind: "change", change: changeOf("B", { isApproved: false }) });
    told.offer(changeOf("C", { needs: [need("A"), need("B")] }));
    expect(told.items()).toEqual([]);
    expect(told.waiting()[0]).toMatchObject({ change: "C", reason: "needs B, which is not approved" });
  });

  it("waits for a dependency that leads nowhere, unless an operator says not to", () => {
    const told = new Told(GATE);
    const source = "https://elsewhere.example/1";
    const nowhere = { source, change: null, revision: null, problem: "its host is not known" };
    told.offer(changeOf("A", { needs: [nowhere] }));
    expect(told.waiting()[0]!.reason).toBe(`depends on ${source}: its host is not known`);
    const enqueue = { kind: "enqueue", subject: "A", pipeline: "gate", ignoreRequirements: false } as const;
    told.tell({ ...enqueue, ignoreNeeds: [source] });
    expect(told.waiting()).toEqual([]);
    told.freeze(jobOf("J"));
    expect(told.items()).toHaveLength(1);
  });

  it("names the cycle in which changes need each other, and that no queue allows it", () => {
    const told = new Told(GATE, CHECK);
    told.tell({ kind: "change", change: changeOf("A", { needs: [need("B")] }) });
    told.offer(changeOf("B", { needs: [need("A")] }));
    told.tell({ kind: "offer", subject: "A", pipelines: ["check"] });
    const why = ", and its project is in no queue that allows that (allow-circular-dependencies)";
    expect(told.waiting()[0]!.reason).toBe(`needs itself: B needs A needs B${why}`);
    expect(told.waiting("check")[0]!.reason).toBe(`needs itself: A needs B needs A${why}`);
  });

  it.each(["gate", "check"])(
    `of more than ${MAX_DEPENDENCIES} changes at once is refused by %s`,
    (pipeline) => {
      const told = new Told(GATE, CHECK);
      const last = MAX_DEPENDENCIES + 1;
      for (let n = 0; n <= last; n++)
        told.tell({
          kind: "change",
          change: changeOf(`c${n}`, { needs: n === 0 ? [] : [need(`c${n - 1}`)] }),
        });
      told.tell({ kind: "offer", subject: `c${last}`, pipelines: [pipeline] });
      expect(told.items(pipeline)).toEqual([]);
      expect(told.waiting(pipeline)[0]!.reason).toContain(`more than ${MAX_DEPENDENCIES}`);
      told.tell({ kind: "offer", subject: `c${last - 1}`, pipelines: [pipeline] });
      expect(told.items(pipeline)).toHaveLength(pipeline === "gate" ? last + 1 : last);
    },
  );

  it.each(["gate", "check"])(
    "and of more than the tenant allows, by %s, until it allows more",
    (pipeline) => {
      const told = new Told(GATE, CHECK);
      const layout = { pipelines: [GATE, CHECK], projects: new Set(["P"]) };
      told.tell({ kind: "configured", layout: { ...layout, version: 2, maxDependencies: 2 } });
      for (let n = 0; n <= 3; n++) {
        const needs = n === 0 ? [] : [need(`c${n - 1}`)];
        told.tell({ kind: "change", change: changeOf(`c${n}`, { needs }) });
      }
      told.tell({ kind: "offer", subject: "c3", pipelines: [pipeline] });
      expect(told.items(pipeline)).toEqual([]);
      expect(told.waiting(pipeline)[0]!.reason).toBe(
        "needs more than 2 changes that are not merged (max-dependencies)",
      );
      told.core = GateCore.restore(JSON.parse(JSON.stringify(told.core.snapshot())));
      told.tell({ kind: "offer", subject: "c3", pipelines: [pipeline] });
      expect(told.items(pipeline)).toEqual([]);
      told.tell({ kind: "offer", subject: "c2", pipelines: [pipeline] });
      expect(told.items(pipeline)).toHaveLength(3);
      told.tell({ kind: "configured", layout: { ...layout, version: 3 } });
      told.tell({ kind: "offer", subject: "c3", pipelines: [pipeline] });
      expect(told.waiting(pipeline)).toEqual([]);
    },
  );

  it(`stops at ${MAX_ITEMS} items, and goes on when one leaves`, () => {
    const told = new Told(CHECK);
    for (let n = 0; n < MAX_ITEMS; n++) told.offer(changeOf(`c${n}`), "check");
    told.offer(changeOf("late"), "check");
    expect(told.waiting("check")[0]!.reason).toBe(`finds the pipeline full: ${MAX_ITEMS} items`);
    told.tell({ kind: "dequeue", subject: "c7", pipeline: "check" });
    expect(told.waiting("check")).toEqual([]);
    expect(told.items("check").at(-1)!.subject.id).toBe("late");
  });

  it("stops at as many changes as the tenant allows, those underneath among them, also after a restart", () => {
    const told = new Told(CHECK);
    const limit = (maxChangesPerPipeline: number): void => {
      const layout = { version: 9 + maxChangesPerPipeline, pipelines: [CHECK], projects: new Set(["P"]) };
      told.tell({ kind: "configured", layout: { ...layout, maxChangesPerPipeline } });
    };
    limit(3);
    told.tell({ kind: "change", change: changeOf("base") });
    told.offer(changeOf("A", { needs: [need("base")] }), "check");
    told.restart();
    told.offer(changeOf("B", { needs: [need("base")] }), "check");
    const full = "finds no room: the tenant's max-changes-per-pipeline is 3, and there are 2";
    expect(told.waiting("check")).toMatchObject([{ change: "B", reason: full }]);
    told.offer(changeOf("C"), "check");
    told.tell({ kind: "dequeue", subject: "C", pipeline: "check" });
    told.tell({ kind: "dequeue", subject: "A", pipeline: "check" });
    expect(told.waiting("check")).toEqual([]);
    told.offer(changeOf("D"), "check");
    told.offer(changeOf("E"), "check");
    expect(told.waiting("check")).toMatchObject([{ change: "E" }]);
    limit(4);
    expect(told.waiting("check")).toEqual([]);
  });

  it("refuses what does not fulfil the requirements, and forgets it", () => {
    const told = new Told({ ...CHECK, reject: { approved: true } });
    told.offer(changeOf("A"), "check");
    expect(told.items("check")).toEqual([]);
    expect(told.waiting("check")).toEqual([]);
    expect(told.core.explain("A").at(-1)!.text).toBe("was refused: it is approved");
    const enqueue = { kind: "enqueue", subject: "A", pipeline: "check", ignoreNeeds: [] } as const;
    told.tell({ ...enqueue, ignoreRequirements: true });
    expect(told.items("check")).toHaveLength(1);
  });

  it("to one pipeline ends the stay in those that it supersedes", () => {
    const told = new Told(CHECK, GATE);
    told.offer(changeOf("A"), "check");
    expect(told.items("check")).toHaveLength(1);
    told.tell({ kind: "offer", subject: "A", pipelines: ["gate"] });
    expect(told.items("check")).toEqual([]);
    expect(told.items("gate")).toHaveLength(1);
  });

  it("tests a changed set of dependencies anew in check, without a second start", () => {
    const told = new Told(CHECK);
    told.tell({ kind: "change", change: changeOf("B") });
    told.offer(changeOf("A"), "check");
    told.freeze(jobOf("J"));
    expect(told.asked("report").map(({ what }) => what)).toEqual(["start"]);
    told.tell({ kind: "change", change: changeOf("A", { needs: [need("B")] }) });
    expect(told.asked("report")).toEqual([]);
    expect(told.one("merge").chain.map(({ change }) => change)).toEqual(["B", "A"]);
    told.freeze(jobOf("J"));
    expect(told.asked("report")).toEqual([]);
  });

  it("of a ref needs no merge", () => {
    const told = new Told(CHECK, GATE);
    const ref = { project: "P", ref: "refs/heads/main", branch: "main", oldCommit: "a", newCommit: "b" };
    const subject = { kind: "ref", id: "ref:P:refs/heads/main@b", ...ref } as const;
    told.tell({ kind: "offer", subject, pipelines: ["check", "gate"] });
    expect(told.effects).toMatchObject([{ kind: "freeze", chain: [], subject }]);
    told.frozen();
    expect(told.one("report")).toMatchObject({ what: "no-jobs" });
    expect(told.items("gate")).toEqual([]);
  });
});

describe("a window", () => {
  const linear = (factor: number) => ({ type: "linear", factor }) as const;
  const exponential = (factor: number) => ({ type: "exponential", factor }) as const;

  it("grows to its ceiling and shrinks to its floor, by steps or by factors", () => {
    const rules = { ...GATE.window, floor: 2, ceiling: 8 };
    expect(grown(7, { ...rules, increase: linear(3) })).toBe(8);
    expect(grown(3, { ...rules, increase: exponential(2) })).toBe(6);
    expect(shrunk(5, { ...rules, decrease: exponential(2) })).toBe(2);
    expect(shrunk(8, { ...rules, decrease: linear(3) })).toBe(5);
  });

  it("of 0 is all, and stays that", () => {
    expect(grown(0, GATE.window)).toBe(0);
    expect(shrunk(0, GATE.window)).toBe(0);
  });

  it("never shrinks to 0, which would be all", () => {
    expect(shrunk(1, { ...GATE.window, floor: 0 })).toBe(1);
  });

  it("stays through a reconfiguration, except where it cannot move or is unlimited", () => {
    expect(carried(27, GATE.window)).toBe(27);
    expect(carried(2, GATE.window)).toBe(3);
    expect(carried(27, { ...GATE.window, ceiling: 10 })).toBe(10);
    const fixed = { ...GATE.window, increase: exponential(1), decrease: exponential(1), size: 5 };
    expect(carried(27, fixed)).toBe(5);
    expect(carried(0, GATE.window)).toBe(20);
    expect(carried(7, { ...GATE.window, size: 0 })).toBe(0);
  });
});
