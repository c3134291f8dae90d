import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { CommandConnection } from "../../src/index.ts";
import { deliverToCommand } from "../../src/reporters/command.ts";
import type { DeliveryFailed } from "../../src/reporters/delivery-failed.ts";
import { bodyOf, ReporterStage } from "./stage.ts";

const ID = "0a64c1f5-0000-4000-8000-000000000000";
const HOSTILE = 'x"; touch owned; $(touch owned) `touch owned`\n\u0000';

let stage: ReporterStage;
const place = (signal = new AbortController().signal) => ({ folder: stage.folder, signal, nowMs: Date.now });
const command = (argv: readonly string[], more: Partial<CommandConnection> = {}): CommandConnection => ({
  ...{ driver: "command", name: "tell", argv, timeoutMs: 60_000, maxOutputBytes: 1_000 },
  ...more,
});

beforeEach(() => {
  stage = new ReporterStage();
});
afterEach(() => stage.end());

/** The failure of a delivery. */
async function failureOf(delivered: Promise<unknown>): Promise<DeliveryFailed> {
  return delivered.then(
    () => expect.fail("it did not fail"),
    (error: DeliveryFailed) => error,
  );
}

test("a command reads the report, in the gate's folder, and no shell reads what it holds", async () => {
  const script = stage.write("tell", '#!/bin/sh\ncat >told\necho "$DROVER_REPORT_ID $DROVER_REPORT" >env\n');
  const body = bodyOf(ID, "tell", HOSTILE);
  expect(await deliverToCommand(command([script, HOSTILE.replaceAll("\0", "")]), ID, body, place())).toEqual({
    exitCode: 0,
  });
  expect(JSON.parse(readFileSync(join(stage.folder, "told"), "utf8"))).toEqual(body);
  expect(readFileSync(join(stage.folder, "env"), "utf8")).toBe(`${ID} success\n`);
  expect(existsSync(join(stage.folder, "owned"))).toBe(false);
});

test("a command that reads nothing takes a report all the same", async () => {
  const body = { ...bodyOf(ID, "tell"), text: "x".repeat(1_000_000) };
  expect(await deliverToCommand(command(["true"]), ID, body, place())).toEqual({ exitCode: 0 });
});

test("the environment of the gate is not the command's", async () => {
  vi.stubEnv("DROVER_TOKEN", "s3cr3t");
  const script = stage.write("tell", "#!/bin/sh\nenv >env\n");
  await deliverToCommand(command([script]), ID, bodyOf(ID, "tell"), place());
  vi.unstubAllEnvs();
  expect(readFileSync(join(stage.folder, "env"), "utf8")).not.toContain("s3cr3t");
});

test("a failure tells the exit code, and what it wrote is for the log alone", async () => {
  const script = stage.write("tell", "#!/bin/sh\necho its password is hunter2 >&2\nexit 7\n");
  const error = await failureOf(deliverToCommand(command([script]), ID, bodyOf(ID, "tell"), place()));
  expect(error.message).toBe(`${script} failed: exit code 7`);
  expect(error.noted).toMatchObject({ exitCode: 7, output: "its password is hunter2\n" });
});

test("one that cannot be started is a failure", async () => {
  const error = await failureOf(
    deliverToCommand(command(["/nowhere/tell"]), ID, bodyOf(ID, "tell"), place()),
  );
  expect(error.message).toBe("/nowhere/tell could not be started: ENOENT");
});

test("past its time it is ended", async () => {
  const slow = command(["sleep", "600"], { timeoutMs: 100 });
  const delivered = deliverToCommand(slow, ID, bodyOf(ID, "tell"), place());
  expect((await failureOf(delivered)).message).toBe("sleep failed: it had not ended after 0.1 s");
});

test("it ends with the gate, and all that it has started with it", async () => {
  const script = stage.write("tell", "#!/bin/sh\nsleep 600 &\necho $! >new\nmv new child\nwait\n");
  const ending = new AbortController();
  const delivered = deliverToCommand(command([script]), ID, bodyOf(ID, "tell"), place(ending.signal));
  const failed = failureOf(delivered);
  const child = await vi.waitFor(() => Number(readFileSync(join(stage.folder, "child"), "utf8")), 30_000);
  ending.abort();
  expect((await failed).message).toBe(`${script} failed: the gate ends`);
  // Ended, though whoever reaps it may not have done so yet.
  await vi.waitFor(() => {
    const stat = existsSync(`/proc/${child}/stat`) ? readFileSync(`/proc/${child}/stat`, "latin1") : ") Z";
    expect(stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3)).toBe("Z");
  }, 30_000);
});

test("what it leaves behind when it ends does not hold it up", async () => {
  const script = stage.write("tell", "#!/bin/sh\nsleep 600 &\nexit 0\n");
  expect(await deliverToCommand(command([script]), ID, bodyOf(ID, "tell"), place())).toEqual({ exitCode: 0 });
});

test("what has left its group and holds its output does not hold it up either", async () => {
  const daemon =
    "setsid sh -c 'echo $$ >$0.pid; exec sleep 600' $0 &\nuntil [ -s $0.pid ]; do sleep 0.02; done\n";
  const good = stage.write("good", `#!/bin/sh\n${daemon}exit 0\n`);
  const bad = stage.write("bad", `#!/bin/sh\n${daemon}exit 7\n`);
  expect(await deliverToCommand(command([good]), ID, bodyOf(ID, "tell"), place())).toEqual({ exitCode: 0 });
  const error = await failureOf(deliverToCommand(command([bad]), ID, bodyOf(ID, "tell"), place()));
  expect(error.message).toBe(`${bad} failed: exit code 7`);
  for (const script of [good, bad]) process.kill(Number(readFileSync(`${script}.pid`, "utf8")), "SIGKILL");
});

test("past its output it is ended", async () => {
  const delivered = deliverToCommand(command(["yes"]), ID, bodyOf(ID, "tell"), place());
  expect((await failureOf(delivered)).message).toBe("yes failed: it wrote more than 1000 bytes");
});
