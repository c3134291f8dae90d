import type { ItemView, StatusView } from "@drover/gate/api";
import { expect, test } from "vitest";
import { statusLines } from "../src/gate/show.ts";

/* What `drover gate status` prints of what a gate answers. */

const SUBJECT = {
  kind: "change",
  id: "local:1",
  number: 1,
  revision: 1,
  project: "app",
  branch: "main",
  title: "Say more",
  owner: "ann",
  url: null,
} as unknown as ItemView["subject"];

function item(of: Partial<ItemView>): ItemView {
  return {
    id: 1,
    subject: SUBJECT,
    members: [SUBJECT],
    live: true,
    active: true,
    failing: false,
    reasons: [],
    itemAhead: null,
    itemsBehind: [],
    enqueuedMs: 0,
    remainingMs: null,
    buildset: 1,
    resets: 0,
    jobs: [],
    ...of,
  };
}

function linesOf(queue: { name: string; window: number }, of: Partial<ItemView> = {}): string[] {
  const status = {
    tenant: "mine",
    atMs: 5_000,
    version: 1,
    isPaused: false,
    frozenBranches: [],
    pipelines: [
      {
        name: "gate",
        queues: [{ branch: null, ...queue, items: [item(of)] }],
        waiting: [],
        isDisabled: false,
      },
    ],
    slots: { total: 2, used: 0 },
    configProblems: 0,
  } as unknown as StatusView;
  return statusLines(status, 5_000).slice(2);
}

test("an item of a queue without a name stands below its pipeline, with no empty line between", () => {
  expect(linesOf({ name: "", window: 0 })).toEqual(["gate: 1 item", "    ● 1,1 app/main Say more  (5.0 s)"]);
  expect(linesOf({ name: "together", window: 20 })[1]).toBe("  together, window 20");
});

test("how long an item takes yet is not told when that is nothing, and one reset is one", () => {
  const queue = { name: "together", window: 20 };
  expect(linesOf(queue, { remainingMs: 0, resets: 1 })[2]).toMatch(/\(5\.0 s, reset once\)$/);
  expect(linesOf(queue, { remainingMs: 2_000, resets: 2 })[2]).toMatch(
    /\(5\.0 s, about 2\.0 s left, reset 2 times\)$/,
  );
});
