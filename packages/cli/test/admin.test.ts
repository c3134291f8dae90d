import { Client } from "@drover/client";
import { JobServer } from "@drover/server";
import { dial } from "@drover/transport";
import { Worker } from "@drover/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { VERSION } from "../src/version.ts";
import { BIN, drover, findProgram, run, until } from "./running.ts";

/* What administrators see and order, and that no name can do anything to their terminals. */

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
/** Would set a terminal's title, move its cursor and forge a line, in both encodings of the escape character. */
const EVIL = Buffer.from("e\x1b]0;owned\x07\x1b[2J\u009b31m\\vil", "latin1");
const EVIL_SHOWN = "e\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\x5cvil";

let server: JobServer;
let port = "";
let client: Client;
let worker: Worker;

beforeAll(async () => {
  server = await JobServer.start({ listen: ["127.0.0.1:0"], log: quiet, version: "2.0.0-drover-test" });
  port = String(server.addresses[0]!.port);
  client = new Client({ servers: `127.0.0.1:${port}` });
  worker = new Worker({ servers: `127.0.0.1:${port}`, clientId: "the-worker" });
  worker.handle("fast", (job) => job.workload);
  await worker.run();
  await submitEvil();
  await client.background("waiting", "12345", { unique: "u:1", priority: "low" });
  await client.background("waiting", "", { unique: "u:1" });
  await client.submit("fast", "x").result();
});

afterAll(async () => {
  await client.close();
  await worker.close();
  await server.stop(0);
});

/** By hand: the libraries' names are text, and this one is no UTF-8. */
async function submitEvil(): Promise<void> {
  const connection = await dial(`127.0.0.1:${port}`);
  const body = Buffer.concat([EVIL, Buffer.from("\0\x1b[31mu\0w", "latin1")]);
  const header = Buffer.from("\0REQ\0\0\0\x12\0\0\0\0", "latin1");
  header.writeUInt32BE(body.length, 8);
  const acknowledged = Promise.withResolvers<void>();
  connection.attach({ data: () => acknowledged.resolve(), drain() {}, close() {} });
  connection.send([header, body]);
  await acknowledged.promise;
  connection.destroy();
}

const admin = (...args: string[]) => drover(["admin", "-h", "127.0.0.1", "-p", port, ...args]);

/** Runs drover on a terminal, and gives what reaches it. */
async function onTerminal(...args: string[]): Promise<string> {
  const words = [process.execPath, BIN, ...args].map((word) => `'${word}'`).join(" ");
  const { stdout } = await run(["script", "-qec", words, "/dev/null"]);
  return stdout.replaceAll("\r\n", "\n");
}

describeWith(["gearman-tools"], "drover admin and gearadmin", () => {
  test.each([
    [["--status"]],
    [["--priority-status"]],
    [["--show-jobs"]],
    [["--show-unique-jobs"]],
    [["--getpid"]],
    [["--server-version"]],
    [["--server-verbose"]],
    [["--create-function", "made"]],
    [["--status", "--server-version", "--getpid", "--priority-status"]],
  ])("%j print the same bytes", async (args) => {
    const theirs = await run(["gearadmin", "-h", "127.0.0.1", "-p", port, ...args]);
    const ours = await admin(...args);
    expect(ours.bytes.equals(theirs.bytes), `${ours.stdout}\nis not\n${theirs.stdout}`).toBe(true);
    expect([ours.code, theirs.code]).toEqual([0, 0]);
  });

  test("--workers list the same connections, each with its own at the end", async () => {
    const theirs = await run(["gearadmin", "-h", "127.0.0.1", "-p", port, "--workers"]);
    const ours = await admin("--workers");
    const others = (text: string) => text.split("\n").filter((line) => !/^\d+ 127\.0\.0\.1 - :$/.test(line));
    expect(others(ours.stdout)).toEqual(others(theirs.stdout));
    expect(ours.stdout).toMatch(/^\d+ 127\.0\.0\.1 the-worker : fast$/m);
  });

  test("a refusal is told in the same words, and by drover in the exit code too", async () => {
    for (const args of [
      ["--cancel-job", "H:none:1"],
      ["--drop-function", "never"],
      ["--drop-function", "waiting"],
    ]) {
      const theirs = await run(["gearadmin", "-h", "127.0.0.1", "-p", port, ...args]);
      const ours = await admin(...args);
      expect([ours.stdout, ours.stderr.trim()]).toEqual([theirs.stdout, theirs.stderr.trim()]);
      expect(ours.code).toBe(1);
    }
  });
});

