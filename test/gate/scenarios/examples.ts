import { PROJECTS, type Scenario, type ScenarioWorld } from "./world.ts";

/* The worked examples: A, B, C … are changes of one project, approved in this order. */

const P = { projects: PROJECTS };

async function approved(world: ScenarioWorld, ...names: readonly string[]): Promise<void> {
  for (const name of names) await world.create(name, { project: "P" });
  for (const name of names) await world.approve(name);
}

export const EXAMPLES: readonly Scenario[] = [
  {
    title: "E1: three changes that pass are tested at once, each on top of those ahead, and merge in order",
    setup: P,
    async play(world) {
      await approved(world, "A", "B", "C");
      await world.expectRunning("M{A}");
      await world.release("M{A}");
      await world.expectRunning("T1{A}", "T2{A}", "M{A,B}");
      await world.release("M{A,B}");
      await world.expectRunning("T1{A}", "T2{A}", "T1{A,B}", "T2{A,B}", "M{A,B,C}");
      await world.release("M{A,B,C}");
      await world.expectRunning("T1{A}", "T2{A}", "T1{A,B}", "T2{A,B}", "T1{A,B,C}", "T2{A,B,C}");
      await world.release();
      await world.expectMerged("A", "B", "C");
      await world.expectHistory(
        ...["M{A}✓", "T1{A}✓", "T2{A}✓"],
        ...["M{A,B}✓", "T1{A,B}✓", "T2{A,B}✓"],
        ...["M{A,B,C}✓", "T1{A,B,C}✓", "T2{A,B,C}✓"],
      );
      for (const name of ["A", "B", "C"]) await world.expectReports(name, "start", "success");
    },
  },
  {
    title: "E2: the head fails, and those behind start again without it at once",
    setup: P,
    async play(world) {
      await approved(world, "A", "B", "C");
      await world.fail("T1", "A");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("M{A,B,C}");
      await world.release("T1{A}");
      await world.expectRunning("T2{A}", "M{B}");
      await world.release("M{B}");
      await world.expectRunning("T2{A}", "T1{B}", "T2{B}", "M{B,C}");
      await world.fail("T2", "A");
      await world.release("T2{A}");
      // A second failure of A changes nothing for those behind.
      await world.expectRunning("T1{B}", "T2{B}", "M{B,C}");
      await world.release();
      await world.expectMerged("B", "C");
      await world.expectReports("A", "start", "failure");
      await world.expectHistory(
        ...["M{A}✓", "T1{A}✗", "T2{A}✗"],
        ...["M{A,B}✓", "T1{A,B}∅", "T2{A,B}∅"],
        ...["M{A,B,C}✓", "T1{A,B,C}∅", "T2{A,B,C}∅"],
        ...["M{B}✓", "T1{B}✓", "T2{B}✓"],
        ...["M{B,C}✓", "T1{B,C}✓", "T2{B,C}✓"],
      );
    },
  },
  {
    title: "E3: one in the middle fails, and only the one behind it starts again",
    setup: P,
    async play(world) {
      await approved(world, "A", "B", "C");
      await world.fail("T1", "B");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("M{A,B,C}");
      await world.release("T1{A,B}");
      await world.expectRunning("T1{A}", "T2{A}", "T2{A,B}", "M{A,C}");
      await world.expectReports("B", "start");
      await world.release();
      await world.expectMerged("A", "C");
      await world.expectReports("B", "start", "failure");
      await world.expectReason("B", "with A ahead");
      await world.expectHistory(
        ...["M{A}✓", "T1{A}✓", "T2{A}✓"],
        ...["M{A,B}✓", "T1{A,B}✗", "T2{A,B}✓"],
        ...["M{A,B,C}✓", "T1{A,B,C}∅", "T2{A,B,C}∅"],
        ...["M{A,C}✓", "T1{A,C}✓", "T2{A,C}✓"],
      );
    },
  },
  {
    title: "E4: a failure is void when one ahead fails too, and counts when it comes again",
    setup: P,
    async play(world) {
      await approved(world, "A", "B", "C");
      await world.fail("T1", "A");
      await world.fail("T1", "B");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("M{A,B,C}");
      await world.release("T1{A,B}");
      await world.release("M{A,C}");
      await world.expectRunning("T1{A}", "T2{A}", "T2{A,B}", "T1{A,C}", "T2{A,C}");
      await world.release("T1{A}", "T2{A}");
      await world.expectReports("A", "start", "failure");
      await world.expectRunning("M{B}");
      await world.release("M{B}");
      await world.release("M{B,C}");
      await world.expectRunning("T1{B}", "T2{B}", "T1{B,C}", "T2{B,C}");
      await world.release("T1{B}");
      await world.expectRunning("T2{B}", "M{C}");
      await world.release();
      await world.expectMerged("C");
      await world.expectReports("B", "start", "failure");
      await world.expectHistory(
        ...["M{A}✓", "T1{A}✗", "T2{A}✓"],
        ...["M{A,B}✓", "T1{A,B}✗", "T2{A,B}∅"],
        ...["M{A,B,C}✓", "T1{A,B,C}∅", "T2{A,B,C}∅"],
        ...["M{A,C}✓", "T1{A,C}∅", "T2{A,C}∅"],
        ...["M{B}✓", "T1{B}✗", "T2{B}✓"],
        ...["M{B,C}✓", "T1{B,C}∅", "T2{B,C}∅"],
        ...["M{C}✓", "T1{C}✓", "T2{C}✓"],
      );
    },
  },
  {
    title: "E5: a change that does not merge has no builds, and nobody is tested on top of it",
    setup: P,
    async play(world) {
      await world.create("A", { project: "P", files: ["same"] });
      await world.create("B", { project: "P", files: ["same"] });
      await world.create("C", { project: "P" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.release("M{A}");
      await world.expectRunning("T1{A}", "T2{A}", "M{A,C}");
      await world.release();
      await world.expectMerged("A", "C");
      await world.expectReports("B", "merge-conflict");
      await world.expectHistory("M{A}✓", "T1{A}✓", "T2{A}✓", "M{A,C}✓", "T1{A,C}✓", "T2{A,C}✓");
    },
  },
  {
    title: "E6: the window halves after a failure, grows after a merge, and what is outside of it waits",
    setup: {
      window: { size: 2, floor: 1 },
      projects: [
        { name: "P", jobs: [{ name: "M" }, { name: "T1", after: ["M"] }, { name: "T2", after: ["M"] }] },
      ],
    },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.create("C", { project: "P", parent: "B" });
      await world.fail("T1", "A");
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("M{A}", "M{A,B}");
      await world.expectWindow("P", 2);
      await world.release("M{A}");
      await world.release("T1{A}", "T2{A}");
      await world.expectWindow("P", 1);
      await world.expectRunning("M{B}");
      await world.release("M{B}");
      await world.release("T1{B}", "T2{B}");
      await world.expectMerged("B");
      await world.expectWindow("P", 2);
      await world.expectRunning("M{C}");
      await world.release();
      await world.expectMerged("B", "C");
      await world.expectWindow("P", 3);
    },
  },
  {
    title: "E7: a new revision in the middle takes those along that were built on the old one",
    setup: { projects: PROJECTS, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.create("C", { project: "P", parent: "B" });
      await world.create("D", { project: "P" });
      await world.release();
      for (const name of ["A", "B", "C", "D"]) await world.expectReports(name, "success");
      for (const name of ["A", "B", "C", "D"]) await world.approve(name);
      await world.expectQueue("gate", "A", "B", "C", "D");
      await world.revise("B");
      await world.expectQueue("gate", "A", "D");
      await world.expectReports("C", "success", "start", "failure");
      await world.release();
      await world.expectMerged("A", "D");
      await world.expectReports("B", "success", "start", "success");
    },
  },
  {
    title: "E8: a forge that refuses to merge resets everything behind",
    setup: P,
    async play(world) {
      await approved(world, "A", "B", "C");
      await world.refuseMerge("A");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("T1{A}", "T2{A}");
      await world.expectReports("A", "start", "failure");
      await world.expectRunning("M{B}");
      await world.release();
      await world.expectMerged("B", "C");
      await world.expectWindow("P", 22);
    },
  },
  {
    title: "E9: what needs a failing change does not start again, and what does not need it does",
    setup: P,
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.create("C", { project: "P", parent: "B" });
      await world.create("D", { project: "P", parent: "C" });
      await world.create("E", { project: "P" });
      await world.fail("T1", "B");
      for (const name of ["A", "B", "C", "D", "E"]) await world.approve(name);
      await world.expectQueue("gate", "A", "B", "C", "D", "E");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("M{A,B,C}");
      await world.release("M{A,B,C,D}");
      await world.release("M{A,B,C,D,E}");
      await world.release("T1{A,B}");
      await world.expectRunning("T1{A}", "T2{A}", "T2{A,B}", "M{A,E}");
      await world.release("T1{A}", "T2{A}", "T2{A,B}");
      await world.expectMerged("A");
      await world.expectReports("B", "start", "failure");
      await world.expectReports("C", "start", "failure");
      await world.expectReports("D", "start", "failure");
      await world.expectReason("C", "needs B, which failed");
      await world.expectRunning("M{A,E}");
      await world.release();
      await world.expectMerged("A", "E");
    },
  },
  {
    title: "E10: in check, what a change needs is put underneath it and is not reported",
    setup: { projects: PROJECTS, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.expectRunning("M{A}");
      await world.create("B", { project: "P", parent: "A" });
      await world.expectQueue("check", "A", "(A)", "B");
      await world.expectRunning("M{A}", "M{A,B}");
      await world.release();
      await world.expectReports("A", "success");
      await world.expectReports("B", "success");
      await world.expectQueue("check");
    },
  },
];
