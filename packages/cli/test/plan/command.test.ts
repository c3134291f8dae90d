import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { JUDGED_FROM, plan as runPlan } from "../../src/plan/run.ts";
import { drover, temporaryFolder } from "../running.ts";

/* `drover plan` as a command, and the page that shows what it says. */

const ROOT = resolve(import.meta.dirname, "../../../..");
const SAMPLE = "examples/plan/access.log";
const folder = temporaryFolder();
afterAll(() => folder.remove());

const plan = (args: readonly string[], input: string | Buffer = "") =>
  drover(["plan", ...args], { input, cwd: ROOT });
const json = async (args: readonly string[], input: string | Buffer = "") =>
  JSON.parse((await plan([...args, "--json"], input)).stdout);

const HERD = "unique,timestamp,duration\na,0,2\na,1,2\nb,1,2\na,1.5,2\n";

describe("plan", () => {
  test("docs/CAPACITY.md shows what the command prints of the sample", async () => {
    const page = readFileSync(join(ROOT, "docs/CAPACITY.md"), "utf8");
    const shown = [...page.matchAll(/```text\n\$ drover plan ([^\n]*)\n([\s\S]*?)```/g)];
    expect(shown.length).toBeGreaterThan(0);
    for (const [, args, output] of shown) {
      expect((await plan(args!.split(" "))).stdout.trimEnd()).toBe(output!.trimEnd());
    }
  });

  test("--json has runs, peaks, herds and waits", async () => {
    expect(await json(["--workers", "1"], HERD)).toMatchObject({
      format: "csv",
      requests: 4,
      joinRatio: 2,
      withoutJoining: { peak: 4, workMs: 8000, busyMs: 3500 },
      withJoining: { runs: 2, peak: 2, workMs: 4000, busyMs: 3000 },
      herds: [{ unique: "a", size: 3, begin: "1970-01-01T00:00:00.000Z", end: "1970-01-01T00:00:02.000Z" }],
      waiting: {
        withJoining: { runs: 2, peak: 1, waitMs: { p50: 0, max: 1000 } },
        withoutJoining: { runs: 4 },
      },
    });
  });

  test("gzip and zstd are unpacked, from files and standard input", async () => {
    const bytes = readFileSync(join(ROOT, SAMPLE));
    const plain = await json([SAMPLE]);
    writeFileSync(folder.file("log.gz"), gzipSync(bytes));
    expect(await json([folder.file("log.gz")])).toEqual(plain);
    expect(await json(["-"], zstdCompressSync(bytes))).toEqual(plain);
    const cutShort = await plan([], gzipSync(bytes).subarray(0, 5000));
    expect([cutShort.code, cutShort.stderr]).toMatchObject([2, /INPUT_UNREADABLE: standard input/]);
  });

  test("bad lines are counted and shown, and too many fail", async () => {
    const some = await plan(
      ["--log-format", "csv", "--max-bad", "30"],
      "a,1,1\na,2,\x1b[31m\n\na,3,1\na,4,1\n",
    );
    expect([some.code, some.stderr]).toEqual([0, "drover: standard input:2: no duration: ?[31m\n"]);
    expect(some.stdout).toContain("4 lines of format csv, 1 bad");
    const many = await plan([], `a,1,1\n${"b,x,1\n".repeat(9)}`);
    expect(many.code).toBe(1);
    expect(many.stderr.trimEnd().split("\n")).toHaveLength(6);
    expect(many.stderr).toContain("INPUT_BAD: 9 of 10 lines are bad");
    expect(await plan([], "")).toMatchObject({
      code: 1,
      stderr: "drover: INPUT_BAD: no request in 0 lines\n",
    });
    const long = await plan(["--max-bad", "100"], `a,1,1\n${"x".repeat(500_000)},1,1\na,2,1\n`);
    expect([long.code, long.stderr]).toEqual([0, "drover: standard input:2: too long\n"]);
  });

  test("a line too far out of order says so, unless --tolerance or --sort takes it", async () => {
    const log = "a,100,1\nb,200,1\nc,300,1\nd,100,1\n";
    const strict = await plan([], log);
    expect([strict.code, strict.stderr]).toMatchObject([
      1,
      /^drover: INPUT_UNSORTED: standard input:4 begins 200\.0 s before a line above it, more than --tolerance 60s/,
    ]);
    const sorted = await json(["--sort"], log);
    expect(sorted.withoutJoining.peak).toBe(2);
    expect(await json(["--tolerance", "200s"], log)).toEqual(sorted);
  });

  test("a log of which too much is bad is not read to its end, one whose beginning is bad is", async () => {
    const good = (count: number) => Array.from({ length: count }, (_, i) => `a,${i},1\n`).join("");
    const bad = (count: number) => "b,x,1\n".repeat(count);
    const hopeless = await plan([], good(1) + bad(JUDGED_FROM) + good(JUDGED_FROM));
    expect([hopeless.code, hopeless.stderr]).toMatchObject([
      1,
      /INPUT_BAD: 9,999 of 10,000 lines are bad, more than --max-bad 5 \(percent\)\n$/,
    ]);
    // 400 of the first 401, and too few of all.
    const rest = await plan([], good(1) + bad(400) + good(JUDGED_FROM));
    expect([rest.code, rest.stderr]).toMatchObject([0, /drover: 400 bad lines in all\n$/]);
  });

  test("more requests than are held to be put in order say so", async () => {
    const log = folder.file("backwards.csv");
    writeFileSync(log, "a,3,1\na,2,1\na,1,1\n");
    const flags = { unique: "request", top: "10", percentiles: "50", tolerance: "60s", maxBad: "5" } as const;
    for (const held of [{ sort: true }, {}]) {
      await expect(runPlan([log], { ...flags, ...held }, 2)).rejects.toThrow(
        `INPUT_UNSORTED: ${log}:3: more than 2 requests to be put in order: sort the log first, or allow less with --tolerance`,
      );
    }
    const { stdout } = await plan([log, "--sort"]);
    expect(stdout).toContain("3 requests");
  });

  test("--svg writes a picture, --plot draws on what is no terminal, without colour", async () => {
    const file = folder.file("load.svg");
    const { stdout } = await plan([SAMPLE, "--svg", file, "--plot"]);
    const svg = readFileSync(file, "utf8");
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(svg).toContain("at most 114 without joining, 4 with");
    expect(svg).not.toContain("NaN");
    expect(stdout).toContain("█ with joining, ░ without");
    expect(stdout).not.toContain("\x1b");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test.each([
    [["--workers", "0"], /OPTION_INVALID: --workers/],
    [["--percentiles", "50,x"], /OPTION_INVALID: --percentiles "x"/],
    [["--unique-regex", "("], /OPTION_INVALID: --unique-regex/],
    [["--log-format", "iis"], /Allowed choices/],
    [["--svg", "/nonexistent/x.svg"], /FILE_NOT_WRITABLE/],
    [["/nonexistent"], /INPUT_UNREADABLE: \/nonexistent/],
  ])("%j is exit code 2", async (args, message) => {
    const { code, stderr } = await plan(args, HERD);
    expect([code, stderr]).toMatchObject([2, message]);
  });
});