describe("names", () => {
  test("stand byte for byte in a pipe", async () => {
    const { bytes } = await admin("--status");
    expect(bytes.includes(EVIL)).toBe(true);
  });

  test.skipIf(findProgram("script") === undefined)("never reach a terminal raw", async () => {
    const shown = await Promise.all([
      onTerminal("admin", "-p", port, "--status", "--priority-status", "--workers"),
      onTerminal("admin", "-p", port, "--show-unique-jobs"),
      onTerminal("admin", "-p", port, "jobs"),
      onTerminal("admin", "-p", port, "functions"),
      onTerminal("status", "-p", port),
      onTerminal("top", "-p", port, "--once"),
    ]);
    for (const text of shown) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    }
    expect(shown[0]).toContain(`${EVIL_SHOWN}\t1\t0\t0\n`);
    expect(shown[1]).toContain("\\x1b[31mu\n");
    expect(shown[2]).toContain(EVIL_SHOWN);
    expect(shown[4]).toContain(EVIL_SHOWN);
  });

  test("stand escaped in Drover's own listings even in a pipe, and in JSON", async () => {
    const { stdout } = await drover(["status", "-p", port, "--json"]);
    expect(JSON.parse(stdout).functions.map(({ name }: { name: string }) => name)).toContain(EVIL_SHOWN);
    expect((await admin("jobs")).stdout).toContain(EVIL_SHOWN);
  });
});

