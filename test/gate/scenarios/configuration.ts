import { type JobSetup, type Scenario, SMALL } from "./world.ts";

/* Changes that edit the configuration by which they are tested. */

const J: JobSetup = { name: "J" };
const N: JobSetup = { name: "N" };
/** Named by a project, but defined elsewhere or nowhere. */
const NAMED: JobSetup = { name: "N", isDefined: false };

export const CONFIGURATION: readonly Scenario[] = [
  {
    title: "59: a change that adds a job is tested by it, and so is the next one once it has merged",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("A", { project: "P", config: [J, N] });
      await world.expectRunning("J{A}", "N{A}");
      await world.release();
      await world.approve("A");
      await world.expectRunning("J{A}", "N{A}");
      await world.release();
      await world.expectMerged("A");
      await world.expectReports("A", "success", "start", "success");
      await world.create("B", { project: "P" });
      await world.expectRunning("J{B}", "N{B}");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title:
      "59: a job that is not there is told at its line and nothing is built, until a revision defines it",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("A", { project: "P", config: [J, NAMED] });
      await world.expectReports("A", "config-error");
      await world.expectComment("A", "zuul.yaml", "N, which is not defined");
      await world.expectHistory();
      await world.revise("A", { config: [J, N] });
      await world.expectRunning("J{A}", "N{A}");
      await world.release();
      await world.expectReports("A", "config-error", "success");
    },
  },
  {
    title:
      "59: what is behind a change that brings the project into the gate leaves untested when that one fails",
    setup: { projects: [{ name: "P", jobs: [] }] },
    async play(world) {
      await world.create("A", { project: "P", config: [J] });
      await world.create("B", { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}");
      await world.fail("J", "A");
      await world.release("J{A}");
      await world.expectQueue("gate");
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "no-jobs");
      await world.expectHistory("J{A}✗", "J{A,B}∅");
      await world.expectMerged();
    },
  },
  {
    title:
      "59: a job of an unmerged change is there for a change of another repository's branch that needs it",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("A", { project: "P", config: [J, N] });
      await world.create("B", { project: "P1", branch: "stable", config: [NAMED], dependsOn: ["A"] });
      await world.expectRunning("J{A}", "N{A}", "N{A,B}");
      await world.create("C", { project: "P1", branch: "stable", config: [NAMED] });
      await world.expectReports("C", "config-error");
      await world.release();
      await world.expectReports("A", "success");
      await world.expectReports("B", "success");
    },
  },
  {
    title: "what is behind a change that adds a job runs it, and does not once that one fails",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("A", { project: "P", config: [J, N] });
      await world.create("B", { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "N{A}", "J{A,B}", "N{A,B}");
      await world.fail("N", "A");
      await world.release("N{A}");
      await world.expectRunning("J{A}", "J{B}");
      await world.release();
      await world.expectMerged("B");
      await world.expectReports("A", "start", "failure");
    },
  },
  {
    title: "a change behind one that adds a job which it needs is right together with it, and wrong without",
    setup: {
      projects: [
        { name: "P1", queue: "integrated", jobs: [J] },
        { name: "P2", queue: "integrated", jobs: [] },
      ],
    },
    async play(world) {
      await world.create("A", { project: "P1", config: [J, N] });
      await world.create("B", { project: "P2", config: [NAMED] });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "N{A}", "N{A,B}");
      await world.fail("J", "A");
      await world.release("J{A}", "N{A}");
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "config-error");
      await world.expectMerged();
      await world.expectHistory("J{A}✗", "N{A}✓", "N{A,B}∅");
    },
  },
];
