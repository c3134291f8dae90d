import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { giveBackWhenIdle } from "../src/serve/idle-memory.ts";

describe("memory is given back", () => {
  let submitted = 0;
  let alive = 0;
  const collect = vi.fn();

  beforeEach(() => {
    vi.useFakeTimers();
    collect.mockClear();
    submitted = 0;
    alive = 0;
    giveBackWhenIdle({ submitted: () => submitted, alive: () => alive }, collect);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("once after a burst, when it is over", () => {
    for (let i = 0; i < 5; i++) {
      submitted += 50_000;
      vi.advanceTimersByTime(10_000);
    }
    expect(collect).not.toHaveBeenCalled();
    vi.advanceTimersByTime(20_000);
    expect(collect).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(600_000);
    expect(collect).toHaveBeenCalledOnce();
  });

  test("not while many jobs wait, for which a collection takes long", () => {
    submitted = 50_000;
    alive = 1_000_000;
    vi.advanceTimersByTime(60_000);
    expect(collect).not.toHaveBeenCalled();
    alive = 3;
    vi.advanceTimersByTime(10_000);
    expect(collect).toHaveBeenCalledOnce();
  });

  test("not by a server that never had much to do", () => {
    submitted = 9_000;
    vi.advanceTimersByTime(600_000);
    expect(collect).not.toHaveBeenCalled();
  });
});