describe("Drover's own", () => {
  test("status shows functions with their join ratio, as a table and as JSON", async () => {
    const table = await drover(["status", "-p", port]);
    expect(table.stdout).toMatch(
      /^FUNCTION +QUEUED +DELAYED +RUNNING +WORKERS +SUBMISSIONS +JOINS +RUNS +JOIN RATIO/m,
    );
    expect(table.stdout).toMatch(/^fast +0 +0 +0 +1 +1 +0 +1 +1\.0/m);
    expect(table.stdout).toMatch(/^waiting +1 +0 +0 +0 +2 +1 +0 +-/m);
    const { stdout } = await drover(["status", "-p", port, "--json"]);
    const { functions, version, counts } = JSON.parse(stdout);
    expect(version).toBe("2.0.0-drover-test");
    expect(counts.joins).toBe(1);
    expect(functions.find(({ name }: { name: string }) => name === "fast")).toMatchObject({
      submissions: 1,
      runs: 1,
      completed: 1,
      joinRatio: 1,
    });
  });

  test("jobs shows what waits; an unknown function is refused", async () => {
    const { stdout } = await admin("jobs", "waiting", "--json");
    expect(JSON.parse(stdout)).toMatchObject([
      {
        function: "waiting",
        unique: "u:1",
        state: "queued",
        background: true,
        workloadBytes: 5,
        worker: null,
      },
    ]);
    const unknown = await admin("jobs", "never");
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      "drover: ADMIN_REFUSED: jobs never 1000: function not found\n",
    ]);
  });

  test("pause keeps a function's jobs from workers until resume", async () => {
    expect((await admin("pause", "fast")).stdout).toBe("OK\n");
    expect((await drover(["status", "-p", port])).stdout).toContain("fast (paused)");
    const job = client.submit("fast", "y");
    await job.created();
    await client.echo();
    expect(server.core.state.functions.get("fast")!.running).toBe(0);
    expect((await admin("resume", "fast")).stdout).toBe("OK\n");
    expect(Buffer.from(await job.result()).toString()).toBe("y");
    expect((await admin("pause", "never")).code).toBe(1);
  });

  test("max-queue limits a function, for each priority, and not by two numbers", async () => {
    expect((await admin("max-queue", "limited", "1")).code).toBe(0);
    await client.background("limited", "1");
    await expect(client.background("limited", "2")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    expect((await admin("max-queue", "limited", "0", "2", "0")).code).toBe(0);
    await client.background("limited", "2");
    await expect(client.background("limited", "3")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    const wrong = await admin("max-queue", "limited", "1", "2");
    expect([wrong.code, wrong.stderr]).toMatchObject([
      2,
      expect.stringContaining("max-queue takes one number"),
    ]);
  });

  test("cancel ends a job that waits", async () => {
    const job = client.submit("never-done", "");
    const handle = await job.created();
    expect((await admin("cancel", handle)).stdout).toBe("OK\n");
    await expect(job.result()).rejects.toMatchObject({ code: "JOB_FAILED" });
    expect((await admin("cancel", handle)).code).toBe(1);
  });

  test("a name that the protocol cannot say is told before it is sent", async () => {
    const { code, stderr } = await admin("pause", "two words");
    expect([code, stderr]).toMatchObject([
      2,
      expect.stringContaining('"two words" cannot be named to a server'),
    ]);
  });

  test("dead letters are listed, shown, requeued and deleted", async () => {
    const fragile = await JobServer.start({
      listen: ["127.0.0.1:0"],
      log: quiet,
      version: VERSION,
      functionDefaults: { maxAttempts: 1 },
    });
    const at = String(fragile.addresses[0]!.port);
    const letters = (...args: string[]) => drover(["admin", "deadletters", ...args, "-p", at]);
    const short = (...args: string[]) => drover(["deadletters", ...args, "-p", at]);
    const [own, handles] = [new Client({ servers: `127.0.0.1:${at}` }), [] as string[]];
    for (const unique of ["a", "b", "c", "d"])
      handles.push(await own.background("lose", `work\x07 ${unique}`, { unique }));
    const loser = new Worker({ servers: `127.0.0.1:${at}`, concurrency: 4 });
    loser.handle("lose", (job) => new Promise((_, reject) => job.signal.addEventListener("abort", reject)));
    await loser.run();
    await until("all run", () => loser.running === 4);
    await loser.close();
    await until("all are dead", () => fragile.core.state.deadLetters.size === 4);

    const list = JSON.parse((await letters("list", "--json")).stdout);
    list.sort((a: { unique: string }, b: { unique: string }) => (a.unique < b.unique ? -1 : 1));
    expect(list).toMatchObject([
      { handle: handles[0], function: "lose", unique: "a", attempts: 1, workloadBytes: 7 },
      { handle: handles[1], function: "lose", unique: "b" },
      { unique: "c" },
      { unique: "d" },
    ]);
    expect((await letters("show", handles[0]!)).stdout).toContain("workload       work\\x07 a\n");
    expect((await letters("requeue", handles[0]!)).stdout).toBe("OK\n");
    expect((await letters("delete", handles[1]!)).stdout).toBe("OK\n");
    expect((await short("show", handles[2]!)).stdout).toContain("workload       work\\x07 c\n");
    expect((await short("requeue", handles[2]!)).stdout).toBe("OK\n");
    expect((await short("delete", handles[3]!)).stdout).toBe("OK\n");
    expect((await short("list")).stdout).toBe("no dead letters\n");
    expect(fragile.core.state.functions.get("lose")!.queued).toBe(2);
    expect((await letters("show", handles[0]!)).code).toBe(1);
    await own.close();
    await fragile.stop(0);
  });
});

describe("wrong use", () => {
  test("nothing to do, and a near miss, are told with exit code 2", async () => {
    expect((await admin()).code).toBe(2);
    const miss = await admin("job");
    expect([miss.code, miss.stderr]).toEqual([
      2,
      'drover: OPTION_INVALID: admin has no command "job"; did you mean jobs?\n',
    ]);
    const flag = await admin("--statu");
    expect([flag.code, flag.stderr]).toEqual([
      2,
      "drover: unknown option '--statu'; did you mean --status?\n",
    ]);
    const command = await drover(["statsu"]);
    expect([command.code, command.stderr]).toEqual([
      2,
      "drover: unknown command 'statsu'; did you mean status?\n",
    ]);
  });
});
