import { describe, expect, it } from "vitest";
import type { FrozenJob, GateEvent } from "../../src/core/index.ts";
import { CHECK, changeOf, GATE, jobOf, Told } from "./told.ts";

const MAKE = jobOf("make", { provides: ["image"] });
const USE = jobOf("use", { requires: ["image"] });

/** In one queue: A, whose job provides, and B behind it, whose job requires. @returns The build of A. */
function behind(told: Told, make = MAKE, use = USE): number {
  told.offer(changeOf("A"));
  told.freeze(make);
  told.grant();
  const { build } = told.one("startBuild");
  told.offer(changeOf("B"));
  told.freeze(use);
  return build;
}

type Frozen = Extract<GateEvent, { kind: "frozen" }>;
const jobOfB = (told: Told, pipeline = "gate") =>
  told.items(pipeline).findLast(({ subject }) => subject.id === "B")!.jobs[0]!;
const needsA = { needs: [{ source: "Depends-On: A", change: "A", revision: null, problem: null }] };
const texts = (told: Told, id: string) => told.core.explain(id).map(({ text }) => text);

describe("a job that requires what a job of a change ahead provides", () => {
  it("waits with the reason, and is told whose build it gets it from", () => {
    const told = new Told(GATE);
    const build = behind(told);
    expect(told.asked("requestNodes")).toEqual([]);
    expect(jobOfB(told).reason).toBe("waits for job make of A, which provides image");
    told.end(build);
    told.grant();
    expect(told.one("startBuild")).toMatchObject({ job: "use", providers: [build] });
  });

  it("does not wait for one that provides something else, nor for a job of its own item", () => {
    const told = new Told(GATE);
    behind(told, jobOf("make", { provides: ["package"] }), USE);
    expect(told.one("requestNodes")).toBeDefined();
    told.offer(changeOf("C"));
    told.freeze(jobOf("other", { provides: ["image"] }), USE);
    expect(told.asked("requestNodes")).toHaveLength(2);
  });

  it("waits until the jobs of what is ahead are known", () => {
    const told = new Told(CHECK);
    told.offer(changeOf("A"), "check");
    const first = told.effects;
    told.offer(changeOf("B", needsA), "check");
    told.freeze(USE);
    expect(jobOfB(told, "check").reason).toBe("waits until it is known whether a job of A provides image");
    told.effects = first;
    told.freeze(jobOf("make"));
    expect(told.asked("requestNodes")).toHaveLength(2);
  });

  it("starts when that one is paused", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze(MAKE, jobOf("child", { dependencies: [{ name: "make", soft: false }] }));
    told.grant();
    const { build } = told.one("startBuild");
    told.offer(changeOf("B"));
    told.freeze(USE);
    told.tell({ kind: "paused", build });
    told.grant();
    expect(told.asked("startBuild").map(({ job, providers }) => [job, providers])).toEqual([
      ["child", undefined],
      ["use", [build]],
    ]);
  });

  it("fails without running when that one has failed and does not vote", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze({ ...MAKE, voting: false }, jobOf("long"));
    told.grant();
    const { build } = told.one("startBuild");
    told.offer(changeOf("B"));
    told.freeze(USE);
    told.end(build, { kind: "final", result: "FAILURE" });
    expect(told.asked("requestNodes")).toEqual([]);
    expect(jobOfB(told)).toMatchObject({
      ...{ state: "ended", result: "FAILURE", build: null },
      reason: "requires image of job make of A, which ended with FAILURE",
    });
  });

  it("is tested without it when that one has failed and votes", () => {
    const told = new Told(GATE);
    const build = behind(told);
    told.end(build, { kind: "final", result: "FAILURE" });
    told.freeze(USE);
    told.grant();
    expect(told.one("startBuild")).not.toHaveProperty("providers");
    expect(texts(told, "B")).toContain(
      "job use gets no artifacts of what it requires, image: no job of a change ahead provides it",
    );
  });

  it("gets nothing of what has merged, and the reason says so", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze(MAKE);
    told.grant();
    const a = told.one("startBuild").build;
    told.offer(changeOf("B"));
    told.freeze(jobOf("first"), jobOf("use", { ...USE, dependencies: [{ name: "first", soft: false }] }));
    told.grant();
    const first = told.one("startBuild").build;
    told.end(a);
    told.tell({ kind: "landed", buildset: told.one("land").buildset, refused: null });
    told.end(first);
    told.grant();
    expect(told.one("startBuild")).not.toHaveProperty("providers");
    expect(texts(told, "B")).toContain(
      "job use gets no artifacts of what it requires, image: no job of a change ahead provides it, and what has merged, as A, passes none on",
    );
  });

  it("keeps what it was given when it runs again", () => {
    const told = new Told(GATE);
    const a = behind(told);
    told.end(a);
    const { buildset } = told.one("land");
    told.grant();
    const { build } = told.one("startBuild");
    told.tell({ kind: "landed", buildset, refused: null });
    told.end(build, { kind: "lost" });
    told.grant();
    expect(told.one("startBuild")).toMatchObject({ job: "use", providers: [a] });
  });

  it("waits when it comes to require it before it runs, or before it runs again", () => {
    const told = new Told(GATE);
    const a = behind(told, MAKE, jobOf("use"));
    const { build: asked } = told.one("requestNodes");
    /** Of A's buildset and B's. */
    const frozen = (use: FrozenJob): Frozen[] =>
      told.asked("freeze").map(({ buildset, layout, subject }) => {
        const graph = { jobs: [subject.id === "A" ? MAKE : use], failFast: false };
        return { kind: "frozen", buildset, layout, result: { kind: "graph", graph } };
      });
    told.configure([GATE]);
    told.tell(...frozen(USE));
    expect(told.one("releaseNodes").build).toBe(asked);
    expect(jobOfB(told).reason).toBe("waits for job make of A, which provides image");
    told.configure([GATE]);
    told.tell(...frozen(jobOf("use")));
    told.grant();
    const { build } = told.one("startBuild");
    told.configure([GATE]);
    const answers = frozen(USE);
    told.tell({ kind: "ended", build, result: { kind: "lost" } });
    told.tell(...answers);
    expect(jobOfB(told).reason).toBe("waits for job make of A, which provides image");
    told.end(a);
    told.grant();
    expect(told.one("startBuild")).toMatchObject({ job: "use", attempt: 1, providers: [a] });
  });

  it("waits, and gets it, over a restart", () => {
    const told = new Told(GATE);
    const build = behind(told);
    told.restart();
    expect(jobOfB(told).reason).toBe("waits for job make of A, which provides image");
    told.end(build);
    told.restart();
    told.grant();
    expect(told.one("startBuild")).toMatchObject({ job: "use", providers: [build] });
    told.restart();
    expect(told.one("startBuild")).toMatchObject({ job: "use", providers: [build] });
  });
});

