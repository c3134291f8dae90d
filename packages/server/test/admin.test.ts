import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* Admin commands: counts, listings, and words that are wrong. */

describe("counts of a function", () => {
  it("tell what was submitted, joined, run, completed, failed and lost", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const unique of ["a", "a", "b", "c", "d"]) client.submit("f", unique);
    worker.complete(worker.grab().handle);
    worker.fail(worker.grab().handle);
    worker.grab();
    worker.disconnect();
    client.got();
    client.submitLater("f", "later", 60_000);
    const idle = server.worker("f");
    idle.grab();
    client.admin("pause function f");
    expect(client.admin("functions")).toEqual([
      ["f", "queued 1", "delayed 1", "running 1", "workers 1", "submissions 6", "joins 1"]
        .concat(["runs 4", "completed 1", "failed 1", "lost 1", "paused"])
        .map((field) => field.split(" ").at(-1))
        .join("\t"),
      ".",
    ]);
    expect(client.admin("status")).toEqual(["f\t3\t1\t1", "."]);
    expect(client.admin("prioritystatus")).toEqual(["f\t0\t1\t0\t1", "."]);
  });
});

describe("counts of the server", () => {
  it("tell totals since the start and levels now", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    client.submit("f", "a", "12345");
    client.background("f", "b", "12345");
    const first = worker.grab().handle;
    worker.data(first, "x");
    late.submit("f", "a");
    worker.complete(first);
    late.submit("f", "a");
    worker.complete(worker.grab().handle);
    worker.complete("H:99");
    client.submit("f", "c", "123");
    client.got();
    const counts = new Map(client.admin("counts").map((row) => row.split("\t") as [string, string]));
    const expected = {
      connections: 3,
      submissions: 5,
      joins: 2,
      runs: 2,
      completed: 2,
      failed: 0,
      lost: 0,
      overruns: 0,
      replays: 1,
      lingered: 1,
      slowReaders: 0,
      refused: 0,
      lateReports: 1,
      jobs: 1,
      running: 0,
      waiting_submissions: 1,
      delayed: 0,
      functions: 1,
      peers: 3,
      workload_bytes: 3,
      replay_bytes: 0,
      dead_letters: 0,
      outcomes: 1,
    };
    for (const [name, value] of Object.entries(expected))
      expect([name, counts.get(name)]).toEqual([name, `${value}`]);
  });
});

describe("listings", () => {
  it("jobs: of all functions, of one, up to a number of rows", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("g")];
    client.submit("f", "a");
    client.background("f", "b", "1234");
    client.submit("g", "c", "w", "SUBMIT_JOB_HIGH");
    worker.grab();
    server.pass(70);
    const rows = [
      "H:1\tf\ta\tqueued\tnormal\t70\t0\t1\t-\t-\t1",
      "H:2\tf\tb\tqueued\tnormal\t70\t0\t0\tbackground\t-\t4",
      "H:3\tg\tc\trunning\thigh\t70\t1\t1\t-\t2\t1",
    ];
    expect(client.admin("jobs")).toEqual([...rows, "."]);
    expect(client.admin("jobs g")).toEqual([rows[2], "."]);
    expect(client.admin("jobs f 1")).toEqual([rows[0], "."]);
    expect(client.admin("jobs f 0")).toEqual(["."]);
    expect(client.admin("jobs nowhere")).toEqual(["ERR function not found"]);
    expect(client.admin("jobs f many")).toEqual(["ERR INVALID_ARGUMENTS ROWS+is+a+number"]);
  });

  it("show jobs and show unique jobs: every job, with times its worker was lost", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "a");
    client.background("f", "-", "digest me");
    worker.grab();
    worker.disconnect();
    server.worker("f").grab();
    expect(client.admin("show jobs")).toEqual(["H:1\t1\t0\t0", "H:2\t0\t0\t1", "."]);
    expect(client.admin("show unique jobs")).toEqual(["a", "-", "."]);
  });

  it("workers: every connection, its name and its functions, the newest first", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect("10.0.0.9"), server.worker("f", "g")];
    worker.send("SET_CLIENT_ID", ["me"]);
    worker.send("CANT_DO", ["f"]);
    worker.send("CAN_DO", ["f"]);
    expect(client.admin("workers")).toEqual(["1 10.0.0.9 - :", "2 10.0.0.1 me : f g", "."]);
  });

  it("deadletters: up to a number of rows", () => {
    const server = new TestServer({ settings: { maxAttempts: 1 } });
    const client = server.connect();
    for (const unique of ["a", "b"]) {
      client.background("f", unique);
      const worker = server.worker("f");
      worker.grab();
      worker.disconnect();
    }
    expect(client.admin("deadletters 1")).toHaveLength(2);
    expect(client.admin("deadletters x")).toEqual(["ERR INVALID_ARGUMENTS ROWS+is+a+number"]);
  });
});

const INCOMPLETE = "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+";
const UNKNOWN = "ERR UNKNOWN_COMMAND Unknown+server+command";

describe("words that are wrong", () => {
  it.each([
    ["pause", `${INCOMPLETE}pause`],
    ["pause function", `${INCOMPLETE}pause`],
    ["pause job f", `${INCOMPLETE}pause`],
    ["resume f", `${INCOMPLETE}resume`],
    ["create function", `${INCOMPLETE}create`],
    ["create thing f", `${INCOMPLETE}create`],
    ["drop function", `${INCOMPLETE}drop`],
    ["drop function nowhere", "ERR function not found"],
    ["maxqueue", `${INCOMPLETE}maxqueue`],
    ["cancel", `${UNKNOWN}cancel`],
    ["cancel job", `${UNKNOWN}cancel`],
    ["cancel function f", "ERR UNKNOWN_ERROR"],
    ["cancel job H:5", "ERR UNKNOWN_JOB"],
    ["show", `${UNKNOWN}show`],
    ["show all", "ERR UNKNOWN_SHOW_ARGUMENTS"],
    ["deadletter show", `${INCOMPLETE}deadletter`],
    ["deadletter show H:5", "ERR UNKNOWN_JOB"],
    [" status", UNKNOWN],
    ["nonsense", `${UNKNOWN}nonsense`],
  ])("%j is answered by %j", (line, answer) => {
    const client = new TestServer().connect();
    expect(client.admin(line)).toEqual([answer]);
    expect(client.closed).toBe(false);
  });

  it("deadletter with a verb that is none", () => {
    const server = new TestServer({ settings: { maxAttempts: 1 } });
    const client = server.connect();
    const handle = client.background("f", "u");
    const worker = server.worker("f");
    worker.grab();
    worker.disconnect();
    expect(client.admin(`deadletter eat ${handle}`)).toEqual(["ERR UNKNOWN_DEADLETTER_ARGUMENTS"]);
  });

  it("command words may be in any case, and function names of drop too", () => {
    const client = new TestServer().connect();
    expect(client.admin("CREATE FUNCTION Name")).toEqual(["OK"]);
    expect(client.admin("Drop function NAME")).toEqual(["OK"]);
  });
});
