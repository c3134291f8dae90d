import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Fired } from "../src/core/index.ts";
import { type Schedule, scheduleProblem } from "../src/index.ts";
import { Schedules } from "../src/schedules.ts";

const HOUR = 3_600_000;
const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };

describe("schedules", () => {
  const started: Schedules[] = [];
  beforeEach(() => {
    vi.useFakeTimers({ now: Date.UTC(2030, 0, 1, 12, 30), toFake: ["setTimeout", "clearTimeout", "Date"] });
  });
  afterEach(() => {
    for (const schedules of started.splice(0)) schedules.stop();
    vi.useRealTimers();
  });

  /** Starts schedules, and gathers when they fire. */
  function start(schedules: readonly Schedule[], before: readonly Fired[] = []): string[] {
    const fired: string[] = [];
    const running = new Schedules(before, log, ({ schedule, atMs }, { fn, key }) => {
      fired.push(`${schedule} ${new Date(atMs).toISOString()} ${fn} ${key}`);
      return true;
    });
    started.push(running);
    running.set(schedules);
    return fired;
  }

  const hourly: Schedule = { name: "hourly", cron: "0 * * * *", function: "report" };

  it("fire at their times, each once, under a unique of their name", () => {
    const fired = start([hourly, { name: "daily", cron: "15 13 * * *", function: "mail", unique: "u" }]);
    vi.advanceTimersByTime(2 * HOUR);
    expect(fired).toEqual([
      "hourly 2030-01-01T13:00:00.000Z report hourly",
      "daily 2030-01-01T13:15:00.000Z mail u",
      "hourly 2030-01-01T14:00:00.000Z report hourly",
    ]);
  });

  it("are meant in their time zone, over a change of the clocks", () => {
    vi.setSystemTime(Date.UTC(2030, 2, 30, 12));
    const fired = start([{ ...hourly, cron: "30 8 * * *", timeZone: "Europe/Berlin" }]);
    vi.advanceTimersByTime(48 * HOUR);
    expect(fired.map((text) => text.split(" ")[1])).toEqual([
      "2030-03-31T06:30:00.000Z",
      "2030-04-01T06:30:00.000Z",
    ]);
  });

  it("skip what passed while no server ran, or make up for all of it once", () => {
    const before = [
      { schedule: "hourly", atMs: Date.UTC(2030, 0, 1, 3) },
      { schedule: "made up", atMs: Date.UTC(2030, 0, 1, 3) },
    ];
    const fired = start([hourly, { ...hourly, name: "made up", missed: "once" }], before);
    expect(fired).toEqual(["made up 2030-01-01T04:00:00.000Z report made up"]);
    vi.advanceTimersByTime(HOUR);
    expect(fired).toHaveLength(3);
  });

  it("do not fire again when the clock is set back", () => {
    const fired = start([hourly]);
    vi.advanceTimersByTime(HOUR);
    expect(fired).toHaveLength(1);
    vi.setSystemTime(Date.UTC(2030, 0, 1, 11, 30));
    vi.advanceTimersByTime(HOUR + HOUR / 2 + 60_000);
    expect(fired).toHaveLength(1);
    vi.advanceTimersByTime(HOUR);
    expect(fired).toHaveLength(2);
  });

  it("fire once for a clock that is set forward over several times", () => {
    const fired = start([hourly]);
    vi.setSystemTime(Date.UTC(2030, 0, 1, 20, 30));
    vi.advanceTimersByTime(60_000);
    expect(fired).toHaveLength(1);
  });

  it("are told when they can never come", () => {
    expect(scheduleProblem("0 2 * * *", "Europe/Berlin")).toBeNull();
    expect(scheduleProblem("0 0 31 2 *")).toBe("there is no such time to come");
    expect(scheduleProblem("0 25 * * *")).toMatch(/25/);
    expect(scheduleProblem("0 2 * * *", "Mars/Olympus")).not.toBeNull();
  });
});
