import { PROJECTS, type Scenario, SMALL } from "./world.ts";

/* What operators do to queues, and pipelines to each other. */

export const OPERATING: readonly Scenario[] = [
  {
    title: "22: a change that enters the gate leaves check, which it supersedes",
    setup: { projects: PROJECTS, check: true, supercedes: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.expectQueue("check", "A");
      await world.expectRunning("M{A}");
      await world.approve("A");
      await world.expectQueue("check");
      await world.expectQueue("gate", "A");
      await world.expectRunning("M{A}");
      await world.expectHistory("M{A}∅");
      await world.release();
      await world.expectMerged("A");
      await world.expectReports("A", "start", "success");
    },
  },
  {
    title: "52: promoted changes are tested and merge ahead of the others, which follow in their order",
    setup: { projects: SMALL },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}", "J{A,B,C}");
      await world.promote("gate", "B", "C");
      await world.expectQueue("gate", "B", "C", "A");
      await world.expectRunning("J{B}", "J{B,C}", "J{B,C,A}");
      await world.release();
      await world.expectMerged("B", "C", "A");
      for (const name of ["A", "B", "C"]) await world.expectReports(name, "start", "success");
      await world.expectHistory(...["J{A}∅", "J{A,B}∅", "J{A,B,C}∅"], ...["J{B}✓", "J{B,C}✓", "J{B,C,A}✓"]);
    },
  },
  {
    title: "52: what a promoted change needs goes ahead of it",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.create("C", { project: "P", parent: "B" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}", "J{A,B,C}");
      await world.promote("gate", "C");
      await world.expectQueue("gate", "B", "C", "A");
      await world.expectRunning("J{B}", "J{B,C}", "J{B,C,A}");
      await world.promote("gate", "C");
      await world.expectQueue("gate", "B", "C", "A");
      await world.release();
      await world.expectMerged("B", "C", "A");
      await world.expectHistory(...["J{A}∅", "J{A,B}∅", "J{A,B,C}∅"], ...["J{B}✓", "J{B,C}✓", "J{B,C,A}✓"]);
    },
  },
];
