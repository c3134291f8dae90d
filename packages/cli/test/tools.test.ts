import { existsSync, readFileSync } from "node:fs";
import { JobServer } from "@drover/server";
import { Worker } from "@drover/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { VERSION } from "../src/version.ts";
import {
  drover,
  type Ran,
  run,
  type Started,
  startDrover,
  start as startProgram,
  temporaryFolder,
  until,
} from "./running.ts";

/* `drover submit` and `drover work` against a server, and side by side with Gearman's own tool. */

const folder = temporaryFolder();
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
let server: JobServer;
let port = "";
let worker: Worker;
const seen: { workload: string; unique: string }[] = [];

beforeAll(async () => {
  server = await JobServer.start({ listen: ["127.0.0.1:0"], log: quiet, version: VERSION });
  port = String(server.addresses[0]!.port);
  worker = new Worker({ servers: `127.0.0.1:${port}`, concurrency: 8 });
  worker.handle("shout", (job) => {
    seen.push({ workload: Buffer.from(job.workload).toString(), unique: job.unique });
    return Buffer.from(job.workload).toString().toUpperCase();
  });
  worker.handle("report", async (job) => {
    await job.data("one ");
    await job.warning("careful\n");
    job.status(1, 4);
    await job.data("two ");
    return "end\n";
  });
  worker.handle("throw", () => {
    throw new Error("no \x1b[31mway");
  });
  await worker.run();
});

afterAll(async () => {
  await worker.close();
  await server.stop(0);
  folder.remove();
});

const submit = (args: readonly string[], input = "") => drover(["submit", "-p", port, ...args], { input });

const working: Started[] = [];

/** Starts `drover work` and waits until the server knows the function. */
async function startWork(name: string, ...args: string[]): Promise<Started> {
  const started = startDrover(["work", "-p", port, "-f", name, ...args], { cwd: folder.path });
  working.push(started);
  await until(`a worker offers ${name}`, () => {
    if (started.hasEnded()) throw new Error(`drover work ended: ${started.stderr()}`);
    return (server.core.state.functions.get(name)?.workers ?? 0) > 0;
  });
  return started;
}

afterAll(async () => {
  for (const { child, ended } of working) {
    child.kill("SIGKILL");
    await ended;
  }
});