describe("a change that is ahead and not live", () => {
  it("has its builds in its own item of the pipeline", () => {
    const told = new Told(CHECK);
    told.offer(changeOf("A"), "check");
    told.freeze(MAKE);
    told.grant();
    const { build } = told.one("startBuild");
    told.offer(changeOf("B", needsA), "check");
    told.freeze(USE);
    expect(jobOfB(told, "check").reason).toBe("waits for job make of A, which provides image");
    expect(told.asked("findProviders")).toEqual([]);
    told.end(build);
    // It has left with its last job, and what it made is on record.
    const { item, lookup, subjects, pipeline } = told.one("findProviders");
    expect([pipeline, subjects]).toEqual(["check", [{ id: "A", revision: 1 }]]);
    const providers = [{ job: "make", provides: ["image"], build, result: "SUCCESS" }];
    told.tell({ kind: "providersFound", item, lookup, providers });
    told.grant();
    expect(told.one("startBuild")).toMatchObject({ job: "use", providers: [build] });
  });

  it("has them on record when that is gone, which is asked for again after a restart", () => {
    const told = new Told(CHECK);
    told.tell({ kind: "change", change: changeOf("A") });
    told.offer(changeOf("B", needsA), "check");
    told.freeze(USE);
    expect(jobOfB(told, "check").reason).toBe("waits for what is on record of A");
    const asked = told.one("findProviders");
    told.restart();
    expect(told.one("findProviders")).toEqual(asked);
    const { item, lookup } = asked;
    const failed = { job: "make", provides: ["image"], build: 7, result: "FAILURE" };
    told.tell({ kind: "providersFound", item, lookup: lookup + 1, providers: [] });
    expect(told.core.counters.stale).toBe(1);
    told.tell({ kind: "providersFound", item, lookup, providers: [failed] });
    expect(told.asked("report").map(({ what, builds }) => [what, builds[0]?.result])).toEqual([
      ["failure", "FAILURE"],
    ]);
  });

  it("that never ran there provides nothing", () => {
    const told = new Told(CHECK);
    told.tell({ kind: "change", change: changeOf("A") });
    told.offer(changeOf("B", needsA), "check");
    told.freeze(USE);
    const { item, lookup } = told.one("findProviders");
    told.tell({ kind: "providersFound", item, lookup, providers: [] });
    expect(told.one("requestNodes")).toBeDefined();
  });
});

describe("what waits for a provider that waits for a semaphore", () => {
  it("gives it up, where a paused build of its own item holds it", () => {
    const told = new Told(GATE);
    const uses = { semaphores: [{ name: "S", resourcesFirst: false }] };
    told.offer(changeOf("A"));
    told.freeze(
      jobOf("before"),
      jobOf("make", { ...MAKE, ...uses, dependencies: [{ name: "before", soft: false }] }),
    );
    told.grant();
    const before = told.one("startBuild").build;
    told.offer(changeOf("B"));
    told.freeze(
      jobOf("parent", uses),
      jobOf("use", { ...USE, dependencies: [{ name: "parent", soft: false }] }),
    );
    told.grant();
    const { build } = told.one("startBuild");
    told.tell({ kind: "paused", build });
    told.end(before);
    expect(told.asked("cancelBuild")).toEqual([{ kind: "cancelBuild", build }]);
    told.grant();
    expect(told.asked("startBuild").map(({ job }) => job)).toEqual(["make"]);
  });
});
