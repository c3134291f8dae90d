import { type JobSetup, type Scenario, SMALL } from "./world.ts";

/* What is done after a merge, because of one, because of the time, and by a pipeline that fails again and again. */

const J: JobSetup = { name: "J" };
const NOOP: JobSetup = { name: "noop", noop: true };

export const AFTER_MERGES: readonly Scenario[] = [
  {
    title: "51: an abandoned change is nothing to what the clock has started",
    setup: {
      projects: [{ name: "P", jobs: [J], more: { nightly: [{ name: "N" }] } }],
      check: true,
      pipelines: ["nightly"],
    },
    async play(world) {
      await world.strike();
      await world.expectRunning("N{main}");
      await world.create("A", { project: "P" });
      await world.expectRunning("J{A}", "N{main}");
      await world.strike();
      await world.expectQueue("nightly", "main");
      await world.abandon("A");
      await world.expectQueue("check");
      await world.expectRunning("N{main}");
      await world.expectHistory("J{A}∅");
      await world.expectQueue("nightly", "main");
    },
  },
  {
    title:
      "60: of a branch that moves while it is published only the newest is published next, and others do not wait",
    setup: {
      projects: [{ name: "P", jobs: [NOOP], more: { publish: [{ name: "S" }] } }],
      pipelines: ["publish"],
    },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P" });
      await world.approve("A");
      await world.expectRunning("S{main@A}");
      // The branch is made for it.
      await world.create("D", { project: "P", branch: "stable" });
      await world.expectRunning("S{main@A}", "S{stable}");
      await world.approve("B");
      await world.expectMerged("A", "B");
      await world.expectQueue("publish", "main@A", "main@B", "stable");
      await world.approve("C");
      await world.expectMerged("A", "B", "C");
      await world.expectQueue("publish", "main@A", "main@C", "stable");
      await world.expectRunning("S{main@A}", "S{stable}");
      await world.approve("D");
      await world.release("S{stable}");
      await world.expectRunning("S{main@A}", "S{stable@D}");
      await world.release("S{main@A}");
      await world.expectRunning("S{main@C}", "S{stable@D}");
      await world.release();
      await world.expectHistory("S{main@A}✓", "S{main@C}✓", "S{stable}✓", "S{stable@D}✓");
      await world.expectMerged("A", "B", "C", "D");
    },
  },
  {
    title:
      "60: what has merged is deployed one at a time in each queue, all of it, and whether one fails is nothing to the next",
    setup: {
      projects: SMALL.map((project) => ({ ...project, jobs: [NOOP], more: { deploy: [{ name: "D" }] } })),
      pipelines: ["deploy"],
    },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.create("C", { project: "P1" });
      await world.create("X", { project: "P" });
      for (const name of ["A", "B", "C"]) {
        await world.approve(name);
        await world.expectQueue("gate");
      }
      await world.expectQueue("deploy", "A", "B", "C");
      await world.expectRunning("D{A}");
      await world.approve("X");
      await world.expectRunning("D{A}", "D{X}");
      await world.fail("D", "A");
      await world.release("D{A}");
      await world.expectRunning("D{B}", "D{X}");
      await world.release("D{B}");
      await world.expectRunning("D{C}", "D{X}");
      await world.release();
      await world.expectHistory("D{A}✗", "D{B}✓", "D{C}✓", "D{X}✓");
      await world.expectReports("A", "start", "success", "failure");
      for (const name of ["B", "C", "X"]) await world.expectReports(name, "start", "success", "success");
    },
  },
  {
    title:
      "60: when a change has merged, an open one that does not merge any more is told so, and others are told nothing",
    setup: {
      projects: ["P", "Q"].map((name) => ({ name, jobs: [NOOP], more: { "merge-check": [NOOP] } })),
      pipelines: ["merge-check"],
    },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P", files: ["same"] });
      await world.create("C", { project: "P" });
      await world.create("D", { project: "Q" });
      await world.approve("A");
      await world.expectMerged("A");
      await world.expectReports("B", "merge-conflict");
      await world.expectQueue("merge-check");
      for (const name of ["C", "D"]) await world.expectReports(name);
      await world.approve("C");
      await world.expectMerged("A", "C");
      await world.expectReports("B", "merge-conflict", "merge-conflict");
    },
  },
  {
    title: "60: what needs a change that enters the gate is checked anew, or follows it when it is approved",
    setup: { projects: SMALL, check: true, supercedes: true, rechecks: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P1", parent: "A" });
      await world.create("C", { project: "P2", dependsOn: ["A"] });
      await world.create("D", { project: "P1" });
      await world.release();
      await world.approve("C");
      await world.expectWaiting("C");
      await world.expectQueue("check");
      await world.approve("A");
      await world.expectQueue("gate", "A", "C");
      await world.expectQueue("check", "(A)", "B");
      await world.release();
      await world.expectMerged("A", "C");
      await world.expectReports("B", "success", "success");
      await world.expectReports("D", "success");
      await world.expectReports("C", "success", "start", "success");
    },
  },
  {
    title: "60: after three failures in a row a pipeline tells nobody, until it is configured again",
    setup: { projects: [{ name: "P", jobs: [J] }], check: true, disableAfter: 3 },
    async play(world) {
      const check = async (name: string, isGood = false): Promise<void> => {
        if (!isGood) await world.fail("J", name);
        await world.create(name, { project: "P" });
        await world.release(`J{${name}}`);
        await world.expectQueue("check");
      };
      for (const name of ["A", "B"]) await check(name);
      await check("C", true);
      for (const name of ["D", "E", "F", "G"]) await check(name);
      await check("H", true);
      for (const name of ["A", "B", "D", "E", "F"]) await world.expectReports(name, "failure");
      await world.expectReports("C", "success");
      for (const name of ["G", "H"]) await world.expectReports(name);
      await world.reconfigure();
      await check("I");
      await world.expectReports("I", "failure");
    },
  },
];
