import { describe, expect, it } from "vitest";
import { changeOf, GATE, Told } from "./told.ts";

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
});
