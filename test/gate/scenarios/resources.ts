import { type Scenario, SMALL } from "./world.ts";

/* Who has nodes first, semaphores, builds that fail before their end, and builds that are paused. */

/** A and B depend on PARENT, and C on B. */
const FAMILY = [
  {
    name: "P",
    jobs: [
      { name: "PARENT" },
      { name: "A", after: ["PARENT"] },
      { name: "B", after: ["PARENT"] },
      { name: "C", after: ["B"] },
    ],
  },
];

/** N needs nothing, S and T the same semaphore. */
const SHARING = [
  {
    name: "P",
    jobs: [{ name: "N" }, { name: "S", semaphores: ["one"] }, { name: "T", semaphores: ["one"] }],
  },
];

/** Each is gated alone, with one job. */
const APART = ["P", "Q", "R"].map((name) => ({ name, jobs: [{ name: "J" }] }));

export const RESOURCES: readonly Scenario[] = [
  {
    title:
      "58: in check the first change of each project has nodes before the second of another, which moves up",
    setup: { projects: APART, check: true, slots: 2 },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("D", { project: "R" });
      await world.expectRunning("J{A}", "J{D}");
      await world.create("B", { project: "P" });
      await world.create("C", { project: "Q" });
      await world.release("J{D}");
      await world.expectRunning("J{A}", "J{C}");
      await world.create("E", { project: "Q" });
      await world.release("J{A}");
      await world.expectRunning("J{C}", "J{B}");
      await world.release();
      await world.expectReports("E", "success");
    },
  },
  {
    title: "58: in gate the first change of each queue has nodes before the second of another",
    setup: { projects: APART, slots: 2 },
    async play(world) {
      for (const [name, project] of [
        ["A", "P"],
        ["D", "R"],
        ["B", "P"],
        ["C", "Q"],
      ] as const)
        await world.create(name, { project });
      await world.approve("A");
      await world.approve("D");
      await world.expectRunning("J{A}", "J{D}");
      await world.approve("B");
      await world.approve("C");
      await world.release("J{D}");
      await world.expectRunning("J{A}", "J{C}");
      await world.release("J{A}");
      await world.expectRunning("J{A,B}", "J{C}");
      await world.release();
      await world.expectReports("B", "start", "success");
      await world.expectReports("C", "start", "success");
    },
  },
  {
    title: "a build that says that it fails resets what is behind at once, and is a failure however it ends",
    setup: { projects: [{ name: "P", jobs: [{ name: "J" }, { name: "K" }] }] },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "K{A}", "J{A,B}", "K{A,B}");
      await world.failEarly("J{A}");
      await world.expectRunning("J{A}", "K{A}", "J{B}", "K{B}");
      await world.release("K{A}", "J{A}");
      await world.expectReports("A", "start", "failure");
      await world.release();
      await world.expectMerged("B");
      await world.expectHistory("J{A}✗", "K{A}✓", "J{A,B}∅", "K{A,B}∅", "J{B}✓", "K{B}✓");
    },
  },
  {
    title: "59: a paused build goes on when all that depends on it has ended, on one slot",
    setup: { projects: FAMILY, slots: 1 },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.pauseBuild("PARENT{X}");
      await world.expectRunning("PARENT{X}", "A{X}");
      await world.release("A{X}");
      await world.expectRunning("PARENT{X}", "B{X}");
      await world.release("B{X}");
      await world.expectRunning("PARENT{X}", "C{X}");
      await world.release("C{X}");
      await world.expectMerged("X");
      await world.expectHistory("A{X}✓", "B{X}✓", "C{X}✓", "PARENT{X}✓");
    },
  },
  {
    title: "59: a build on which nothing depends goes on at once when it asks to be paused",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.pauseBuild("J{X}");
      await world.expectMerged("X");
    },
  },
  {
    title: "59: a paused build is cancelled with its item",
    setup: { projects: FAMILY },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.pauseBuild("PARENT{X}");
      await world.expectRunning("PARENT{X}", "A{X}", "B{X}");
      await world.dequeue("X", "gate");
      await world.expectHistory("PARENT{X}∅", "A{X}∅", "B{X}∅");
    },
  },
  {
    title: "59: a build says which of the jobs that depend on it run",
    setup: { projects: FAMILY },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.approve("X");
      await world.expectRunning("PARENT{X}");
      await world.chooseChildren("PARENT{X}", "A", "unknown");
      await world.release();
      await world.expectMerged("X");
      await world.expectHistory("PARENT{X}✓", "A{X}✓");
    },
  },
  {
    title: "59: paused builds with different semaphores do not wait for each other",
    setup: {
      projects: [
        {
          name: "P",
          jobs: [
            { name: "P1", semaphores: ["one"] },
            { name: "C2", semaphores: ["two"], after: ["P1"] },
          ],
        },
        {
          name: "Q",
          jobs: [
            { name: "P2", semaphores: ["two"] },
            { name: "C1", semaphores: ["one"], after: ["P2"] },
          ],
        },
      ],
    },
    async play(world) {
      await world.create("X", { project: "P" });
      await world.create("Y", { project: "Q" });
      await world.approve("X");
      await world.approve("Y");
      await world.expectRunning("P1{X}", "P2{Y}");
      await world.pauseBuild("P1{X}");
      await world.pauseBuild("P2{Y}");
      await world.expectRunning("P1{X}", "C2{X}");
      await world.release();
      await world.expectHistory("P2{Y}∅", "C2{X}✓", "P1{X}✓", "P2{Y}✓", "C1{Y}✓");
      await world.expectReports("X", "start", "success");
      await world.expectReports("Y", "start", "success");
    },
  },
  {
    title: "57: of two changes with two jobs each that need a semaphore for one, one runs at a time",
    setup: { projects: SHARING, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.expectRunning("N{A}", "S{A}", "N{B}");
      await world.release("S{A}");
      await world.expectRunning("N{A}", "T{A}", "N{B}");
      await world.release("N{A}", "N{B}");
      await world.release("T{A}");
      await world.expectRunning("S{B}");
      await world.release("S{B}");
      await world.expectRunning("T{B}");
      await world.release();
      await world.expectReports("A", "success");
      await world.expectReports("B", "success");
      await world.expectHistory("N{A}✓", "S{A}✓", "T{A}✓", "N{B}✓", "S{B}✓", "T{B}✓");
    },
  },
  {
    title: "57: of a semaphore for two, two at most have it",
    setup: { projects: SHARING, check: true, semaphores: { one: 2 } },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.expectRunning("N{A}", "S{A}", "T{A}", "N{B}");
      await world.release("S{A}");
      await world.expectRunning("N{A}", "T{A}", "N{B}", "S{B}");
      await world.release("S{B}");
      await world.expectRunning("N{A}", "T{A}", "N{B}", "T{B}");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title: "57: what waits for a semaphore has no nodes",
    setup: { projects: [...SHARING, { name: "Q", jobs: [{ name: "Q" }] }], check: true, slots: 2 },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.expectRunning("N{A}", "S{A}");
      await world.create("B", { project: "P" });
      await world.release("N{A}");
      await world.expectRunning("S{A}", "N{B}");
      await world.create("C", { project: "Q" });
      await world.release("N{B}");
      await world.expectRunning("S{A}", "Q{C}");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title: "57: what wants its nodes first has them while it waits for a semaphore",
    setup: {
      projects: [
        { name: "P", jobs: [{ name: "S", semaphores: ["first:one"] }] },
        { name: "Q", jobs: [{ name: "Q" }] },
      ],
      check: true,
      slots: 2,
    },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.expectRunning("S{A}");
      await world.create("B", { project: "P" });
      await world.create("C", { project: "Q" });
      await world.expectRunning("S{A}");
      await world.release("S{A}");
      await world.expectRunning("S{B}", "Q{C}");
      await world.release();
      await world.expectReports("B", "success");
      await world.expectReports("C", "success");
    },
  },
  {
    title: "57: a semaphore is freed when its change is abandoned",
    setup: { projects: SHARING, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.expectRunning("N{A}", "S{A}", "N{B}");
      await world.abandon("A");
      await world.expectRunning("N{B}", "S{B}");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
  {
    title: "57: a semaphore is freed when a reset throws its build away",
    setup: { projects: SHARING, semaphores: { one: 2 } },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("N{A}", "S{A}", "T{A}", "N{A,B}");
      await world.release("S{A}");
      await world.expectRunning("N{A}", "T{A}", "N{A,B}", "S{A,B}");
      await world.fail("N", "A");
      await world.release("N{A}");
      await world.expectRunning("T{A}", "N{B}", "S{B}");
      await world.release();
      await world.expectMerged("B");
    },
  },
  {
    title: "56: a job whose nodes can never be had fails its change, and skips what depends on it",
    setup: {
      slots: 2,
      projects: [
        {
          name: "P",
          jobs: [
            { name: "M", nodes: 3 },
            { name: "T1", after: ["M"] },
            { name: "T2", after: ["M"] },
          ],
        },
      ],
    },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.approve("A");
      await world.expectReports("A", "start", "failure");
      await world.expectReason("A", "M ended with NODE_FAILURE");
      await world.expectRunning();
      await world.expectHistory();
      await world.expectMerged();
    },
  },
  {
    title: "56: a build that is lost with its executor runs again, which is none of its attempts",
    setup: {
      projects: [
        {
          name: "P",
          jobs: [{ name: "M" }, { name: "T1", after: ["M"], attempts: 2 }, { name: "T2", after: ["M"] }],
        },
      ],
    },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.approve("A");
      await world.release("M{A}");
      for (let lost = 0; lost < 4; lost++) await world.lose("T1{A}");
      await world.expectRunning("T1{A}", "T2{A}");
      await world.release();
      const lost = Array<string>(4).fill("T1{A}†");
      await world.expectHistory("M{A}✓", ...lost, "T1{A}✓", "T2{A}✓");
      await world.expectMerged("A");
      await world.expectReports("A", "start", "success");
    },
  },
  {
    title: "56: a build that cannot be prepared runs again, as often as it has attempts",
    setup: { projects: [{ name: "P", jobs: [{ name: "T", attempts: 4, prepares: true }] }] },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P" });
      await world.fail("T", "A");
      await world.fail("T", "B");
      await world.approve("A");
      for (let attempt = 1; attempt <= 4; attempt++) await world.release("T{A}");
      await world.expectReports("A", "start", "failure");
      await world.expectReason("A", "T ended with RETRY_LIMIT");
      await world.approve("B");
      for (let attempt = 1; attempt <= 3; attempt++) await world.release("T{B}");
      await world.pass("T", "B");
      await world.release("T{B}");
      const again = [...Array<string>(4).fill("T{A}↻"), ...Array<string>(3).fill("T{B}↻")];
      await world.expectHistory(...again, "T{B}✓");
      await world.expectMerged("B");
    },
  },
  {
    title:
      "59: a build whose preparation fails never comes to its run, and counts as failed after its last attempt",
    setup: {
      projects: [
        { name: "P", jobs: [{ name: "T", prepares: true }, { name: "U", after: ["T"] }, { name: "V" }] },
      ],
    },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      await world.fail("T", "A");
      for (const name of ["A", "B"]) await world.approve(name);
      for (let attempt = 1; attempt <= 2; attempt++) await world.release("T{A}");
      // While there are attempts it may succeed, and B is tested with A.
      await world.expectRunning("T{A}", "V{A}", "T{A,B}", "V{A,B}");
      await world.release("T{A}");
      await world.expectRunning("V{A}", "T{B}", "V{B}");
      await world.expectRun();
      await world.release("V{A}");
      await world.expectReports("A", "start", "failure");
      await world.expectReason("A", "T ended with RETRY_LIMIT");
      await world.release();
      await world.expectMerged("B");
      await world.expectRun("T{B}");
      await world.expectHistory(
        ...["T{A}↻", "T{A}↻", "T{A}↻", "V{A}✓", "T{A,B}∅", "V{A,B}∅"],
        ...["T{B}✓", "U{B}✓", "V{B}✓"],
      );
    },
  },
  {
    title: "59: a build whose preparation fails once is prepared again, runs once, and nobody is told",
    setup: {
      projects: [
        {
          name: "P",
          jobs: [
            { name: "T", prepares: true },
            { name: "U", after: ["T"] },
          ],
        },
      ],
    },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      await world.fail("T", "A");
      for (const name of ["A", "B"]) await world.approve(name);
      await world.release("T{A}");
      await world.expectRunning("T{A}", "T{A,B}");
      await world.expectRun();
      await world.pass("T", "A");
      await world.release("T{A}");
      await world.expectRunning("U{A}", "T{A,B}");
      await world.expectRun("T{A}");
      await world.release();
      await world.expectMerged("A", "B");
      await world.expectRun("T{A}", "T{A,B}");
      await world.expectHistory("T{A}↻", "T{A}✓", "U{A}✓", "T{A,B}✓", "U{A,B}✓");
      for (const name of ["A", "B"]) await world.expectReports(name, "start", "success");
    },
  },
];
