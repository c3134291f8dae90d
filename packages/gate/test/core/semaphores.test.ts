import { describe, expect, it } from "vitest";
import type { FrozenJob } from "../../src/core/index.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

const using = (...names: readonly string[]): Partial<FrozenJob> => ({
  semaphores: names.map((name) => ({ name, resourcesFirst: false })),
});
const RESOURCES_FIRST: Partial<FrozenJob> = { semaphores: [{ name: "S", resourcesFirst: true }] };

/** Offers a change for `check` with these jobs. @returns The builds that asked for nodes. */
function offered(told: Told, id: string, ...jobs: readonly FrozenJob[]): number[] {
  told.offer(changeOf(id), "check");
  told.freeze(...jobs);
  return told.asked("requestNodes").map(({ build }) => build);
}

const reasons = (told: Told, id: string) =>
  told
    .items("check")
    .filter(({ subject, live }) => live && subject.id === id)
    .flatMap(({ jobs }) => jobs.map(({ reason }) => reason));

const holders = (told: Told, name = "S") =>
  told.core
    .semaphores()
    .find((one) => one.name === name)
    ?.holders.map(({ subject }) => subject) ?? [];

describe("a semaphore", () => {
  it("that nobody declares has room for one, of all pipelines, and is taken before nodes are asked for", () => {
    const told = new Told(GATE, CHECK);
    const [build] = offered(told, "A", jobOf("J", using("S")));
    told.offer(changeOf("B"));
    told.freeze(jobOf("J", using("S")));
    expect(told.asked("requestNodes")).toEqual([]);
    expect(told.items()[0]!.waiting).toEqual(["waits for semaphore S, which job J of A holds"]);
    told.tell({ kind: "nodes", build: build!, granted: true });
    told.end(build!);
    expect(told.asked("requestNodes")).toHaveLength(1);
    expect(holders(told)).toEqual(["B"]);
  });

  it("has the room that it is declared with", () => {
    const told = new Told(CHECK);
    told.configure([CHECK], ["P"], { S: 2 });
    const asked = ["A", "B", "C"].map((id) => offered(told, id, jobOf("J", using("S"))).length);
    expect(asked).toEqual([1, 1, 0]);
    expect(reasons(told, "C")).toEqual(["waits for semaphore S, which job J of A and job J of B hold"]);
    told.configure([CHECK], ["P"], { S: 3 });
    for (const { buildset, layout } of told.asked("freeze")) {
      const graph = { jobs: [jobOf("J", using("S"))], failFast: false };
      told.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    }
    expect(holders(told)).toEqual(["A", "B", "C"]);
  });

  it("of several is taken with the others or not at all", () => {
    const told = new Told(CHECK);
    const [one] = offered(told, "A", jobOf("J", using("S")));
    offered(told, "B", jobOf("J", using("S", "T")));
    expect(offered(told, "C", jobOf("J", using("T")))).toHaveLength(1);
    told.tell({ kind: "nodes", build: one!, granted: true });
    told.end(one!);
    expect(reasons(told, "B")).toEqual(["waits for semaphore T, which job J of C holds"]);
    expect(holders(told)).toEqual([]);
  });

  it.each([
    [
      "a preparation that failed",
      (build: number) => ({ kind: "ended", build, result: { kind: "retry", again: true } }),
    ],
    ["a lost executor", (build: number) => ({ kind: "ended", build, result: { kind: "lost" } })],
    ["an item that is taken out", () => ({ kind: "dequeue", subject: "A", pipeline: "check" })],
    ["a change that is abandoned", () => ({ kind: "change", change: changeOf("A", { state: "abandoned" }) })],
  ] as const)("is freed by %s", (_, event) => {
    const told = new Told(CHECK);
    const [build] = offered(told, "A", jobOf("J", using("S")));
    offered(told, "B", jobOf("J", using("S")));
    told.tell({ kind: "nodes", build: build!, granted: true });
    told.tell(event(build!) as never);
    expect(holders(told)).toHaveLength(1);
  });

  it("is freed by nodes that cannot be had, and by a job that is not there any more", () => {
    const told = new Told(CHECK);
    const [build] = offered(told, "A", jobOf("J", using("S")));
    offered(told, "B", jobOf("J", using("S")));
    told.tell({ kind: "nodes", build: build!, granted: false });
    expect(holders(told)).toEqual(["B"]);
    offered(told, "C", jobOf("J", using("S")));
    told.configure([CHECK]);
    for (const { buildset, layout } of told.asked("freeze").slice(0, 1)) {
      const graph = { jobs: [jobOf("other")], failFast: false };
      told.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    }
    const { buildset, layout } = { buildset: told.items("check").at(-1)!.buildset!, layout: 2 };
    const graph = { jobs: [jobOf("J", using("S"))], failFast: false };
    told.tell({ kind: "frozen", buildset, layout, result: { kind: "graph", graph } });
    expect(holders(told)).toEqual(["C"]);
  });

  it("that is wanted resources-first is taken once the nodes are there", () => {
    const told = new Told(CHECK);
    const [one] = offered(told, "A", jobOf("J", RESOURCES_FIRST));
    const [two] = offered(told, "B", jobOf("J", RESOURCES_FIRST));
    expect(holders(told)).toEqual([]);
    told.tell({ kind: "nodes", build: two!, granted: true });
    expect(told.asked("startBuild")).toHaveLength(1);
    told.tell({ kind: "nodes", build: one!, granted: true });
    expect(told.asked("startBuild")).toEqual([]);
    expect(reasons(told, "A")).toEqual(["waits for semaphore S, which job J of B holds"]);
    told.end(two!);
    expect(told.one("startBuild").build).toBe(one);
  });

  it("goes from a build that waits for nodes to one that has its own, so that the two cannot wait for each other", () => {
    const told = new Told(CHECK);
    const [plain] = offered(told, "A", jobOf("J", using("S", "T")));
    const [first] = offered(told, "B", jobOf("J", RESOURCES_FIRST));
    told.tell({ kind: "nodes", build: first!, granted: true });
    expect(told.one("startBuild").build).toBe(first);
    expect(reasons(told, "A")[0]).toContain("took semaphore S from it");
    expect(holders(told, "T")).toEqual([]);
    told.tell({ kind: "nodes", build: plain!, granted: true });
    expect(told.asked("startBuild")).toEqual([]);
    told.end(first!);
    expect(told.one("startBuild").build).toBe(plain);
    expect(holders(told, "T")).toEqual(["A"]);
  });

  it("is held over a restart", () => {
    const told = new Told(CHECK);
    told.configure([CHECK], ["P"], { S: 2 });
    const [build] = offered(told, "A", jobOf("J", using("S")));
    told.tell({ kind: "nodes", build: build!, granted: true });
    offered(told, "B", jobOf("J", using("S")));
    told.restart();
    expect(holders(told)).toEqual(["A", "B"]);
    offered(told, "C", jobOf("J", using("S")));
    expect(told.core.semaphores()).toMatchObject([
      { name: "S", max: 2, waiting: [{ subject: "C", job: "J" }] },
    ]);
    told.end(build!);
    expect(holders(told)).toEqual(["B", "C"]);
  });
});
