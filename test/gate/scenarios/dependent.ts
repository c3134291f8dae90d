import { PROJECTS, type Scenario, SMALL } from "./world.ts";

/* The dependent pipeline by itself. E1 to E6 tell scenarios 1, 5 and 16. */

const P = { projects: PROJECTS };

export const DEPENDENT: readonly Scenario[] = [
  {
    title:
      "2: of two changes the first fails, and the second is tested without it while the first still runs",
    setup: P,
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.fail("T1", "A");
      await world.approve("A");
      await world.approve("B");
      await world.release("M{A}");
      await world.release("M{A,B}");
      await world.release("T1{A}");
      await world.expectRunning("T2{A}", "M{B}");
      await world.release();
      await world.expectMerged("B");
      await world.expectHistory(
        ...["M{A}✓", "M{A,B}✓", "T1{A}✗", "T1{A,B}∅", "T2{A,B}∅", "T2{A}✓"],
        ...["M{B}✓", "T1{B}✓", "T2{B}✓"],
      );
    },
  },
  {
    title: "6: builds that wait for a slot vanish without a trace when the change ahead fails",
    setup: { projects: PROJECTS, slots: 2 },
    async play(world) {
      for (const name of ["A", "B", "C"]) await world.create(name, { project: "P" });
      await world.fail("T1", "A");
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("M{A}");
      await world.release("M{A}");
      await world.expectRunning("T1{A}", "T2{A}");
      await world.release("T1{A}");
      await world.expectRunning("T2{A}", "M{B}");
      await world.release();
      await world.expectMerged("B", "C");
      await world.expectHistory(
        ...["M{A}✓", "T1{A}✗", "T2{A}✓", "M{B}✓", "T1{B}✓", "T2{B}✓"],
        ...["M{B,C}✓", "T1{B,C}✓", "T2{B,C}✓"],
      );
    },
  },
  {
    title: "9: of two changes to one file the second is told of the conflict, and the third is not concerned",
    setup: P,
    async play(world) {
      await world.create("A", { project: "P", files: ["conflict"] });
      await world.create("B", { project: "P", files: ["conflict"] });
      await world.create("C", { project: "P" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectReports("B");
      await world.release();
      await world.expectMerged("A", "C");
      await world.expectReports("B", "merge-conflict");
      await world.expectReason("B", "does not merge, with A ahead");
      await world.expectHistory("M{A}✓", "T1{A}✓", "T2{A}✓", "M{A,C}✓", "T1{A,C}✓", "T2{A,C}✓");
    },
  },
  {
    title: "10: a job that does not vote may fail",
    setup: { projects: [{ name: "P", jobs: [{ name: "T1" }, { name: "T2", voting: false }] }] },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.fail("T2", "A");
      await world.approve("A");
      await world.expectRunning("T1{A}", "T2{A}");
      await world.release();
      await world.expectMerged("A");
      await world.expectHistory("T1{A}✓", "T2{A}✗");
      await world.expectReports("A", "start", "success");
    },
  },
  {
    title: "12: what depends on a change that failed leaves with a report and without a build",
    setup: P,
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.create("C", { project: "P", parent: "B" });
      await world.fail("M", "A");
      for (const name of ["C", "B", "A"]) await world.approve(name);
      await world.expectQueue("gate", "A", "B", "C");
      await world.release();
      await world.expectHistory("M{A}✗");
      await world.expectMerged();
      await world.expectReports("A", "start", "failure");
      await world.expectReports("B", "start", "failure");
      await world.expectReports("C", "start", "failure");
      await world.expectReason("B", "needs A, which failed");
      await world.expectQueue("gate");
    },
  },
  {
    title: "14: projects of one queue are tested together, each with exactly what is ahead",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P1" });
      await world.create("C", { project: "P2" });
      await world.create("D", { project: "P2" });
      for (const name of ["A", "B", "C", "D"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}", "J{A,B,C}", "J{A,B,C,D}");
      await world.release();
      await world.expectMerged("A", "B", "C", "D");
    },
  },
  {
    title: "15: a change with only noop merges without a build",
    setup: { projects: [{ name: "P", jobs: [{ name: "noop", noop: true }] }] },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.approve("A");
      await world.expectMerged("A");
      await world.expectHistory();
      await world.expectReports("A", "start", "success");
    },
  },
  {
    title: "15: a change without jobs leaves, is told so, and does not merge",
    setup: { projects: [{ name: "P", jobs: [] }] },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.approve("A");
      await world.expectReports("A", "no-jobs");
      await world.expectQueue("gate");
      await world.expectMerged();
    },
  },
];
