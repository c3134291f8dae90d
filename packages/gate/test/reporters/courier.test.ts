import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { CommandConnection } from "../../src/index.ts";
import { Courier, Outbox, type OutboxLimits } from "../../src/reporters/index.ts";
import { bodyOf, letterOf, ReporterStage } from "./stage.ts";

let stage: ReporterStage;
let outbox: Outbox;
let nowMs: number;
let connections: Map<string, CommandConnection>;
let courier: Courier | undefined;

beforeEach(() => {
  stage = new ReporterStage();
  nowMs = 1_000;
  connections = new Map();
});
afterEach(async () => {
  await courier?.close();
  courier = undefined;
  stage.end();
});

/** A gate's courier, as of a process that begins. */
function begin(limits: Partial<OutboxLimits> = {}): Courier {
  outbox = new Outbox(stage.database, limits);
  courier = new Courier({
    ...{ outbox, folder: stage.folder, log: stage.log, nowMs: () => nowMs },
    connection: (name) => connections.get(name),
  });
  return courier;
}

/** A connection that appends the report's id to the file of its name, and then ends with what the file `NAME.exit` holds. */
function connect(name: string): void {
  const exit = `read code <${name}.exit && exit $code`;
  const script = stage.write(name, `#!/bin/sh\necho "$DROVER_REPORT_ID" >>${name}.told\n${exit}\n`);
  stage.write(`${name}.exit`, "0\n");
  connections.set(name, {
    ...{ driver: "command", name, argv: [script], timeoutMs: 60_000, maxOutputBytes: 1_000 },
  });
}

/** Ids that a connection was told, in order. */
function told(name: string): string[] {
  const path = join(stage.folder, `${name}.told`);
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

const codes = (): unknown[] =>
  stage.logged.map(({ fields }) => fields.code).filter((code) => code !== undefined);
const eventually = (check: () => void): Promise<void> => vi.waitFor(check, 30_000);

test("what is in the outbox goes to its connection, in order and once", async () => {
  connect("hook");
  begin();
  for (const subject of ["local:1", "local:2", "local:3"])
    outbox.add("hook", subject, letterOf("hook"), nowMs);
  const ids = outbox
    .list()
    .map(({ id }) => id)
    .toReversed();
  courier!.wake();
  courier!.wake();
  await eventually(() => expect(outbox.waiting()).toBe(0));
  expect(told("hook")).toEqual(ids);
  expect(codes()).toEqual([]);
});

test("a connection that fails holds up no other, and is tried again with the same id when its time has come", async () => {
  connect("broken");
  connect("hook");
  stage.write("broken.exit", "3\n");
  begin();
  outbox.add("broken", "local:1", letterOf("broken"), nowMs);
  outbox.add("gone", "local:1", letterOf("gone"), nowMs);
  outbox.add("hook", "local:1", letterOf("hook"), nowMs);
  courier!.wake();
  await eventually(() => expect(outbox.list().map(({ attempts }) => attempts)).toEqual([1, 1]));
  await eventually(() => expect(told("hook")).toHaveLength(1));
  expect(outbox.list().map(({ problem }) => problem)).toEqual([
    "there is no connection gone in the tenant file any more",
    `${connections.get("broken")!.argv[0]} failed: exit code 3`,
  ]);
  expect(codes()).toEqual(["REPORT_NOT_DELIVERED", "REPORT_NOT_DELIVERED"]);

  stage.write("broken.exit", "0\n");
  courier!.wake();
  expect(told("broken")).toHaveLength(1);
  nowMs += outbox.limits.firstRetryMs;
  courier!.wake();
  await eventually(() => expect(outbox.waiting()).toBe(1));
  const [first, second] = told("broken");
  expect(second).toBe(first);
});

test("a connection that takes nothing is tried less and less, however much waits for it, and then gets all of it", async () => {
  connect("broken");
  stage.write("broken.exit", "3\n");
  begin({ maxPauseMs: 12_000 });
  for (let n = 1; n <= 4; n++) outbox.add("broken", `local:${n}`, letterOf("broken"), nowMs);
  const tries = (): number => outbox.list().reduce((sum, { attempts }) => sum + attempts, 0);
  const tried: number[] = [];
  for (let second = 0; second < 50; second++, nowMs += 1_000) {
    const before = tries();
    courier!.wake();
    if (!courier!.isBusy) continue;
    await eventually(() => expect(courier!.isBusy).toBe(false));
    tried.push(second);
    expect(tries()).toBe(before + 1);
  }
  expect(tried).toEqual([0, 5, 15, 27, 39]);
  stage.write("broken.exit", "0\n");
  nowMs += outbox.limits.maxRetryMs;
  courier!.wake();
  await eventually(() => expect(outbox.waiting()).toBe(0));
});

test("a report that is never taken holds up no other of its connection", async () => {
  connect("hook");
  stage.write("hook", '#!/bin/sh\necho "$DROVER_REPORT_ID" >>hook.told\n! grep -q poison\n');
  begin();
  outbox.add("hook", "local:1", (id) => ({ body: bodyOf(id, "hook", "poison") }), nowMs);
  for (const subject of ["local:2", "local:3"]) outbox.add("hook", subject, letterOf("hook"), nowMs);
  courier!.wake();
  await eventually(() => expect(outbox.list().map(({ attempts }) => attempts)).toEqual([0, 0, 1]));
  nowMs += outbox.limits.firstRetryMs;
  await eventually(() => {
    courier!.wake();
    expect(outbox.list()).toMatchObject([{ subject: "local:1", attempts: 2 }]);
  });
});

test("what is given up is told in the log as an error", async () => {
  connect("broken");
  stage.write("broken.exit", "3\n");
  begin({ maxReportAgeMs: 1 });
  outbox.add("broken", "local:1", letterOf("broken"), nowMs);
  courier!.wake();
  await eventually(() => expect(outbox.waiting()).toBe(0));
  expect(stage.logged.at(-1)).toMatchObject({
    level: "error",
    fields: { code: "REPORT_GIVEN_UP", connection: "broken", subject: "local:1", attempts: 1 },
  });
});

test("a report that is under way when the gate ends goes again when it starts, with the same id", async () => {
  connect("hook");
  stage.write("hook", '#!/bin/sh\necho "$DROVER_REPORT_ID" >>hook.told\nsleep 600\n');
  const first = begin();
  outbox.add("hook", "local:1", letterOf("hook"), nowMs);
  first.wake();
  await eventually(() => expect(told("hook")).toHaveLength(1));
  await first.close();
  expect(outbox.list()).toMatchObject([{ attempts: 0, givenUpMs: null }]);
  stage.database.close();
  stage.open();
  connect("hook");
  begin().wake();
  await eventually(() => expect(outbox.waiting()).toBe(0));
  const ids = told("hook");
  expect(ids).toEqual([ids[0], ids[0]]);
});

test("a report whose process is killed while it is under way goes again from the next, with the same id", async () => {
  stage.write("hook", '#!/bin/sh\necho "$DROVER_REPORT_ID" >>hook.told\nkill -9 $PPID\n');
  stage.database.close();
  const child = spawn(process.execPath, [join(import.meta.dirname, "dying-courier.ts"), stage.folder], {
    stdio: "inherit",
  });
  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGKILL");
  stage.open();
  connect("hook");
  begin().wake();
  await eventually(() => expect(outbox.waiting()).toBe(0));
  const ids = told("hook");
  expect(ids).toEqual([ids[0], ids[0]]);
}, 60_000);
