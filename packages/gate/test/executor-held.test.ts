import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RunResult } from "../src/core/index.ts";
import type { BuildOutcome } from "../src/executor/build-request.ts";
import { readRecord } from "../src/executor/execution-record.ts";
import { readHeldShell } from "../src/executor/held-workspaces.ts";
import { ExecutorError } from "../src/executor/index.ts";
import { Stage } from "./executor-stage.ts";

const HOUR_MS = 3_600_000;
/** What executors asked about. */
const asked: RunResult[] = [];
let forMs: number | null = HOUR_MS;
/** Ends what asks. */
let aborting: AbortController | undefined;
const holdMs = async (_build: string, result: RunResult): Promise<number | null> => {
  asked.push(result);
  aborting?.abort();
  return forMs;
};
const stage = new Stage({ name: "one", holdMs });

const folderOf = ({ execution }: BuildOutcome): string => stage.executor.folderOf(execution)!;
const workOf = (outcome: BuildOutcome): string => readRecord(folderOf(outcome))!.work;

async function run(script: string, more: object = {}): Promise<BuildOutcome> {
  asked.length = 0;
  const { outcome } = await stage.run({ ...stage.request(script), ...more });
  return outcome;
}

describe("a workspace that is wished for", () => {
  test("is kept when the build fails, and a shell in it is as its build was", async () => {
    const outcome = await run("echo left > found; exit 1");
    expect(outcome.held).toEqual({ untilMs: expect.any(Number), executor: "one" });
    expect(outcome.held!.untilMs).toBeGreaterThan(Date.now());
    expect(asked).toEqual([{ kind: "final", result: "FAILURE" }]);
    const { command, env, cwd, commits } = readHeldShell(folderOf(outcome))!;
    expect(commits["org/app"]).toContain(stage.tip);
    const [program, ...words] = command;
    const input = 'cat found; echo "$DROVER_JOB"; git log --oneline | wc -l; exit 3\n';
    const { stdout, status } = spawnSync(program!, words, { cwd, env, input, encoding: "utf8" });
    expect([stdout.split("\n").map((line) => line.trim()), status]).toEqual([["left", "test", "2", ""], 3]);
    await stage.executor.letGo(outcome.execution);
    expect(existsSync(workOf(outcome))).toBe(false);
    expect(readHeldShell(folderOf(outcome))).toBeUndefined();
  });

  test("is not kept when the build succeeds, nor when nobody wished for it", async () => {
    const good = await run("true");
    expect(asked).toEqual([]);
    forMs = null;
    const outcomes = [good, await run("exit 1")];
    forMs = HOUR_MS;
    for (const outcome of outcomes) {
      expect(outcome).not.toHaveProperty("held");
      expect(existsSync(workOf(outcome))).toBe(false);
    }
  });

  test("is asked for once a preparation has failed, and once time was up", async () => {
    await run("true", { preRun: [{ argv: ["false"] }] });
    expect(asked).toEqual([{ kind: "retry", again: true }]);
    await run("sleep 60", { timeoutMs: 300 });
    expect(asked).toEqual([{ kind: "final", result: "TIMED_OUT" }]);
    await run("true", { postRun: [{ argv: ["false"] }] });
    expect(asked).toEqual([{ kind: "final", result: "POST_FAILURE" }]);
  });

  test("is not kept when its build is cancelled while that is asked", async () => {
    aborting = new AbortController();
    let execution = "";
    const ended = stage.run(stage.request("exit 1"), {
      signal: aborting.signal,
      onStart: (id) => {
        execution = id;
      },
    });
    await expect(ended).rejects.toThrow(ExecutorError);
    aborting = undefined;
    expect((await stage.executor.held()).map((one) => one.execution)).not.toContain(execution);
    expect(existsSync(readRecord(stage.executor.folderOf(execution)!)!.work)).toBe(false);
  });

  test("has nothing that entries were given for themselves alone", async () => {
    const outcome = await run('echo "$DROVER_SECRETS" > where; exit 1');
    expect(existsSync(join(workOf(outcome), "given"))).toBe(false);
    expect(existsSync(join(workOf(outcome), "apart"))).toBe(false);
  });

  test("is let go when its time has come, and not before", async () => {
    const outcome = await run("exit 1");
    await stage.executor.letGoExpired(Date.now());
    expect(existsSync(workOf(outcome))).toBe(true);
    expect(await stage.executor.letGoExpired(outcome.held!.untilMs)).toContain(outcome.execution);
    expect(existsSync(workOf(outcome))).toBe(false);
  });

  test("counts on the disk with its log, and goes with it, unless it is to stay", async () => {
    const outcome = await run("head -c 100000 /dev/zero > big; exit 1");
    const work = workOf(outcome);
    const { execution } = outcome;
    expect(readRecord(folderOf(outcome))!.held!.bytes).toBeGreaterThan(100_000);
    expect(await stage.executor.sweep(0, 50_000, new Set([execution]))).not.toContain(execution);
    expect(existsSync(work)).toBe(true);
    expect(await stage.executor.sweep(0, 50_000)).toContain(execution);
    expect(existsSync(work)).toBe(false);
  });
});

describe("an executor", () => {
  test.each([
    ["maxHeld", { maxHeld: 1 }, "this executor holds 1 workspaces at most"],
    ["maxHeldBytes", { maxHeldBytes: 400_000 }, "may take 400000 bytes together"],
  ])("holds no more than %s, and says so in the log", async (name, limits, why) => {
    await using executor = await stage.start({ folder: join(stage.folder, name), limits });
    const request = stage.request("head -c 200000 /dev/urandom > big; exit 1");
    expect(await executor.run(request)).toHaveProperty("held");
    const { execution, ...second } = await executor.run(request);
    expect(second).not.toHaveProperty("held");
    const { bytes } = (await executor.readLog(execution))!;
    expect(Buffer.from(bytes).toString()).toContain("the workspace is not kept: ");
    expect(Buffer.from(bytes).toString()).toContain(why);
    expect(await executor.held()).toHaveLength(1);
  });

  test("that starts again holds what it held, and ends shells with what they are in", async () => {
    const folder = join(stage.folder, "another");
    const first = await stage.start({ folder });
    const { execution } = await first.run(stage.request("exit 1"));
    await first.close();
    await using second = await stage.start({ folder });
    expect(await second.held()).toMatchObject([{ execution, untilMs: expect.any(Number) }]);
    const { work } = readRecord(second.folderOf(execution)!)!;
    expect(existsSync(work)).toBe(true);
    const { command, env, cwd } = readHeldShell(second.folderOf(execution)!)!;
    const [program, ...words] = command;
    const shell = spawn(program!, words, { cwd, env, stdio: ["pipe", "pipe", "ignore"] });
    const ended = once(shell, "exit");
    shell.stdin.write("echo here\n");
    await once(shell.stdout, "data");
    await second.letGo(execution);
    await ended;
    expect(existsSync(work)).toBe(false);
  });
});
