import type { ProjectSetup, Scenario, ScenarioWorld } from "./world.ts";

/* Changes that need each other, where their queue allows that: one item, of which all or nothing merges. */

const PROJECTS: readonly ProjectSetup[] = [
  { name: "P1", queue: "integrated", jobs: [{ name: "J" }] },
  { name: "P2", queue: "integrated", jobs: [{ name: "K" }] },
];

/** By how often they may run for changes of both. */
const SHARED_JOBS: readonly ProjectSetup[] = ["P1", "P2"].map((name) => ({
  name,
  queue: "integrated",
  jobs: [
    { name: "once", deduplicate: true },
    { name: "auto", requiredProjects: ["P1", "P2"] },
    { name: "own" },
    { name: "each", deduplicate: false, requiredProjects: ["P1", "P2"] },
  ],
}));
const SHARED_BUILDS = ["once{B,A}", "auto{B,A}", "own{B,A}", "own{B,A}", "each{B,A}", "each{B,A}"];

/** A of P1 and B of P2, which need each other. */
async function createPair(world: ScenarioWorld): Promise<void> {
  await world.create("A", { project: "P1" });
  await world.create("B", { project: "P2", dependsOn: ["A"] });
  await world.revise("A", { dependsOn: ["B"] });
}

export const CYCLES: readonly Scenario[] = [
  {
    title: "40: a cycle enters behind what it needs, and each of its builds sees all of it",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.create("C", { project: "P1" });
      await world.revise("A", { dependsOn: ["B", "C"] });
      await world.approve("A");
      await world.approve("B");
      await world.expectWaiting("A", "B");
      await world.approve("C");
      await world.expectWaiting();
      await world.expectQueue("gate", "C", "B+A");
      await world.expectRunning("J{C}", "K{C,B,A}", "J{C,B,A}");
      await world.release();
      await world.expectMerged("C", "B", "A");
      await world.expectReports("A", "start", "success");
      await world.expectReports("B", "start", "success");
      await world.expectWindow("P1", 22);
    },
  },
  {
    title: "a cycle waits until the last of it is approved, and what needs one of it queues behind",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.create("X", { project: "P2", dependsOn: ["A"] });
      await world.approve("X");
      await world.approve("A");
      await world.expectWaiting("A", "X");
      await world.approve("B");
      await world.expectQueue("gate", "B+A", "X");
      await world.expectRunning("K{B,A}", "J{B,A}", "K{B,A,X}");
      await world.unapprove("B");
      await world.expectQueue("gate");
      await world.expectWaiting("A");
      await world.expectReason("A", "B, which is not approved any more");
      await world.approve("B");
      await world.expectQueue("gate", "B+A", "X");
      await world.release();
      await world.expectMerged("B", "A", "X");
    },
  },
  {
    title: "a change of a cycle that fails fails all of it, and what needs it",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.create("X", { project: "P1", dependsOn: ["B"] });
      await world.create("Y", { project: "P1" });
      await world.fail("K", "B");
      for (const name of ["A", "B", "X", "Y"]) await world.approve(name);
      await world.expectQueue("gate", "B+A", "X", "Y");
      await world.release();
      await world.expectMerged("Y");
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "failure");
      await world.expectReports("X", "start", "failure");
      await world.expectReason("A", "ended with FAILURE");
    },
  },
  {
    title: "43: a cycle that failed behind a change that fails is tested again without it",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P1" });
      await world.create("D", { project: "P2", dependsOn: ["C"] });
      await world.revise("C", { dependsOn: ["D"] });
      await world.create("E", { project: "P1" });
      await world.fail("J", "B");
      await world.fail("J", "C");
      for (const name of ["A", "B", "C", "D", "E"]) await world.approve(name);
      await world.expectQueue("gate", "A", "B", "D+C", "E");
      await world.release("J{A,B,D,C}");
      await world.expectRunning("J{A}", "J{A,B}", "K{A,B,D,C}", "J{A,B,E}");
      await world.pass("J", "C");
      await world.release("J{A,B}");
      await world.expectRunning("J{A}", "J{A,D,C}", "K{A,D,C}", "J{A,D,C,E}");
      await world.release();
      await world.expectMerged("A", "D", "C", "E");
      await world.expectReports("B", "start", "failure");
      await world.expectReports("C", "start", "success");
      await world.expectReports("D", "start", "success");
    },
  },
  {
    title: "45: a cycle of which the forge refuses one merges not at all, and each of it is told",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.refuseMerge("A");
      await world.approve("A");
      await world.approve("B");
      await world.release();
      await world.expectMerged();
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "failure");
      await world.expectReason("B", "its merge was refused");
      await world.create("C", { project: "P2" });
      await world.approve("C");
      await world.release();
      await world.expectMerged("C");
    },
  },
  {
    title: "47: changes that come to need each other are tested again as one, in check",
    setup: { projects: PROJECTS, cycles: true, check: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.expectRunning("J{A}", "K{A,B}");
      await world.revise("A", { dependsOn: ["B"] });
      await world.expectHistory("J{A}∅", "K{A,B}∅");
      await world.expectRunning("J{B,A}", "K{B,A}");
      await world.expectQueue("check", "B+A");
      await world.release();
      await world.expectReports("A", "success");
      await world.expectReports("B", "success");
    },
  },
  {
    title: "47: a cycle that is one no more leaves the gate, and its changes enter each for itself",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.approve("A");
      await world.approve("B");
      await world.expectQueue("gate", "B+A");
      await world.revise("A", { dependsOn: [] });
      await world.expectQueue("gate");
      await world.expectWaiting("B");
      await world.approve("A");
      await world.expectQueue("gate", "A", "B");
      await world.release();
      await world.expectMerged("A", "B");
    },
  },
  {
    title: "an equal job of a cycle's changes runs once for all of them where it may",
    setup: { projects: SHARED_JOBS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.approve("A");
      await world.approve("B");
      await world.expectRunning(...SHARED_BUILDS);
      await world.release();
      await world.expectHistory(...SHARED_BUILDS.map((name) => `${name}✓`));
      await world.expectMerged("B", "A");
      await world.expectReports("A", "start", "success");
      await world.expectReports("B", "start", "success");
    },
  },
  {
    title: "a job that runs once for a cycle's changes fails all of them",
    setup: { projects: SHARED_JOBS, cycles: true },
    async play(world) {
      await createPair(world);
      await world.fail("once", "B");
      await world.approve("A");
      await world.approve("B");
      await world.release();
      await world.expectHistory(...SHARED_BUILDS.map((name) => `${name}${name === "once{B,A}" ? "✗" : "✓"}`));
      await world.expectMerged();
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "failure");
      await world.expectReason("A", "once of B and A ended with FAILURE");
    },
  },
  {
    title: "an equal job of a cycle's changes of one branch runs once, and of different branches for each",
    setup: { projects: PROJECTS, cycles: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P1", dependsOn: ["A"] });
      await world.create("C", { project: "P1", branch: "stable", dependsOn: ["B"] });
      await world.revise("A", { dependsOn: ["C"] });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("J{B,C,A}", "J{B,C,A}");
      await world.release();
      await world.expectMerged("B", "C", "A");
    },
  },
];
