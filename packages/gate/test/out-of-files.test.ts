import { spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { git } from "../src/git/git.ts";
import { GateLink } from "../src/remote/gate-link.ts";

const folder = mkdtempSync(join(tmpdir(), "drover-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a process that may open no more files fails at what needs some, and goes on", async () => {
  const gitDir = join(folder, "some.git");
  await git(["init", "--quiet", "--bare", gitDir]);
  const script = join(import.meta.dirname, "out-of-files.ts");
  const words = ["-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, script, gitDir];
  const { stdout, stderr, status } = spawnSync("sh", words);
  expect(status, stderr.toString()).toBe(0);
  expect(JSON.parse(stdout.toString())).toEqual([
    ["rejected", "rejected", "rejected"],
    ["fulfilled", "fulfilled"],
  ]);
});

test("what is sent to a gate that is not there does not stay open", async () => {
  const file = join(folder, "artifact");
  writeFileSync(file, Buffer.alloc(1_000_000));
  const link = new GateLink({ url: "http://127.0.0.1:9999", token: "t", patienceMs: 3_000 });
  const content = () => createReadStream(file) as never;
  await expect(link.ask("PUT", "/x", content)).rejects.toMatchObject({ code: "GATE_UNREACHABLE" });
  const open = (): string[] =>
    readdirSync("/proc/self/fd").flatMap((name) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`);
      } catch {
        return [];
      }
    });
  await until("it is closed", 10_000, () => !open().includes(file));
});
