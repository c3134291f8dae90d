import { expect, test } from "vitest";
import { DEFAULT_GOVERNORS, type MachineState, refusalOf } from "../src/index.ts";

const idle: MachineState = {
  processors: 4,
  load: 1,
  freeMemoryBytes: 8_000,
  memoryBytes: 10_000,
  freeDiskBytes: 10 * 1024 ** 3,
  starting: 0,
};

const why = (changed: Partial<MachineState>): string | null =>
  refusalOf(DEFAULT_GOVERNORS, { ...idle, ...changed });

test("an executor with room takes builds", () => {
  expect(why({})).toBeNull();
  expect(why({ load: 10, starting: 7 })).toBeNull();
});

test("an executor takes none past one of its governors, and says which", () => {
  expect(why({ load: 10.1 })).toBe("its load is 10.1, of 10 at most");
  expect(why({ freeMemoryBytes: 400 })).toBe("4.0 % of its memory are free, of 5 that are to be");
  expect(why({ freeDiskBytes: 1_000 })).toBe("its disk has 1000 bytes free, of 1073741824 that are to be");
  expect(why({ starting: 8 })).toBe("8 builds start, of 8 at most");
});

test("0 turns a governor off", () => {
  const off = { maxLoad: 0, minMemoryPercent: 0, minDiskBytes: 0, maxStarting: 0 };
  const full = { ...idle, load: 1_000, freeMemoryBytes: 0, freeDiskBytes: 0, starting: 1_000 };
  expect(refusalOf(off, full)).toBeNull();
});
