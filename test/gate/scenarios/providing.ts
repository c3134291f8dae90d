import type { ProjectSetup, Scenario } from "./world.ts";

/* Zuul's tests of `provides` and `requires` (tests/unit/test_v3.py, TestProvidesRequires). */

const SHARED: readonly ProjectSetup[] = [
  { name: "P1", queue: "integrated", jobs: [{ name: "MAKE", provides: ["image"] }, { name: "LONG" }] },
  { name: "P2", queue: "integrated", jobs: [{ name: "USE", requires: ["image"] }] },
];

export const PROVIDING: readonly Scenario[] = [
  {
    title: "59: shared queue, slow: what requires waits for what provides ahead of it, and gets what it made",
    setup: { projects: SHARED },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.approve("A");
      await world.approve("B");
      await world.expectRunning("MAKE{A}", "LONG{A}");
      await world.release("MAKE{A}");
      await world.expectRunning("LONG{A}", "USE{A,B}");
      await world.expectProviders("USE{A,B}", "MAKE of A");
      await world.release();
      await world.expectMerged("A", "B");
      await world.expectHistory("MAKE{A}✓", "LONG{A}✓", "USE{A,B}✓");
    },
  },
  {
    title: "59: shared queue, fast: what was made before is there at once",
    setup: { projects: SHARED },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.approve("A");
      await world.release("MAKE{A}");
      await world.expectRunning("LONG{A}");
      await world.approve("B");
      await world.expectRunning("LONG{A}", "USE{A,B}");
      await world.expectProviders("USE{A,B}", "MAKE of A");
      await world.release();
      await world.expectMerged("A", "B");
    },
  },
  {
    title: "59: a paused build provides what it has made so far",
    setup: {
      projects: [
        {
          name: "P1",
          queue: "integrated",
          jobs: [
            { name: "MAKE", provides: ["image"] },
            { name: "CHILD", after: ["MAKE"] },
          ],
        },
        SHARED[1]!,
      ],
    },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.approve("A");
      await world.approve("B");
      await world.pauseBuild("MAKE{A}");
      await world.expectRunning("MAKE{A}", "CHILD{A}", "USE{A,B}");
      await world.expectProviders("USE{A,B}", "MAKE of A");
      await world.release("CHILD{A}");
      await world.release("USE{A,B}");
      await world.expectMerged("A", "B");
    },
  },
  {
    title: "59: what has merged provides nothing any more",
    setup: { projects: SHARED },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.approve("A");
      await world.release();
      await world.expectMerged("A");
      await world.approve("B");
      await world.expectRunning("USE{B}");
      await world.expectProviders("USE{B}");
      await world.release();
      await world.expectMerged("A", "B");
    },
  },
  {
    title: "59: who requires what failed, and does not vote, fails without running",
    setup: {
      projects: [
        {
          name: "P1",
          queue: "integrated",
          jobs: [{ name: "MAKE", provides: ["image"], voting: false }, { name: "LONG" }],
        },
        SHARED[1]!,
      ],
    },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2" });
      await world.fail("MAKE", "A");
      await world.approve("A");
      await world.approve("B");
      await world.expectRunning("MAKE{A}", "LONG{A}");
      await world.release("MAKE{A}");
      await world.expectRunning("LONG{A}");
      await world.release("LONG{A}");
      await world.expectMerged("A");
      await world.expectReports("B", "start", "failure");
      await world.expectHistory("MAKE{A}✗", "LONG{A}✓");
    },
  },
  {
    title: "59: in check, what requires waits for the builds that a change it needs has by itself",
    setup: { projects: SHARED, check: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.expectRunning("MAKE{A}", "LONG{A}");
      await world.release("MAKE{A}");
      await world.expectRunning("LONG{A}", "USE{A,B}");
      await world.expectProviders("USE{A,B}", "MAKE of A");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title: "59: in check, what requires gets what a change it needs has made before",
    setup: { projects: SHARED, check: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.release();
      await world.expectReports("A", "success");
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.expectRunning("USE{A,B}");
      await world.expectProviders("USE{A,B}", "MAKE of A");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title: "59: in check, what requires fails when that of a change it needs has failed before",
    setup: { projects: SHARED, check: true },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.fail("MAKE", "A");
      await world.release();
      await world.expectReports("A", "failure");
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.expectReports("B", "failure");
      await world.expectHistory("MAKE{A}✗", "LONG{A}✓");
    },
  },
];
