import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BuildOutcome } from "../src/executor/build-request.ts";
import { readRecord } from "../src/executor/execution-record.ts";
import { readHeldShell } from "../src/executor/held-workspaces.ts";
import { Stage } from "./executor-stage.ts";

const HOUR_MS = 3_600_000;
const stage = new Stage();

const folderOf = ({ execution }: BuildOutcome): string => stage.executor.folderOf(execution)!;
const workOf = (outcome: BuildOutcome): string => readRecord(folderOf(outcome))!.work;

async function run(script: string, more: object = {}): Promise<BuildOutcome> {
  const { outcome } = await stage.run({ ...stage.request(script), holdMs: HOUR_MS, ...more });
  return outcome;
}

describe("a workspace that is wished for", () => {
  test("is kept when the build fails, and a shell in it is as its build was", async () => {
    const outcome = await run("echo left > found; exit 1");
    expect(outcome.heldUntilMs).toBeGreaterThan(Date.now());
    const { command, env, cwd } = readHeldShell(folderOf(outcome))!;
    const [program, ...words] = command;
    const input = 'pwd; cat found; echo "$DROVER_JOB"; exit 3\n';
    const { stdout, status } = spawnSync(program!, words, { cwd, env, input, encoding: "utf8" });
    expect([stdout.split("\n").slice(1, 2), status]).toEqual([["left"], 3]);
    await stage.executor.letGo(outcome.execution);
    expect(existsSync(workOf(outcome))).toBe(false);
    expect(readHeldShell(folderOf(outcome))).toBeUndefined();
  });

  test("is not kept when the build succeeds, nor when nobody wished for it", async () => {
    for (const outcome of [await run("true"), await run("exit 1", { holdMs: null })]) {
      expect(outcome).not.toHaveProperty("heldUntilMs");
      expect(existsSync(workOf(outcome))).toBe(false);
    }
  });

  test("of a preparation that failed is kept by the last attempt only", async () => {
    const preRun = [{ argv: ["false"] }];
    expect(await run("true", { preRun, attempt: 1, attempts: 2 })).not.toHaveProperty("heldUntilMs");
    expect(await run("true", { preRun, attempt: 2, attempts: 2 })).toHaveProperty("heldUntilMs");
  });

  test("is let go when its time has come, and not before", async () => {
    const outcome = await run("exit 1");
    await stage.executor.letGoExpired(Date.now());
    expect(existsSync(workOf(outcome))).toBe(true);
    await stage.executor.letGoExpired(outcome.heldUntilMs!);
    expect(existsSync(workOf(outcome))).toBe(false);
  });

  test("counts on the disk with its log, and goes with it", async () => {
    const outcome = await run("head -c 100000 /dev/zero > big; exit 1");
    const work = workOf(outcome);
    expect(readRecord(folderOf(outcome))!.held!.bytes).toBeGreaterThan(100_000);
    expect(await stage.executor.sweep(0, 50_000)).toContain(outcome.execution);
    expect(existsSync(work)).toBe(false);
  });
});

test("a held workspace outlives its executor", async () => {
  const folder = join(stage.folder, "another");
  const first = await stage.start({ folder });
  const request = { ...stage.request("exit 1"), holdMs: HOUR_MS };
  const { execution } = await first.run(request);
  await first.close();
  await using second = await stage.start({ folder });
  const { work } = readRecord(second.folderOf(execution)!)!;
  expect(existsSync(work)).toBe(true);
  await second.letGo(execution);
  expect(existsSync(work)).toBe(false);
});
