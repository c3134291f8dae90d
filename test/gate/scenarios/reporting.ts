import type { ProjectSetup, Scenario } from "./world.ts";

/* What is reported, where, and what of it does not matter to the gate. */

const ONE_JOB: readonly ProjectSetup[] = [{ name: "P", jobs: [{ name: "J" }] }];

export const REPORTING: readonly Scenario[] = [
  {
    title: "18: two changes of a project with one job are tested at once and merge in their order",
    setup: { projects: ONE_JOB },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}");
      await world.release("J{A,B}");
      await world.expectQueue("gate", "A", "B");
      await world.expectMerged();
      await world.release("J{A}");
      await world.expectMerged("A", "B");
      await world.expectHistory("J{A}✓", "J{A,B}✓");
      for (const name of ["A", "B"]) await world.expectReports(name, "start", "success");
    },
  },
  {
    title: "18: a reporter that fails stops no other one, and nothing of the pipeline",
    setup: { projects: ONE_JOB, reportsElsewhere: true },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P" });
      await world.fail("J", "B");
      for (const name of ["A", "B"]) await world.approve(name);
      await world.release("J{A}");
      await world.expectQueue("gate", "B");
      await world.expectMerged("A");
      await world.approve("C");
      await world.release("J{A,B}");
      await world.expectQueue("gate", "C");
      await world.release();
      await world.expectQueue("gate");
      await world.expectMerged("A", "C");
      for (const [name, result] of [
        ["A", "success"],
        ["B", "failure"],
        ["C", "success"],
      ] as const) {
        await world.expectReports(name, "start", result);
        await world.expectReportsElsewhere(name, "start", result);
      }
    },
  },
];