describe("submit", () => {
  test("takes each argument, or standard input, or each line of it as a workload", async () => {
    expect((await submit(["-f", "shout", "a", "b"])).stdout).toBe("AB");
    expect((await submit(["-f", "shout"], "a\nb\n")).stdout).toBe("A\nB\n");
    seen.length = 0;
    expect((await submit(["-f", "shout", "-n"], "a\nb\nc")).stdout).toBe("A\nB\nC");
    expect(seen.map(({ workload }) => workload)).toEqual(["a\n", "b\n", "c"]);
    seen.length = 0;
    expect((await submit(["-f", "shout", "-N"], "a\nb\nc")).stdout).toBe("ABC");
    expect(seen.map(({ workload }) => workload)).toEqual(["a", "b", "c"]);
    seen.length = 0;
    expect(await submit(["-f", "shout", "-s", "-u", "k"], "unread")).toMatchObject({ code: 0, stdout: "" });
    expect(seen).toEqual([{ workload: "", unique: "k" }]);
  });

  test("prints data, result and progress, and warnings on standard error; -P before each of them", async () => {
    const plain = await submit(["-f", "report", "x"]);
    expect([plain.stdout, plain.stderr]).toEqual(["one 25% Complete\ntwo end\n", "careful\n"]);
    const prefixed = await submit(["-f", "report", "-P", "x"]);
    expect(prefixed.stdout).toBe("report: one report: 25% Complete\nreport: two report: end\n");
    expect(prefixed.stderr).toBe("report: careful\n");
  });

  test("--progress keeps progress out of the result", async () => {
    const { stdout, stderr } = await submit(["-f", "report", "--progress", "x"]);
    expect(stdout).toBe("one two end\n");
    expect(stderr).toContain("report 25% (1 of 4)\n");
  });

  test("--json prints every event as a line", async () => {
    const { stdout } = await submit(["-f", "report", "--json", "x"]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: "created", function: "report" });
    expect(events.map(({ type }) => type)).toEqual([
      "created",
      "data",
      "warning",
      "status",
      "data",
      "complete",
    ]);
    expect(events.at(-1)).toEqual({ type: "complete", function: "report", data: "end\n" });
  });

  test("exit code 1 and the reason, escaped, when a job fails", async () => {
    const { code, stdout, stderr } = await submit(["-f", "throw", "-P", "x"]);
    expect([code, stdout, stderr]).toEqual([1, "", "throw: Job failed: no \\x1b[31mway\n"]);
  });

  test("-b submits in the background, and -v tells the handle", async () => {
    const silent = await submit(["-f", "nobody", "-b", "x"]);
    expect([silent.code, silent.stdout]).toEqual([0, ""]);
    const told = await submit(["-f", "nobody", "-b", "-v", "-u", "u1", "-I", "x"]);
    const handle = /^Task created: (\S+)\n$/.exec(told.stdout)?.[1];
    expect(handle).toBeDefined();
    const { stdout } = await drover(["admin", "-p", port, "jobs", "nobody", "--json"]);
    const jobs = JSON.parse(stdout);
    expect(jobs).toHaveLength(2);
    expect(jobs[1]).toMatchObject({
      handle,
      unique: "u1",
      priority: "high",
      background: true,
      state: "queued",
    });
  });

  test("--at runs later, in the background", async () => {
    const { code } = await submit(["-f", "nobody", "--at", "+1h", "-u", "later", "x"]);
    expect(code).toBe(0);
    const { stdout } = await drover(["admin", "-p", port, "jobs", "nobody", "--json"]);
    expect(JSON.parse(stdout).find(({ unique }: { unique: string }) => unique === "later").state).toBe(
      "delayed",
    );
  });

  test("-t and --deadline give up, with exit code 1", async () => {
    const idle = await submit(["-f", "nobody", "-t", "100", "x"]);
    expect(idle.code).toBe(1);
    expect(idle.stderr).toMatch(/JOB_TIMEOUT: nobody gave no result within 100 ms/);
    const late = await submit(["-f", "nobody", "--deadline", "0.1s", "x"]);
    expect([late.code, late.stderr]).toEqual([1, idle.stderr]);
  });

  test("wrong options and a server that is not there are exit code 2, at once", async () => {
    const unnamed = await submit(["x"]);
    expect([unnamed.code, unnamed.stderr]).toEqual([2, "drover: OPTION_INVALID: name a function with -f\n"]);
    const both = await submit(["-f", "a", "-I", "-L", "x"]);
    expect([both.code, both.stderr]).toMatchObject([2, /-I and -L cannot both be/]);
    const nobody = await drover(["submit", "-h", "unix:/nonexistent", "-f", "a", "x", "y"]);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toMatch(/^drover: CONNECTION_REFUSED: [^\n]*\n$/);
  });

  test("the server is taken from the environment where no flag names it", async () => {
    const { stdout } = await drover(["submit", "-f", "shout", "env"], {
      env: { DROVER_SERVER: `127.0.0.1:${port}` },
    });
    expect(stdout).toBe("ENV");
  });

  test("is a worker with -w, as Gearman's tool", async () => {
    const started = startDrover(["submit", "-p", port, "-w", "-f", "wflag", "-c", "1", "cat"]);
    working.push(started);
    expect((await submit(["-f", "wflag", "through"])).stdout).toBe("through");
    expect(await started.ended).toBe(0);
  });
});

