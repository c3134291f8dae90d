import { describe, expect, it } from "vitest";
import { MAX_LOST_EXECUTORS } from "../../src/core/index.ts";
import { failureOf } from "../../src/core/job-graph.ts";
import type { JobRun } from "../../src/core/state.ts";
import { changeOf, GATE, jobOf, Told } from "./told.ts";

const jobs = (told: Told) => told.items()[0]!.jobs;

describe("a build", () => {
  it("is run again while its preparation fails and there are attempts", () => {
    const told = new Told(GATE);
    let build = told.run(changeOf("A"), jobOf("J", { attempts: 2 }));
    told.end(build, { kind: "retry", again: true });
    expect(told.asked("releaseNodes")).toEqual([{ kind: "releaseNodes", build }]);
    told.grant();
    const [started] = told.asked("startBuild");
    expect(started).toMatchObject({ attempt: 2 });
    expect(started!.build).not.toBe(build);
    build = started!.build;
    told.end(build, { kind: "retry", again: true });
    expect(told.one("report")).toMatchObject({ what: "failure", builds: [{ result: "RETRY_LIMIT" }] });
  });

  it("is not run again when its job asks for that", () => {
    const told = new Told(GATE);
    told.end(told.run(changeOf("A")), { kind: "retry", again: false });
    expect(told.one("report")).toMatchObject({ builds: [{ result: "FAILURE" }] });
  });

  it(`is run again up to ${MAX_LOST_EXECUTORS} times when its executor is lost, which is no attempt`, () => {
    const told = new Told(GATE);
    let build = told.run(changeOf("A"), jobOf("J", { attempts: 1 }));
    for (let i = 0; i < MAX_LOST_EXECUTORS; i++) {
      told.end(build, { kind: "lost" });
      told.grant();
      expect(told.one("startBuild")).toMatchObject({ attempt: 1 });
      build = told.one("startBuild").build;
    }
    told.end(build, { kind: "lost" });
    expect(told.one("report")).toMatchObject({ builds: [{ result: "RETRY_LIMIT" }] });
  });

  it("counts once when its end is told twice", () => {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"), jobOf("J", { attempts: 1 }));
    told.end(build);
    told.end(build, { kind: "final", result: "FAILURE" });
    expect(told.core.counters).toMatchObject({ builds: { SUCCESS: 1 }, stale: 1 });
  });

  it("fails without running when its nodes cannot be had", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze(jobOf("J"));
    const { build } = told.one("requestNodes");
    told.tell({ kind: "nodes", build, granted: false });
    expect(told.asked("startBuild")).toEqual([]);
    expect(told.one("report")).toMatchObject({ what: "failure", builds: [{ result: "NODE_FAILURE" }] });
  });

  it("gives nodes back that are granted after nobody wants them", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    told.freeze(jobOf("J"));
    const { build } = told.one("requestNodes");
    told.tell({ kind: "dequeue", subject: "A", pipeline: "gate" });
    expect(told.asked("releaseNodes")).toHaveLength(1);
    told.tell({ kind: "nodes", build, granted: true });
    expect(told.effects).toEqual([{ kind: "releaseNodes", build }]);
  });

  it("is cancelled when another one of a fail-fast item fails", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const { buildset, chain } = told.one("merge");
    const steps = chain.map(() => ({ base: "b", commit: "c" }));
    told.tell({ kind: "merged", buildset, result: { kind: "merged", steps } });
    const graph = { jobs: [jobOf("one"), jobOf("two")], failFast: true };
    told.tell({ kind: "frozen", buildset, result: { kind: "graph", graph } });
    told.grant();
    const [one, two] = told.asked("startBuild");
    told.end(one!.build, { kind: "final", result: "FAILURE" });
    expect(told.asked("cancelBuild")).toEqual([{ kind: "cancelBuild", build: two!.build }]);
    expect(told.one("report").builds.map(({ result }) => result)).toEqual(["FAILURE", "CANCELED"]);
  });

  it("that is told to fail fails its item at once, and is a failure however it ends", () => {
    for (const result of [{ kind: "final", result: "SUCCESS" }, { kind: "lost" }] as const) {
      const told = new Told(GATE);
      const build = told.run(changeOf("A"));
      told.tell({ kind: "failing", build, detail: "its output says so" });
      expect(told.items()[0]!.failing).toBe("job J fails: its output says so");
      expect(jobs(told)[0]).toMatchObject({ state: "running", isFailing: true });
      expect(told.asked("report")).toEqual([]);
      told.restart();
      told.tell({ kind: "failing", build, detail: "again" });
      told.end(build, result);
      expect(told.one("report")).toMatchObject({ what: "failure", builds: [{ result: "FAILURE" }] });
    }
  });

  it("that is told to fail and does not vote holds nothing up", () => {
    const told = new Told(GATE);
    const build = told.run(changeOf("A"), jobOf("J", { voting: false }));
    told.tell({ kind: "failing", build, detail: "its output says so" });
    expect(told.items()[0]!.failing).toBeNull();
    told.end(build);
    expect(told.asked("land")).toHaveLength(1);
  });

  it("that is told to fail ends the others of a fail-fast item, and goes on itself", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const { buildset, chain } = told.one("merge");
    const steps = chain.map(() => ({ base: "b", commit: "c" }));
    told.tell({ kind: "merged", buildset, result: { kind: "merged", steps } });
    const graph = { jobs: [jobOf("one"), jobOf("two"), jobOf("three")], failFast: true };
    told.tell({ kind: "frozen", buildset, result: { kind: "graph", graph } });
    told.grant();
    const [one] = told.asked("startBuild");
    told.tell({ kind: "failing", build: one!.build, detail: "its output says so" });
    expect(told.asked("cancelBuild")).toHaveLength(2);
    expect(jobs(told).map(({ result, reason }) => [result, reason])).toEqual([
      [null, "its output says so"],
      ["CANCELED", "job one failed"],
      ["CANCELED", "job one failed"],
    ]);
  });

  it("says which of the jobs that depend on it run", () => {
    const told = new Told(GATE);
    const dependencies = [{ name: "parent", soft: false }];
    told.offer(changeOf("A"));
    told.freeze(
      ...[jobOf("parent"), jobOf("yes", { dependencies }), jobOf("no", { dependencies })],
      jobOf("below", { dependencies: [{ name: "no", soft: false }] }),
      jobOf("softly", { dependencies: [{ name: "no", soft: true }] }),
    );
    told.grant();
    const { build } = told.one("startBuild");
    told.tell({
      ...{ kind: "ended", build, result: { kind: "final", result: "SUCCESS" } },
      childJobs: ["yes", "unknown"],
    });
    expect(jobs(told).map(({ name, state, result }) => [name, state, result])).toEqual([
      ["parent", "ended", "SUCCESS"],
      ["yes", "queued", null],
      ["no", "ended", "SKIPPED"],
      ["below", "ended", "SKIPPED"],
      ["softly", "queued", null],
    ]);
    expect(jobs(told)[2]!.reason).toBe("job parent left it out");
  });

  it("stands in line by precedence, and by place as items ahead leave", () => {
    const told = new Told({ ...GATE, window: { ...GATE.window, size: 0 } });
    const first = told.run(changeOf("A"));
    told.offer(changeOf("B"));
    told.freeze(jobOf("J"));
    const { build, rank } = told.one("requestNodes");
    expect(rank).toBe(1);
    told.end(first);
    const { buildset } = told.one("land");
    told.tell({ kind: "landed", buildset, refused: null });
    expect(told.core.rankOf(build)).toBe(0);
    expect(told.core.rankOf(first)).toBeNull();
  });

  it("of jobs that turn in a circle is never asked for", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const on = (name: string) => ({ dependencies: [{ name, soft: false }] });
    told.freeze(jobOf("one", on("two")), jobOf("two", on("one")));
    expect(told.one("report")).toMatchObject({
      what: "config-error",
      problems: [{ message: "jobs depend on each other in a circle: one, two" }],
    });
  });

  it("that was skipped is no failure, unless all of them were: then nothing was tested", () => {
    const told = new Told(GATE);
    told.offer(changeOf("A"));
    const dependencies = [{ name: "parent", soft: false }];
    told.freeze(jobOf("parent", { voting: false }), jobOf("child", { dependencies }));
    told.grant();
    told.end(told.one("startBuild").build, { kind: "final", result: "FAILURE" });
    expect(told.asked("land")).toHaveLength(1);
    const skipped = { job: jobOf("J"), state: "ended", result: "SKIPPED", failing: null } as JobRun;
    expect(failureOf(new Map([["J", skipped]]))).toBe("all of its jobs were skipped");
  });
});
