import { describe, expect, it } from "vitest";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

function three(told: Told, pipeline = "gate"): void {
  for (const id of ["A", "B", "C"]) {
    told.nowMs += 1_000;
    told.offer(changeOf(id), pipeline);
    if (told.asked("merge").length > 0) told.freeze(jobOf("J"));
    told.grant();
  }
}

const order = (told: Told, pipeline = "gate"): string[] =>
  told.items(pipeline).map(({ subject }) => subject.id);
const promote = (told: Told, ...subjects: readonly string[]): void =>
  told.tell({ kind: "promote", pipeline: "gate", subjects });

describe("promoting", () => {
  it("keeps the time at which items came, tells no second start, and keeps the builds ahead of what moved", () => {
    const told = new Told(GATE);
    three(told);
    const before = new Map(told.items().map(({ subject, enqueuedMs }) => [subject.id, enqueuedMs]));
    promote(told, "A", "C");
    expect(order(told)).toEqual(["A", "C", "B"]);
    for (const { subject, enqueuedMs, resets } of told.items()) {
      expect(enqueuedMs).toBe(before.get(subject.id));
      expect(resets).toBe(subject.id === "A" ? 0 : 1);
    }
    expect(told.asked("merge").map(({ chain }) => chain.map(({ change }) => change))).toEqual([
      ["A", "C"],
      ["A", "C", "B"],
    ]);
    told.freeze(jobOf("J"));
    expect(told.asked("report")).toEqual([]);
    told.restart();
    expect(order(told)).toEqual(["A", "C", "B"]);
  });

  it("does nothing when one of them is not there", () => {
    const told = new Told(GATE);
    three(told);
    promote(told, "C", "D");
    expect([told.effects, order(told)]).toEqual([[], ["A", "B", "C"]]);
    expect(told.core.promotionObstacle("gate", ["C", "D"])).toBe("D is not in pipeline gate");
    expect(told.core.promotionObstacle("gates", ["C"])).toBe("there is no pipeline gates");
    expect(told.core.promotionObstacle("gate", ["C"])).toBeNull();
  });

  it("does not go ahead of what is being merged, or of what a serial pipeline works on", () => {
    const told = new Told(GATE);
    three(told);
    const [build] = told.items().map(({ jobs }) => jobs[0]!.build!);
    told.end(build!);
    expect(told.one("land").item).toBe(told.items()[0]!.id);
    promote(told, "C");
    expect(order(told)).toEqual(["A", "C", "B"]);
    const serial = new Told({ ...CHECK, manager: "serial", name: "gate" });
    three(serial);
    promote(serial, "C");
    expect(order(serial)).toEqual(["A", "C", "B"]);
    expect(serial.effects).toEqual([]);
  });

  it("has those of an independent pipeline served first", () => {
    const told = new Told({ ...CHECK, name: "gate" });
    for (const id of ["A", "B", "C"]) {
      told.offer(changeOf(id));
      told.freeze(jobOf("J"));
    }
    const ranks = () =>
      told.items().map(({ subject, jobs }) => [subject.id, told.core.rankOf(jobs[0]!.build!)! % 10]);
    expect(ranks()).toEqual([
      ["A", 0],
      ["B", 1],
      ["C", 2],
    ]);
    promote(told, "C");
    expect(ranks()).toEqual([
      ["C", 0],
      ["A", 1],
      ["B", 2],
    ]);
    expect(told.effects).toEqual([]);
  });
});
