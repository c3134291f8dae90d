import { describe, expect, test } from "vitest";
import { LineReader, type LineReading } from "../../src/plan/log-formats.ts";

const AUTO: LineReading = {
  format: undefined,
  stamp: undefined,
  unit: undefined,
  part: "request",
  pattern: undefined,
};
const read = (line: string, reading: Partial<LineReading> = {}) =>
  new LineReader({ ...AUTO, ...reading }).read(line);
const at = (iso: string) => Date.parse(iso) * 1000;

const COMMON = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326';
const BEGIN = at("2000-10-10T20:55:36Z");

describe("an access log", () => {
  test("Apache's %D is microseconds from the beginning, common or combined", () => {
    const wanted = { unique: "GET /a?b=1", atUs: BEGIN, durationUs: 1500 };
    expect(read(`${COMMON} 1500`)).toEqual(wanted);
    expect(read(`${COMMON} "http://x/" "Mozilla \\"5\\" [en]" 1500`)).toEqual(wanted);
    expect(read(`${COMMON} 1500`, { format: "apache-ms" })).toMatchObject({ durationUs: 1_500_000 });
    expect(read(`${COMMON} 3`, { format: "apache-s" })).toMatchObject({ durationUs: 3_000_000 });
  });

  test("nginx's $request_time is seconds up to the end", () => {
    const wanted = { unique: "GET /a?b=1", atUs: BEGIN - 250_000, durationUs: 250_000 };
    expect(read(`${COMMON} "-" "curl" 0.250`)).toEqual(wanted);
    expect(read(`${COMMON} "-" "curl" rt="0.250"`)).toEqual(wanted);
    expect(read(`${COMMON} 0.250`, { stamp: "begin" })).toMatchObject({ atUs: BEGIN });
    expect(read(`${COMMON} 250`, { format: "nginx", unit: "ms" })).toEqual(wanted);
  });

  test("what the unique is can be chosen", () => {
    expect(read(`${COMMON} 1`, { part: "path" })).toMatchObject({ unique: "GET /a" });
    expect(read(`${COMMON} 1`, { pattern: /b=(\d)/ })).toMatchObject({ unique: "1" });
    expect(read(`${COMMON} 1`, { pattern: /\/[a-z]/ })).toMatchObject({ unique: "/a" });
    expect(read(`${COMMON} 1`, { pattern: /^POST/ })).toBe("skipped");
  });

  test.each([
    "nonsense",
    '- - - [10/Oct/2000:13:55:36 -0700] "-" 408 0 "-" "-" 5',
    '- - - [10/Foo/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 0 5',
    `${COMMON} -`,
    `${COMMON} 99999999999999`,
  ])("%s is bad", (line) => expect(read(line, { format: "apache" })).toHaveProperty("bad"));
});

describe("unique,timestamp,duration", () => {
  test.each([
    ["a,1700000000,0.5", "a", 1_700_000_000_000_000],
    ["a,1700000000.25,0.5", "a", 1_700_000_000_250_000],
    ["a,1700000000250,0.5", "a", 1_700_000_000_250_000],
    ["a,2026-01-02T03:04:05.5Z,0.5", "a", at("2026-01-02T03:04:05.5Z")],
    ["a,2026-01-02 03:04:05,0.5", "a", at("2026-01-02T03:04:05Z")],
    ["a,2026-01-02T03:04:05+01:00,0.5", "a", at("2026-01-02T02:04:05Z")],
    ['"a,""b""",7,0.5', 'a,"b"', 7_000_000],
    ["a,b,7,0.5", "a,b", 7_000_000],
  ])("%s", (line, unique, atUs) => expect(read(line)).toEqual({ unique, atUs, durationUs: 500_000 }));

  test("a first line of names is a header, and none but the first", () => {
    const reader = new LineReader(AUTO);
    expect(reader.read("unique,timestamp,duration")).toBe("skipped");
    expect(reader.read("a,1,1")).toHaveProperty("atUs", 1_000_000);
    expect(reader.read("unique,timestamp,duration")).toHaveProperty("bad");
  });

  test.each(["a,b", "a,x,1", "a,1,x", "a,1,-1", "a,1,", "a,999999999999999,1", "a,2026-13-45,1"])(
    "%s is bad",
    (line) => {
      const reader = new LineReader({ ...AUTO, format: "csv" });
      reader.read("first,1,1");
      expect(reader.read(line)).toHaveProperty("bad");
    },
  );
});
