import { describe, expect, it } from "vitest";
import { GateCore, type GateSnapshot, MAX_FROZEN_BRANCHES } from "../../src/core/index.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

const freeze = {
  kind: "freezeBranch",
  project: "P",
  branch: "main",
  reason: "a release",
  by: "root",
} as const;
const thaw = { kind: "thawBranch", project: "P", branch: "main" } as const;

describe("a branch that is frozen", () => {
  it("is merged into by nothing that passes, which waits with the reason, over a restart, until it is thawed", () => {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"));
    told.tell(freeze);
    told.end(build);
    expect(told.asked("land")).toEqual([]);
    expect(told.items()[0]?.waiting).toEqual(["branch main of P was frozen by root: a release"]);
    told.restart();
    expect(told.asked("land")).toEqual([]);
    expect(told.core.status().frozenBranches).toEqual([{ ...freeze, kind: undefined, sinceMs: 0 }]);
    told.tell(thaw);
    expect(told.asked("land")).toHaveLength(1);
    expect(told.core.status().frozenBranches).toEqual([]);
  });

  it("keeps no other branch, and not what is being merged already", () => {
    const told = new Told(GATE);
    told.tell({ ...freeze, branch: "stable" });
    told.end(told.run(changeOf("A")));
    const { buildset } = told.one("land");
    told.tell(freeze);
    told.tell({ kind: "landed", buildset, refused: null });
    expect(told.one("report")).toMatchObject({ what: "success" });
  });

  it("still tells failures", () => {
    const told = new Told(GATE);
    told.tell(freeze);
    told.end(told.run(changeOf("A")), { kind: "final", result: "FAILURE" });
    expect(told.one("report")).toMatchObject({ what: "failure" });
  });

  it("keeps what is behind in the queue waiting, too, and what is only checked not at all", () => {
    const told = new Told(
      {
        ...GATE,
        queues: new Map(["P", "Q"].map((project) => [project, { name: "both", perBranch: false }])),
      },
      CHECK,
    );
    told.tell(freeze);
    const first = told.run(changeOf("A"));
    const second = told.run(changeOf("B", { project: "Q" }));
    told.end(first);
    told.end(second);
    expect(told.items().map(({ waiting }) => waiting)).toEqual([
      ["branch main of P was frozen by root: a release"],
      ["is done, and waits for A ahead of it"],
    ]);
    told.offer(changeOf("C"), "check");
    told.freeze(jobOf("J"));
    told.grant();
    told.end(told.one("startBuild").build);
    expect(told.one("report")).toMatchObject({ pipeline: "check", what: "success" });
    told.tell(thaw);
    const { buildset } = told.one("land");
    told.tell({ kind: "landed", buildset, refused: null });
    expect(told.asked("land")).toHaveLength(1);
  });

  it("keeps a cycle of which one change is for it", () => {
    const queue = { name: "both", perBranch: false, allowsCycles: true };
    const told = new Told({ ...GATE, queues: new Map(["P", "Q"].map((project) => [project, queue])) });
    const on = (id: string) => [{ source: id, change: id, revision: null, problem: null }];
    told.tell({ ...freeze, project: "Q", reason: "" });
    told.tell({ kind: "change", change: changeOf("A", { needs: on("B") }) });
    told.offer(changeOf("B", { project: "Q", needs: on("A") }));
    told.freeze(
      jobOf("J of A", { of: { job: "J", changes: ["A"] } }),
      jobOf("J of B", { of: { job: "J", changes: ["B"] } }),
    );
    told.grant();
    for (const { build } of told.asked("startBuild")) told.end(build);
    expect(told.items().map(({ waiting }) => waiting)).toEqual([["branch main of Q was frozen by root"]]);
    told.tell({ ...thaw, project: "Q" });
    expect(told.one("land").steps).toHaveLength(2);
  });

  it("may be frozen again, for another reason; what is not frozen can be thawed", () => {
    const told = new Told(GATE);
    told.tell(thaw);
    told.tell(freeze);
    told.nowMs = 1_000;
    told.tell({ ...freeze, reason: "an outage", by: "alice" });
    expect(told.core.status().frozenBranches).toEqual([
      { project: "P", branch: "main", reason: "an outage", by: "alice", sinceMs: 1_000 },
    ]);
  });

  it("is one of a thousand at most, of which each may be frozen again", () => {
    const told = new Told(GATE);
    for (let i = 0; i < MAX_FROZEN_BRANCHES + 1; i++) told.tell({ ...freeze, branch: `b${i}` });
    told.tell({ ...freeze, branch: "b0", by: "alice" });
    const { frozenBranches } = told.core.status();
    expect(frozenBranches).toHaveLength(MAX_FROZEN_BRANCHES);
    expect(frozenBranches[0]).toMatchObject({ branch: "b0", by: "alice" });
    expect(frozenBranches.at(-1)?.branch).toBe(`b${MAX_FROZEN_BRANCHES - 1}`);
  });

  it("is in no state that was written down before there were any", () => {
    const told = new Told(GATE);
    told.tell(freeze);
    const { frozenBranches, ...before } = told.core.snapshot();
    expect(frozenBranches).toHaveLength(1);
    const restored = GateCore.restore(JSON.parse(JSON.stringify(before)) as GateSnapshot);
    expect(restored.status().frozenBranches).toEqual([]);
  });
});
