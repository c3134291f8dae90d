import { describe, expect, it } from "vitest";
import type { FrozenJob } from "../../src/core/index.ts";
import { CHECK, changeOf, jobOf, Told } from "./told.ts";

const on = (...names: readonly string[]): Partial<FrozenJob> => ({
  dependencies: names.map((name) => ({ name, soft: false })),
});
const using = (name: string): Partial<FrozenJob> => ({ semaphores: [{ name, resourcesFirst: false }] });

/** A change whose first job has paused. @returns Its build. */
function paused(told: Told, id: string, ...jobs: readonly FrozenJob[]): number {
  told.offer(changeOf(id), "check");
  told.freeze(...jobs);
  told.grant();
  const { build } = told.one("startBuild");
  told.tell({ kind: "paused", build });
  return build;
}

const jobs = (told: Told) => told.items("check").flatMap((item) => item.jobs);

describe("a paused build", () => {
  it("lends its nodes to what depends on it, and goes on when all of that has ended", () => {
    const told = new Told(CHECK);
    const build = paused(
      told,
      "A",
      jobOf("parent"),
      jobOf("child", on("parent")),
      jobOf("below", on("child")),
    );
    expect(told.asked("releaseNodes")).toEqual([{ kind: "releaseNodes", build }]);
    told.grant();
    told.end(told.one("startBuild").build);
    told.grant();
    told.end(told.one("startBuild").build, { kind: "final", result: "FAILURE" });
    expect(told.one("requestNodes").build).toBe(build);
    expect(told.asked("resumeBuild")).toEqual([]);
    told.grant();
    expect(told.asked("resumeBuild")).toEqual([{ kind: "resumeBuild", build }]);
    told.end(build);
    expect(jobs(told)).toEqual([]);
  });

  it("that is lost begins again, and with it all that depends on it, what had ended included", () => {
    const told = new Told(CHECK);
    const build = paused(told, "A", jobOf("parent"), jobOf("one", on("parent")), jobOf("two", on("parent")));
    told.grant();
    const [one, two] = told.asked("startBuild");
    told.end(one!.build);
    told.end(build, { kind: "lost" });
    expect(told.asked("cancelBuild")).toEqual([{ kind: "cancelBuild", build: two!.build }]);
    expect(told.one("requestNodes").build).toBeGreaterThan(two!.build);
    expect(jobs(told).map(({ state, result }) => [state, result])).toEqual([
      ["queued", null],
      ["waiting", null],
      ["waiting", null],
    ]);
  });

  it("is asked for as such after a restart, and goes on as ever", () => {
    const told = new Told(CHECK);
    const build = paused(told, "A", jobOf("parent"), jobOf("child", on("parent")));
    told.grant();
    const child = told.one("startBuild").build;
    told.restart();
    expect(told.asked("startBuild").map((one) => [one.build, one.isPaused])).toEqual([
      [build, true],
      [child, undefined],
    ]);
    told.end(child);
    told.restart();
    expect(told.one("startBuild")).toMatchObject({ build, isPaused: true });
    told.grant();
    expect(told.one("resumeBuild").build).toBe(build);
  });

  it("that holds what a job that depends on it needs makes that job fail, rather than wait for ever", () => {
    const told = new Told(CHECK);
    const build = paused(
      told,
      "A",
      jobOf("parent", using("S")),
      jobOf("child", { ...on("parent"), ...using("S") }),
    );
    expect(jobs(told)[1]).toMatchObject({
      result: "FAILURE",
      reason: "waits for semaphore S, which job parent of A holds, and waits for it",
    });
    told.grant();
    expect(told.one("resumeBuild").build).toBe(build);
  });

  it("takes no nodes from what waits for its semaphores: that gives its own back meanwhile", () => {
    const told = new Told(CHECK);
    told.offer(changeOf("A"), "check");
    told.freeze(jobOf("parent", using("S")), jobOf("child", on("parent")));
    told.grant();
    const parent = told.one("startBuild").build;
    told.offer(changeOf("B"), "check");
    told.freeze(jobOf("J", { semaphores: [{ name: "S", resourcesFirst: true }] }));
    const waiting = told.one("requestNodes").build;
    told.grant();
    expect(told.asked("startBuild")).toEqual([]);
    told.tell({ kind: "paused", build: parent });
    expect(
      told
        .asked("releaseNodes")
        .map(({ build }) => build)
        .sort(),
    ).toEqual([parent, waiting].sort());
    told.grant();
    told.end(told.one("startBuild").build);
    told.grant();
    told.end(parent);
    expect(told.asked("requestNodes")).toHaveLength(1);
  });

  it.each([false, true])("of two that wait for each other gives way; told to fail: %s", (fails) => {
    const told = new Told(CHECK);
    const start = (id: string, own: string, needed: string): number => {
      told.offer(changeOf(id), "check");
      told.freeze(jobOf("parent", using(own)), jobOf("child", { ...on("parent"), ...using(needed) }));
      told.grant();
      return told.one("startBuild").build;
    };
    const [first, later] = [start("A", "S", "T"), start("B", "T", "S")];
    if (fails) told.tell({ kind: "failing", build: later, detail: "its output says so" });
    told.tell({ kind: "paused", build: later });
    told.tell({ kind: "paused", build: first });
    expect(told.asked("cancelBuild")).toEqual([{ kind: "cancelBuild", build: later }]);
    const shown = jobs(told).map(({ name, state }) => `${name} ${state}`);
    if (fails) {
      // Others have acted upon it.
      expect(shown).toEqual(["parent paused", "child queued"]);
      expect(told.one("report")).toMatchObject({
        what: "failure",
        subject: { id: "B" },
        builds: [
          { job: "parent", result: "FAILURE" },
          { job: "child", result: "SKIPPED" },
        ],
      });
    } else expect(shown).toEqual(["parent paused", "child queued", "parent waiting", "child waiting"]);
  });
});
