import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startDrover, type TestServer } from "../peers/servers.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

describe("examples", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startDrover();
  });
  afterAll(() => server.stop());

  test("join: three clients see one drawing whole, the late one too", async () => {
    const { stdout } = await run(process.execPath, [join(ROOT, "examples/join.ts"), server.address]);
    const lines = stdout.trim().split("\n");
    expect(lines.filter((line) => line.startsWith("drawing"))).toEqual(["drawing picture:cat"]);
    for (const name of ["first", "second", "late"]) {
      expect(lines.filter((line) => line.startsWith(name))).toEqual([
        `${name} sees line 1`,
        `${name} sees line 2`,
        `${name} sees line 3`,
        `${name}: done`,
      ]);
    }
  });

  test("tracing: two submissions and the run that they share, linked", async () => {
    const { stdout } = await run(process.execPath, [join(ROOT, "examples/tracing.ts"), server.address]);
    expect(stdout.trim().split("\n").sort()).toEqual([
      "process resize resized links: 1",
      "submit resize false links: 1",
      "submit resize true links: 1",
    ]);
  });

  test.each(["join.ts", "page/page.js"])("the README shows %s as it is", (name) => {
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain(
      readFileSync(join(ROOT, "examples", name), "utf8"),
    );
  });
});
