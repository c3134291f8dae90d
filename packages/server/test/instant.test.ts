import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextInstant } from "../src/core/instant.ts";

const AFTER = Date.UTC(2030, 0, 1, 12, 30, 15);
const MINUTE_MS = 60_000;

function next(fields: string, afterMs = AFTER): string | null {
  const found = nextInstant(fields.split(" "), afterMs);
  return found === null ? null : new Date(found).toISOString();
}

/** Whether an instant matches the five fields, by the calendar. */
function matches(fields: readonly string[], atMs: number): boolean {
  const date = new Date(atMs);
  const weekday = (date.getUTCDay() + 6) % 7;
  const parts = [
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth() + 1,
    weekday,
  ];
  return fields.every((field, i) => field === "*" || field === "" || Number(field) === parts[i]);
}

describe("nextInstant", () => {
  it.each([
    ["* * * * *", "2030-01-01T12:31:00.000Z"],
    ["30 * * * *", "2030-01-01T13:30:00.000Z"],
    ["45 12 * * *", "2030-01-01T12:45:00.000Z"],
    ["0 0 * * *", "2030-01-02T00:00:00.000Z"],
    ["0 0 1 * *", "2030-02-01T00:00:00.000Z"],
    ["0 0 1 1 *", "2031-01-01T00:00:00.000Z"],
    ["0 0 29 2 *", "2032-02-29T00:00:00.000Z"],
    ["* 3 31 12 *", "2030-12-31T03:00:00.000Z"],
    ["0 0 * * 0", "2030-01-07T00:00:00.000Z"],
    ["0 0 * * 6", "2030-01-06T00:00:00.000Z"],
    ["0 0 29 2 0", "2044-02-29T00:00:00.000Z"],
  ])("%s after 2030-01-01 12:30:15 is %s", (fields, expected) => {
    expect(next(fields)).toBe(expected);
  });

  it("is never the minute that has begun", () => {
    expect(next("30 12 * * *", Date.UTC(2030, 0, 1, 12, 30, 0))).toBe("2030-01-02T12:30:00.000Z");
    expect(next("30 12 * * *", Date.UTC(2030, 0, 1, 12, 29, 59, 999))).toBe("2030-01-01T12:30:00.000Z");
  });

  it.each([
    "0 0 31 6 *",
    "0 0 30 2 *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 7",
    "x * * * *",
    "-1 * * * *",
    "1.5 * * * *",
  ])("%s never comes", (fields) => {
    expect(next(fields)).toBeNull();
  });

  it("finds a minute that matches all fields, and none before it does", () => {
    const field = (low: number, high: number) =>
      fc.oneof(fc.constantFrom("*", ""), fc.integer({ min: low, max: high }).map(String));
    const fields = fc.tuple(field(0, 59), field(0, 23), fc.constant("*"), fc.constant("*"), field(0, 6));
    const after = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2040, 0, 1) });
    fc.assert(
      fc.property(fields, after, (wanted, afterMs) => {
        const found = nextInstant(wanted, afterMs)!;
        expect(found % MINUTE_MS).toBe(0);
        expect(found).toBeGreaterThan(afterMs);
        expect(matches(wanted, found)).toBe(true);
        for (let at = found - MINUTE_MS; at > afterMs; at -= MINUTE_MS) {
          if (matches(wanted, at))
            expect.fail(`${wanted.join(" ")} came at ${new Date(at).toISOString()} already`);
        }
      }),
      { numRuns: 60 },
    );
  });
});
