import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";

const house = resolve(import.meta.dirname, "..");

/** Runs vitest by itself on fixtures and gives its exit code and the lines it printed. */
function run(...files: string[]): Promise<{ code: number | null; lines: string[] }> {
  const vitest = resolve(house, "node_modules/vitest/vitest.mjs");
  const config = resolve(house, "test/fixtures/reporter/vitest.config.ts");
  return new Promise((done) => {
    const args = [vitest, "run", "--config", config, ...files];
    const child = execFile(process.execPath, args, { cwd: house }, (_error, stdout) => {
      done({ code: child.exitCode, lines: stdout.trimEnd().split("\n") });
    });
  });
}

test("a run closes with one plain line, after the reasons for skipping", async () => {
  const { code, lines } = await run("mixed");
  expect(lines.slice(-2)).toEqual([
    "skipped: needs a-peer, install it with a-tool",
    "1 passed, 1 failed, 2 skipped",
  ]);
  expect(code).toBe(1);
});

test("a file that cannot be imported counts as failed", async () => {
  const { code, lines } = await run("broken", "passing");
  expect(lines.at(-1)).toBe("1 passed, 1 failed, 0 skipped");
  expect(code).toBe(1);
});

test("a run in which every test passed exits with zero", async () => {
  const { code, lines } = await run("passing");
  expect(lines.at(-1)).toBe("1 passed, 0 failed, 0 skipped");
  expect(code).toBe(0);
});

test("a run in which no test ran fails", async () => {
  const { code, lines } = await run("skipped");
  expect(lines.at(-1)).toBe("0 passed, 0 failed, 1 skipped");
  expect(code).toBe(1);
});