describe("work", () => {
  test("runs a command with the workload as its input; its output is the result", async () => {
    await startWork("lower", "tr", "A-Z", "a-z");
    expect((await submit(["-f", "lower", "ABC"])).stdout).toBe("abc");
  });

  test("tells the command what job it is", async () => {
    await startWork("env", "sh", "-c", 'echo "$DROVER_FUNCTION $DROVER_UNIQUE $DROVER_ATTEMPT"');
    expect((await submit(["-f", "env", "-u", "k:1", "x"])).stdout).toBe("env k:1 1\n");
  });

  test("-n sends each line as data, -N without its line feed", async () => {
    await startWork("lines", "-n", "printf", "a\\nb\\n");
    await startWork("stripped", "-N", "printf", "a\\nb\\n");
    expect((await submit(["-f", "lines", "-P", "x"])).stdout).toBe("lines: a\nlines: b\nlines: ");
    expect((await submit(["-f", "stripped", "x"])).stdout).toBe("ab");
  });

  test("a command that fails fails the job, after its output was sent", async () => {
    await startWork("bad", "-v", "sh", "-c", "echo partly; exit 3");
    const { code, stdout, stderr } = await submit(["-f", "bad", "x"]);
    expect([code, stdout, stderr]).toEqual([1, "partly\n", "Job failed\n"]);
    await until("it is told", () => working.at(-1)!.stderr().includes("failed (exit code 3)"));
  });

  test("without a command, workloads are printed; -c ends it after so many", async () => {
    const printer = await startWork("print", "-c", "2", "-i", folder.file("worker.pid"));
    expect(readFileSync(folder.file("worker.pid"), "utf8")).toBe(`${printer.child.pid}\n`);
    expect((await submit(["-f", "print", "a"])).stdout).toBe("");
    await submit(["-f", "print", "b"]);
    expect(await printer.ended).toBe(0);
    expect(printer.stdout()).toBe("ab");
    expect(existsSync(folder.file("worker.pid"))).toBe(false);
  });

  test("--concurrency runs commands side by side", async () => {
    // Each waits for the other, so that one at a time would never end.
    const meet =
      'touch "$DROVER_UNIQUE"; for i in $(seq 1000); do [ -e a ] && [ -e b ] && exit 0; sleep 0.01; done; exit 1';
    await startWork("meet", "--concurrency", "2", "sh", "-c", meet);
    const [a, b] = await Promise.all(["a", "b"].map((unique) => submit(["-f", "meet", "-u", unique, "x"])));
    expect([a!.code, b!.code]).toEqual([0, 0]);
  });

  test("SIGTERM finishes the job that runs and takes no other", async () => {
    const started = await startWork(
      "drain",
      "sh",
      "-c",
      `touch begun; while [ ! -e go ]; do sleep 0.01; done; echo ok`,
    );
    const first = submit(["-f", "drain", "1"]);
    await until("the job runs", () => existsSync(folder.file("begun")));
    started.child.kill("SIGTERM");
    await until("it says so", () => started.stderr().includes("taking no more jobs"));
    expect((await submit(["-f", "drain", "-b", "2"])).code).toBe(0);
    expect((await run(["touch", folder.file("go")])).code).toBe(0);
    expect((await first).stdout).toBe("ok\n");
    expect(await started.ended).toBe(0);
    expect(server.core.state.functions.get("drain")!.total).toBe(1);
  });

  test("a second signal ends worker and command at once", async () => {
    const started = await startWork("hang", "sh", "-c", "echo $$ > command.pid; exec sleep 600");
    void submit(["-f", "hang", "--deadline", "15s", "1"]);
    const pid = await until("the command runs", () => {
      const path = folder.file("command.pid");
      return existsSync(path) && Number(readFileSync(path, "utf8"));
    });
    started.child.kill("SIGTERM");
    await until("it drains", () => started.stderr().includes("taking no more jobs"));
    started.child.kill("SIGTERM");
    expect(await started.ended).toBe(1);
    await until("the command has ended", () => !existsSync(`/proc/${pid}/exe`));
  });

  test("a command that is not there is told before any job fails for it", async () => {
    const { code, stderr } = await drover(["work", "-p", port, "-f", "x", "no-such-command"]);
    expect([code, stderr]).toEqual([
      2,
      'drover: OPTION_INVALID: "no-such-command" is no command that can be run here\n',
    ]);
  });
});

describeWith(["gearman-tools"], "side by side with Gearman's tool", () => {
  const both = async (args: readonly string[], input = ""): Promise<[Ran, Ran]> => {
    const theirs = await run(["gearman", "-h", "127.0.0.1", "-p", port, ...args], { input });
    const ours = await drover(["submit", "-h", "127.0.0.1", "-p", port, ...args], { input });
    return [theirs, ours];
  };

  test.each<[readonly string[], string]>([
    [["-f", "shout", "hello", "world"], ""],
    [["-f", "shout"], "a\nb\n"],
    [["-f", "shout", "-n"], "a\nb\n"],
    [["-f", "shout", "-N"], "a\nb\n"],
    [["-f", "shout", "-s"], "unread"],
    [["-f", "shout", "-u", "key", "-I", "x"], ""],
    // Without -P their progress comes last in a pipe, since it is buffered and the data is not.
    [["-f", "report", "-P", "-L", "x"], ""],
    [["-f", "nobody", "-b", "x", "y"], ""],
  ])("submit %j prints the same", async (args, input) => {
    const [theirs, ours] = await both(args, input);
    expect([ours.stdout, ours.stderr, ours.code]).toEqual([theirs.stdout, theirs.stderr, theirs.code]);
  });

  test("a worker of theirs and one of ours send the same for commands that succeed and that fail", async () => {
    // Line by line they cannot be compared: theirs sends all earlier lines again with each line.
    for (const [name, script] of [
      ["fine", "cat; echo more"],
      ["failing", "cat; echo more; exit 3"],
    ] as const) {
      const flags = ["-h", "127.0.0.1", "-p", port, "-w", "-f", `${name}-theirs`];
      working.push(startProgram(["gearman", ...flags, "--", "sh", "-c", script]));
      await until(
        "their worker is there",
        () => server.core.state.functions.get(`${name}-theirs`)?.workers === 1,
      );
      await startWork(`${name}-ours`, "sh", "-c", script);
      const theirs = await submit(["-f", `${name}-theirs`, "a\nb\n"]);
      const ours = await submit(["-f", `${name}-ours`, "a\nb\n"]);
      expect([ours.stdout, ours.stderr, ours.code]).toEqual([theirs.stdout, theirs.stderr, theirs.code]);
    }
  });
});
