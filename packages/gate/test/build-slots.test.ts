import { beforeEach, describe, expect, test } from "vitest";
import type { GateEffect } from "../src/core/index.ts";
import { BuildSlots, type Shareable } from "../src/nodes/build-slots.ts";
import { LocalSlots } from "../src/nodes/local-slots.ts";

type Request = Extract<GateEffect, { kind: "requestNodes" }>;

/** What builds share, by their number; of none: nothing. */
let contents: Map<number, string>;
/** What is run, or has been. */
let there: Set<string>;
let told: string[];
let slots: LocalSlots;
let builds: BuildSlots;

function make(total: number): void {
  slots = new LocalSlots(total);
  builds = new BuildSlots({
    slots,
    granted: (build, granted) => void told.push(`${build} ${granted}`),
    contentOf: async ({ build }) => contentOf(build),
    isThere: ({ key }) => there.has(key),
  });
}

function contentOf(build: number): Shareable | undefined {
  const key = contents.get(build);
  return key === undefined ? undefined : { key, maxAgeMs: 1_000 };
}

beforeEach(() => {
  contents = new Map();
  there = new Set();
  told = [];
  make(1);
});

function asks(build: number, rank = build): Request {
  const subject = { kind: "ref", id: "r", project: "app", ref: "r", branch: null } as const;
  return {
    ...{ kind: "requestNodes", build, buildset: 1, pipeline: "gate", job: "unit", attempt: 1 },
    ...{ subject: { ...subject, oldCommit: null, newCommit: null }, labels: ["local"], rank },
  };
}

/** Until what was looked up is known. */
const looked = () => new Promise((resolve) => setImmediate(resolve));

/** As a build begins that runs something for others, too. */
function begin(build: number): void {
  const key = contents.get(build)!;
  there.add(key);
  builds.share(build, key);
  builds.begun(key);
}

describe("a build that shares", () => {
  test("begins on a full machine when its result is there, and takes nothing", async () => {
    contents.set(2, "k");
    there.add("k");
    builds.request(asks(1), true);
    builds.request(asks(2), true);
    builds.request(asks(3), true);
    await looked();
    expect(told).toEqual(["1 true", "2 true"]);
    expect(slots.used).toBe(1);
    builds.release(2);
    expect(told).toEqual(["1 true", "2 true"]);
    builds.release(1);
    expect(told).toEqual(["1 true", "2 true", "3 true"]);
  });

  test("waits for a slot when there is nothing to share, and no longer once that has begun", async () => {
    for (const build of [2, 3, 4]) contents.set(build, "k");
    builds.request(asks(1), true);
    for (const build of [2, 3]) builds.request(asks(build), true);
    await looked();
    expect(told).toEqual(["1 true"]);
    builds.release(1);
    expect(told).toEqual(["1 true", "2 true"]);
    begin(2);
    expect(told).toEqual(["1 true", "2 true", "3 true"]);
    builds.request(asks(4), true);
    await looked();
    expect(told.at(-1)).toBe("4 true");
    for (const build of [3, 4]) builds.share(build, "k");
    expect(slots.used).toBe(1);
  });

  test("gives back the slot that it had before that was known", () => {
    make(2);
    for (const build of [1, 2]) contents.set(build, "k");
    for (const build of [1, 2, 3]) builds.request(asks(build), true);
    expect(told).toEqual(["1 true", "2 true"]);
    begin(1);
    builds.share(2, "k");
    expect(told).toEqual(["1 true", "2 true", "3 true"]);
    expect(slots.used).toBe(2);
  });

  test("keeps the slot of the execution when the build that began it leaves, until the last one has", async () => {
    for (const build of [1, 2]) contents.set(build, "k");
    builds.request(asks(1), true);
    begin(1);
    builds.request(asks(2), true);
    await looked();
    builds.share(2, "k");
    builds.request(asks(3), true);
    builds.release(1);
    expect(slots.used).toBe(1);
    expect(told).toEqual(["1 true", "2 true"]);
    builds.release(2);
    expect(told).toEqual(["1 true", "2 true", "3 true"]);
  });

  test("keeps it while the execution is held for whoever may come", () => {
    contents.set(1, "k");
    builds.request(asks(1), true);
    begin(1);
    builds.hold(1);
    builds.release(1);
    builds.request(asks(2), true);
    expect(told).toEqual(["1 true"]);
    builds.letGo(1);
    builds.letGo(1);
    expect(told).toEqual(["1 true", "2 true"]);
  });

  test("waits at the head of the line when what it was to have is gone by the time that it begins", async () => {
    contents.set(2, "k");
    there.add("k");
    builds.request(asks(1), true);
    builds.request(asks(2), true);
    await looked();
    expect(told).toEqual(["1 true", "2 true"]);
    await builds.ready(2, contentOf(2));
    there.delete("k");
    let isReady = false;
    const ready = builds.ready(2, contentOf(2)).then(() => {
      isReady = true;
    });
    builds.request(asks(3, 0), true);
    await looked();
    expect(isReady).toBe(false);
    builds.release(1);
    await ready;
    expect(slots.used).toBe(1);
    // It was told before that it may begin.
    expect(told).toEqual(["1 true", "2 true"]);
    builds.release(2);
    expect(told).toEqual(["1 true", "2 true", "3 true"]);
  });

  test("does not wait for slots when it is withdrawn, or when all is over", async () => {
    contents.set(2, "k");
    contents.set(3, "l");
    for (const key of ["k", "l"]) there.add(key);
    builds.request(asks(1), true);
    for (const build of [2, 3]) builds.request(asks(build), true);
    await looked();
    there.clear();
    const ready = [2, 3].map((build) => builds.ready(build, contentOf(build)));
    builds.release(2);
    await ready[0];
    builds.close();
    await ready[1];
    expect(slots.used).toBe(1);
  });
});

test("a build that shares nothing, or that goes on, waits its turn", async () => {
  there.add("k");
  contents.set(3, "k");
  builds.request(asks(1), true);
  builds.request(asks(2), true);
  builds.request(asks(3), false);
  await looked();
  expect(told).toEqual(["1 true"]);
  await builds.ready(1, undefined);
});

test("more slots than there are are refused, whatever is shared", () => {
  builds.request({ ...asks(1), labels: ["local", "local"] }, true);
  expect(told).toEqual(["1 false"]);
});
