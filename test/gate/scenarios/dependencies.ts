import { PROJECTS, type Scenario, SMALL } from "./world.ts";

/* Parents in git, and Depends-On. */

export const DEPENDENCIES: readonly Scenario[] = [
  {
    title: "23: a chain enters in its order, however it is approved",
    setup: { projects: PROJECTS },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.create("C", { project: "P", parent: "B" });
      await world.approve("C");
      await world.expectWaiting("C");
      await world.expectRunning();
      await world.approve("B");
      await world.expectWaiting("B", "C");
      await world.approve("A");
      await world.expectQueue("gate", "A", "B", "C");
      await world.expectWaiting();
      await world.release();
      await world.expectMerged("A", "B", "C");
    },
  },
  {
    title: "a change brings along what it needs, and what needs that, each after what it needs itself",
    setup: { projects: SMALL },
    async play(world) {
      const parents = { A: undefined, B: "A", C: "B", D: "C", E: "B", F: "B", G: "A" };
      for (const [name, parent] of Object.entries(parents))
        await world.create(name, { project: "P", ...(parent === undefined ? {} : { parent }) });
      for (const name of ["D", "E", "F", "G", "C", "B"]) await world.approve(name);
      await world.expectWaiting("B", "C", "D", "E", "F", "G");
      await world.approve("A");
      await world.expectQueue("gate", "A", "B", "C", "D", "E", "F", "G");
      await world.release();
      await world.expectMerged("A", "B", "C", "D", "E", "F", "G");
    },
  },
  {
    title: "25: a change waits for what it needs in its queue, and enters behind it",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("B", { project: "P2" });
      await world.create("A", { project: "P1", dependsOn: ["B"] });
      await world.approve("A");
      await world.expectWaiting("A");
      await world.expectReports("A");
      await world.approve("B");
      await world.expectQueue("gate", "B", "A");
      await world.expectWaiting();
      await world.expectRunning("J{B}", "J{B,A}");
      await world.release();
      await world.expectMerged("B", "A");
    },
  },
  {
    title: "27: what is needed from another queue has to merge first, and the change follows by itself",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("B", { project: "P" });
      await world.create("A", { project: "P1", dependsOn: ["B"] });
      await world.approve("A");
      await world.expectWaiting("A");
      await world.approve("B");
      await world.expectQueue("gate", "B");
      await world.expectWaiting("A");
      await world.release("J{B}");
      await world.expectMerged("B");
      await world.expectRunning("J{A}");
      await world.release();
      await world.expectMerged("B", "A");
      await world.expectReports("A", "start", "success");
    },
  },
  {
    title: "29: changes of two branches can both be needed, and each is merged into its own",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("B", { project: "P2" });
      await world.create("C", { project: "P2", branch: "stable" });
      await world.create("A", { project: "P1", dependsOn: ["B", "C"] });
      for (const name of ["B", "C", "A"]) await world.approve(name);
      await world.expectRunning("J{B}", "J{B,C}", "J{B,C,A}");
      await world.release();
      await world.expectMerged("B", "C", "A");
    },
  },
  {
    title: "changes that need each other wait, and are told why",
    setup: { projects: SMALL },
    async play(world) {
      await world.create("A", { project: "P1" });
      await world.create("B", { project: "P2", dependsOn: ["A"] });
      await world.revise("A", { dependsOn: ["B"] });
      await world.approve("A");
      await world.approve("B");
      await world.expectWaiting("A", "B");
      await world.revise("A", { dependsOn: [] });
      await world.approve("A");
      await world.expectQueue("gate", "A", "B");
      await world.release();
      await world.expectMerged("A", "B");
    },
  },
  {
    title: "31: check of a change that needs an unapproved one tests both and reports one",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("B", { project: "P2" });
      await world.release();
      await world.create("A", { project: "P1", dependsOn: ["B"] });
      await world.expectRunning("J{B,A}");
      await world.expectQueue("check", "(B)", "A");
      await world.release();
      await world.expectReports("A", "success");
      await world.expectReports("B", "success");
      await world.expectQueue("check");
    },
  },
  {
    title: "33: check follows dependencies all the way, always at their current revisions",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("C", { project: "P" });
      await world.create("B", { project: "P2", dependsOn: ["C"] });
      await world.create("A", { project: "P1", dependsOn: ["B"] });
      await world.expectRunning("J{C}", "J{C,B}", "J{C,B,A}");
      await world.release();
      await world.revise("C");
      await world.revise("A");
      await world.expectRunning("J{C}", "J{C,B,A}");
      await world.release();
      await world.expectReports("A", "success", "success");
      await world.expectReports("B", "success");
    },
  },
  {
    title: "37: an operator takes a change out of the gate, and what needs it leaves too",
    setup: { projects: PROJECTS },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.create("C", { project: "P", parent: "B" });
      for (const name of ["A", "B", "C"]) await world.approve(name);
      await world.expectRunning("M{A}");
      await world.dequeue("A", "gate");
      await world.expectQueue("gate");
      await world.expectHistory("M{A}∅");
      await world.expectMerged();
      await world.expectReason("C", "needs B");
    },
  },
  {
    title: "37: an operator takes a change out of check, and only that one leaves",
    setup: { projects: SMALL, check: true },
    async play(world) {
      await world.create("A", { project: "P" });
      await world.create("B", { project: "P", parent: "A" });
      await world.dequeue("A", "check");
      await world.expectQueue("check", "(A)", "B");
      await world.release();
      await world.expectReports("B", "success");
    },
  },
];
