import { describe, expect, it } from "vitest";
import { Handles } from "../../packages/server/src/core/handles.ts";
import { HeldReplies } from "../../packages/server/src/core/held-replies.ts";
import { type Job, JobServerCore } from "../../packages/server/src/core/index.ts";
import { Journal } from "../../packages/server/src/core/journal.ts";
import type { Outbox } from "../../packages/server/src/core/outbox.ts";
import { runCrashes } from "./crash/run.ts";

/* The short run of the simulation with a store that crashes; `npm run sim -- --crashes` is the long one. */

describe("a job server with a store that crashes anywhere", () => {
  it.each(Array.from({ length: 20 }, (_, i) => i + 1))(
    "seed %i loses nothing that it acknowledged",
    (seed) => {
      expect(runCrashes(seed, 1500).failure).toBeNull();
    },
  );

  it("does crash, and does acknowledge", () => {
    const outcomes = Array.from({ length: 20 }, (_, i) => runCrashes(i + 1, 500));
    expect(outcomes.reduce((sum, { crashes }) => sum + crashes, 0)).toBeGreaterThan(50);
    expect(outcomes.every(({ acknowledged }) => acknowledged > 10)).toBe(true);
  });
});

type Patched = Record<string, (this: never, ...args: never[]) => unknown>;

/** Servers and books that are wrong, each by one method. */
const WRONG: readonly {
  name: string;
  of: object;
  method: string;
  make: (right: Patched[string]) => unknown;
}[] = [
  {
    name: "acknowledges what could not be stored",
    of: JobServerCore.prototype,
    method: "commitEnded",
    make: (right) =>
      function (this: never) {
        return right.call(this, true as never);
      },
  },
  { name: "does not delete what has ended", of: Journal.prototype, method: "delete", make: () => () => {} },
  {
    name: "deletes what became a dead letter",
    of: Journal.prototype,
    method: "bury",
    make: () =>
      function (this: Journal, job: Job) {
        this.delete(job);
      },
  },
  {
    name: "forgets what a failed commit was to do",
    of: Journal.prototype,
    method: "fail",
    make: () =>
      function (this: Journal) {
        return this.succeed();
      },
  },
  {
    name: "does not hold replies back",
    of: HeldReplies.prototype,
    method: "release",
    make: () =>
      function (this: HeldReplies, out: Outbox) {
        out.absorb(this.tail);
      },
  },
  {
    name: "gives old jobs new handles",
    of: Handles.prototype,
    method: "restore",
    make: (right) =>
      function (this: never, decimal: never) {
        return right.call(this, ((decimal as number) + 1) as never);
      },
  },
];

describe("a wrong server is caught", () => {
  it.each(WRONG)("that $name", ({ of, method, make }) => {
    const methods = of as Patched;
    const right = methods[method]!;
    methods[method] = make(right) as Patched[string];
    let caught: string | null = null;
    try {
      for (let seed = 1; seed <= 40 && caught === null; seed++) caught = runCrashes(seed, 1000).failure;
    } finally {
      methods[method] = right;
    }
    expect(caught).toMatch(/^(S2|S10|leak|repetition|end|worker|framing)\b/);
  });
});
