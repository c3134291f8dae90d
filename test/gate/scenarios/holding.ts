import type { ProjectSetup, Scenario } from "./world.ts";

/* Which builds that fail are held, so that somebody can look into them. */

const ONE_JOB: readonly ProjectSetup[] = [{ name: "P", jobs: [{ name: "J" }] }];
const OF_J = { project: "P", job: "J" };

export const HOLDING: readonly Scenario[] = [
  {
    title: "58: builds that fail are held, as many as were asked for, and none that succeeds or is cancelled",
    setup: { projects: ONE_JOB, check: true },
    async play(world) {
      await world.autohold("two", { ...OF_J, count: 2 });
      await world.autohold("of another job", { project: "P", job: "K" });
      for (const name of ["A", "B", "C", "D", "E"]) await world.create(name, { project: "P" });
      await world.release("J{A}");
      await world.abandon("B");
      await world.expectHistory("J{A}✓", "J{B}∅");
      await world.expectHeld("two", 2);
      for (const name of ["C", "D", "E"]) await world.fail("J", name);
      await world.release("J{C}");
      await world.expectHeld("two", 1, "J{C}");
      await world.release("J{D}");
      await world.expectHeld("two", 0, "J{C}", "J{D}");
      await world.release("J{E}");
      await world.expectReports("E", "failure");
      await world.expectHeld("two", 0, "J{C}", "J{D}");
      await world.expectHeld("of another job", 1);
    },
  },
  {
    title: "58: what is cancelled since a change ahead failed is not held, and what fails without it is",
    setup: { projects: ONE_JOB },
    async play(world) {
      for (const name of ["A", "B"]) await world.create(name, { project: "P" });
      await world.autohold("of B", { ...OF_J, change: "B" });
      for (const name of ["A", "B"]) await world.fail("J", name);
      for (const name of ["A", "B"]) await world.approve(name);
      await world.expectRunning("J{A}", "J{A,B}");
      await world.release("J{A}");
      await world.expectRunning("J{B}");
      await world.expectHeld("of B", 1);
      await world.release("J{B}");
      await world.expectHistory("J{A}✗", "J{A,B}∅", "J{B}✗");
      await world.expectHeld("of B", 0, "J{B}");
    },
  },
  {
    title: "58: of a build that cannot be prepared only the last attempt is held, and of a lost one nothing",
    setup: { projects: [{ name: "P", jobs: [{ name: "J", prepares: true, attempts: 2 }] }] },
    async play(world) {
      await world.autohold("all", { ...OF_J, count: 3 });
      await world.create("A", { project: "P" });
      await world.fail("J", "A");
      await world.approve("A");
      await world.lose("J{A}");
      await world.release("J{A}");
      await world.expectRunning("J{A}");
      await world.expectHeld("all", 3);
      await world.release("J{A}");
      await world.expectReason("A", "J ended with RETRY_LIMIT");
      await world.expectHistory("J{A}†", "J{A}↻", "J{A}↻");
      await world.expectHeld("all", 2, "J{A}");
    },
  },
  {
    title:
      "58: the request that says most about a build is the one that it is held for, as long as it asks for more",
    setup: { projects: ONE_JOB, check: true },
    async play(world) {
      await world.autohold("of the job", OF_J);
      await world.autohold("of the branch", { ...OF_J, branch: "ma" });
      await world.autohold("of another branch", { ...OF_J, branch: "stable" });
      for (const name of ["A", "B", "C", "D"]) {
        await world.create(name, { project: "P" });
        await world.fail("J", name);
      }
      await world.autohold("of C", { ...OF_J, change: "C" });
      await world.release("J{C}");
      await world.expectHeld("of C", 0, "J{C}");
      await world.expectHeld("of the branch", 1);
      await world.release("J{A}");
      await world.expectHeld("of the branch", 0, "J{A}");
      await world.expectHeld("of the job", 1);
      await world.release("J{B}");
      await world.expectHeld("of the job", 0, "J{B}");
      await world.release("J{D}");
      for (const name of ["of the job", "of the branch", "of C"]) {
        const build = { "of the job": "J{B}", "of the branch": "J{A}", "of C": "J{C}" }[name]!;
        await world.expectHeld(name, 0, build);
      }
      await world.expectHeld("of another branch", 1);
    },
  },
  {
    title: "58: what is held is let go when its time has passed, and a request with it that asks for no more",
    setup: { projects: ONE_JOB, check: true },
    async play(world) {
      await world.autohold("brief", { ...OF_J, isBrief: true });
      for (const name of ["A", "B"]) {
        await world.create(name, { project: "P" });
        await world.fail("J", name);
      }
      await world.release("J{A}");
      await world.expectLetGo("brief");
      await world.autohold("next", OF_J);
      await world.release("J{B}");
      await world.expectHeld("next", 0, "J{B}");
    },
  },
];
