import { afterEach, expect, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import type { GateEvent } from "../src/core/index.ts";
import { Timers } from "../src/timers.ts";
import { BASE, load } from "./config/memory-source.ts";

/* Pipelines that the clock starts, by the real one: each second. */

const silent = { debug() {}, info() {}, warn() {}, error() {} };

let timers: Timers | undefined;
afterEach(() => timers?.close());

async function layoutOf(more: string) {
  const pipeline = `- pipeline:\n    name: always\n    manager: independent\n    trigger: {timer: {time: "* * * * * *"${more}}}\n`;
  const job = "- job: {name: say, command: [say]}\n";
  const jobs = `${job}- project: {always: {jobs: [say]}}\n`;
  const { layout, told } = await load({
    config: { main: { "zuul.yaml": BASE + pipeline } },
    app: { main: { "zuul.yaml": jobs }, stable: { "zuul.yaml": jobs }, gone: { "zuul.yaml": jobs } },
    lib: { main: { "zuul.yaml": "" } },
  });
  expect(told).toEqual([]);
  return layout;
}

/** @returns What is offered, as it comes. */
function started(): GateEvent[] {
  const told: GateEvent[] = [];
  timers = new Timers({
    log: silent,
    tell: (event) => told.push(event),
    branches: async () =>
      new Map([
        ["main", "1"],
        ["stable", "2"],
      ]),
  });
  return told;
}

const ids = (told: readonly GateEvent[]) =>
  told.flatMap((event) =>
    event.kind === "offer" && typeof event.subject !== "string"
      ? [`${event.pipelines} ${event.subject.id}`]
      : [],
  );

test.each([
  ["as it is", "", ""],
  ["at its commit", ", dereference: true", "@"],
])("each branch that is there and has jobs is offered %s", async (_, more, at) => {
  const told = started();
  timers!.set(await layoutOf(more));
  await until("the second is over", 10_000, () => told.length >= 2);
  const commit = (name: string): string => (at === "" ? "" : `${at}${name}`);
  expect(ids(told).slice(0, 2)).toEqual([
    `always ref:app:refs/heads/main${commit("1")}`,
    `always ref:app:refs/heads/stable${commit("2")}`,
  ]);
});

test("a time that comes while the one before it is still being started is passed over", async () => {
  let asked = 0;
  let answer = (_tips: ReadonlyMap<string, string>): void => {};
  const tips = new Promise<ReadonlyMap<string, string>>((resolve) => {
    answer = resolve;
  });
  const told: GateEvent[] = [];
  timers = new Timers({
    log: silent,
    tell: (event) => told.push(event),
    branches: () => {
      asked++;
      return tips;
    },
  });
  timers.set(await layoutOf(""));
  const others: GateEvent[] = [];
  const other = new Timers({
    log: silent,
    tell: (event) => others.push(event),
    branches: async () => new Map([["main", "1"]]),
  });
  other.set(await layoutOf(""));
  await until("three seconds are over", 10_000, () => others.length >= 3);
  other.close();
  expect([asked, told]).toEqual([1, []]);
  answer(new Map([["main", "1"]]));
  await until("another second has begun", 10_000, () => asked >= 2);
  expect(told.length).toBeGreaterThan(0);
});

test("a layout without timers ends those before, and the same ones go on", async () => {
  const told = started();
  const layout = await layoutOf("");
  timers!.set(layout);
  timers!.set(await layoutOf(""));
  await until("the second is over", 10_000, () => told.length > 0);
  const { layout: none } = await load({ config: { main: { "zuul.yaml": BASE } } });
  timers!.set(none);
  const before = told.length;
  // Another one sees the seconds pass.
  const others: GateEvent[] = [];
  const other = new Timers({
    log: silent,
    tell: (event) => others.push(event),
    branches: async () => new Map([["main", "1"]]),
  });
  other.set(layout);
  await until("two seconds are over", 10_000, () => others.length >= 2);
  other.close();
  expect(told.length).toBe(before);
});
