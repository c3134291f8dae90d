import { describe, expect, it } from "vitest";
import { type AutoholdWish, isHoldable, mostSpecific, type RefUpdate } from "../../src/core/index.ts";
import { changeOf } from "./told.ts";

const wish = (fields: Partial<AutoholdWish> & { readonly name?: string }) => ({
  ...{ name: "", project: "P", job: "J", change: null, ref: null, ...fields },
});
const matches = (pattern: string, text: string) => new RegExp(`^(?:${pattern})`).test(text);
const of = (wishes: readonly ReturnType<typeof wish>[], id = "A", job = "J") =>
  mostSpecific(wishes, { job, subject: changeOf(id) }, matches)?.name;

describe("of the wishes for a failed build", () => {
  const all = [
    wish({ name: "job" }),
    wish({ name: "ref", ref: "ma.n$" }),
    wish({ name: "change", change: "A" }),
    wish({ name: "change too", change: "A" }),
  ];

  it("the one that says most counts, and of equal ones the older", () => {
    expect(of(all)).toBe("change");
    expect(of(all, "B")).toBe("ref");
    expect(of([all[0]!, wish({ ref: "stable" })], "B")).toBe("job");
  });

  it("none counts that is of another job, project or change", () => {
    expect(of(all, "A", "K")).toBeUndefined();
    expect(of([wish({ project: "Q" }), wish({ change: "B" }), wish({ ref: "ain" })])).toBeUndefined();
  });

  it("a ref is matched by its own name, and by its branch", () => {
    const tag: RefUpdate = {
      ...{ kind: "ref", id: "ref:P:refs/tags/1@x", project: "P", ref: "refs/tags/1", branch: null },
      ...{ oldCommit: null, newCommit: "x" },
    };
    const found = mostSpecific(
      [wish({ name: "tag", ref: "refs/tags/" })],
      { job: "J", subject: tag },
      matches,
    );
    expect(found?.name).toBe("tag");
  });
});

describe("a workspace is kept", () => {
  it.each(["FAILURE", "POST_FAILURE", "TIMED_OUT"] as const)("of %s", (result) => {
    expect(isHoldable({ kind: "final", result }, false)).toBe(true);
  });

  it.each(["SUCCESS", "DISK_FULL", "ERROR"] as const)("never of %s", (result) => {
    expect(isHoldable({ kind: "final", result }, true)).toBe(false);
  });

  it("of a preparation that failed, when it is not tried again; never of what was lost", () => {
    expect(isHoldable({ kind: "retry", again: true }, false)).toBe(false);
    expect(isHoldable({ kind: "retry", again: true }, true)).toBe(true);
    expect(isHoldable({ kind: "retry", again: false }, false)).toBe(true);
    expect(isHoldable({ kind: "lost" }, true)).toBe(false);
  });
});
