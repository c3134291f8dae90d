import { type JobSetup, PROJECTS, type Scenario, SMALL } from "./world.ts";

/* New revisions, abandoned changes, withdrawn approvals, and the graph of jobs. E7 tells scenario 49. */

const DIAMOND: readonly JobSetup[] = [
  { name: "A" },
  { name: "B", after: ["A"] },
  { name: "C", after: ["A"] },
  { name: "D", after: ["B"] },
  { name: "E", after: ["C"] },
  { name: "F", after: ["B", "C"] },
  { name: "G", after: ["F"] },
];

export const LIFECYCLE: readonly Scenario[] = [
  {
    title: "49: a new revision of the head takes its chain along, and what is not of it merges",
    setup: { projects: PROJECTS },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.create("C", { project: "P", parent: "B" });
      await world.create("D", { project: "P" });
      for (const name of ["A", "B", "C", "D"]) await world.approve(name);
      await world.expectRunning("M{A}");
      await world.revise("A");
      await world.expectQueue("gate", "D");
      await world.expectReports("B", "start", "failure");
      await world.expectReports("C", "start", "failure");
      await world.release();
      await world.expectMerged("D");
      await world.expectHistory("M{A}∅", "M{D}✓", "T1{D}✓", "T2{D}✓");
    },
  },
  {
    title: "49: a new revision of a change that nobody needs takes only its old revision out",
    setup: { projects: SMALL },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.revise("B");
      await world.expectQueue("gate", "A", "C");
      await world.expectRunning("J{A}", "J{A,C}");
      await world.release();
      await world.expectMerged("A", "C");
    },
  },
  {
    title: "51: an abandoned change leaves the gate without a word about its result",
    setup: { projects: PROJECTS },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.approve("A");
      await world.expectRunning("M{A}");
      await world.abandon("A");
      await world.expectQueue("gate");
      await world.expectHistory("M{A}∅");
      await world.expectReports("A", "start");
    },
  },
  {
    title: "51: what is checked on top of an abandoned change goes on",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.expectRunning("J{A}", "J{A,B}");
      await world.abandon("A");
      await world.expectRunning("J{A,B}");
      await world.release();
      await world.expectReports("A");
      await world.expectReports("B", "success");
    },
  },
  {
    title: "a change whose approval is withdrawn leaves, and those behind are tested without it",
    setup: { projects: SMALL },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}");
      await world.unapprove("A");
      await world.expectRunning("J{B}");
      await world.expectReports("A", "start", "failure");
      await world.expectReason("A", "is not approved any more");
      await world.release();
      await world.expectMerged("B");
    },
  },
  {
    title: "55: each job runs once, as soon as all that it depends on has succeeded",
    setup: { projects: [{ name: "P", jobs: DIAMOND }] },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.expectRunning("A{X}");
      await world.release("A{X}");
      await world.expectRunning("B{X}", "C{X}");
      await world.release("B{X}");
      await world.expectRunning("C{X}", "D{X}");
      await world.release("C{X}");
      await world.expectRunning("D{X}", "E{X}", "F{X}");
      await world.release("F{X}");
      await world.expectRunning("D{X}", "E{X}", "G{X}");
      await world.release();
      await world.expectMerged("X");
      await world.expectHistory("A{X}✓", "B{X}✓", "C{X}✓", "D{X}✓", "E{X}✓", "F{X}✓", "G{X}✓");
    },
  },
  {
    title: "55: what depends on a job that failed is skipped",
    setup: { projects: [{ name: "P", jobs: DIAMOND }] },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.fail("C", "X");
      await world.approve("X");
      await world.release();
      await world.expectHistory("A{X}✓", "B{X}✓", "C{X}✗", "D{X}✓");
      await world.expectReports("X", "start", "failure");
    },
  },
  {
    title: "55: a soft dependency on a job that is not run here does not matter",
    setup: { projects: [{ name: "P", jobs: [{ name: "A", after: ["soft:missing"] }] }] },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.expectRunning("A{X}");
      await world.release();
      await world.expectMerged("X");
    },
  },
  {
    title: "55: a hard dependency on a job that is not run here is wrong configuration, and nothing is built",
    setup: { projects: [{ name: "P", jobs: [{ name: "A", after: ["missing"] }] }] },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.expectReports("X", "config-error");
      await world.expectHistory();
      await world.expectMerged();
    },
  },
];
