import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { askList, untilStatus, untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import { runClient, startClient, startWorker, type TestWorker } from "./programs.ts";

describeWith(["perl-gearman"], "Perl's Gearman::Client and Gearman::Worker", () => {
  let server: TestServer;
  let workers: TestWorker[];
  beforeEach(async () => {
    server = await startServer(serverUnderTest);
    workers = [];
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.kill("SIGTERM")));
    await server.stop();
  });
  const client = (...words: string[]) => runClient("perl", server, ...words);
  async function work(name: string, ...functions: string[]): Promise<TestWorker> {
    const worker = await startWorker("perl", server, name, ...functions);
    workers.push(worker);
    return worker;
  }

  test("a failing task is tried again as often as retry_count says", async () => {
    await work("worker", "fail");
    const lines = await client("retry", "2", "fail", "x");
    expect(lines.filter((line) => line.startsWith("retry"))).toEqual(["retry 1", "retry 2"]);
    expect(lines.filter((line) => line.startsWith("fail"))).toHaveLength(1);
  });

  test("a task set stops waiting at its timeout, and the job can still be done by another client's wish", async () => {
    const gate = new Gate();
    await work("worker", "hold");
    expect(await client("timeout", "0.2", "hold", gate.folder)).toContain("waited");
    gate.open();
    await untilStatus(server, "hold", "no job", (status) => status.total === 0);
    expect(await client("do", "normal", "hold", gate.folder)).toEqual(["complete held by worker"]);
  });

  test("tasks of one unique in one set share one run, and each is told", async () => {
    const gate = new Gate();
    await work("worker", "hold");
    const joined = await startClient("perl", server, "joined", "3", "hold", gate.folder, "key");
    await gate.started();
    await untilWaiting(server, "key", 3);
    gate.open();
    expect((await joined.ended).lines).toEqual(["submitted", ...Array(3).fill("complete held by worker")]);
    expect(gate.starts()).toHaveLength(1);
  });

  test("tasks with the unique - join on their workload", async () => {
    const gate = new Gate();
    await work("worker", "hold");
    const first = await startClient("perl", server, "joined", "2", "hold", gate.folder, "-");
    await gate.started();
    gate.open();
    expect((await first.ended).lines.slice(1)).toEqual(Array(2).fill("complete held by worker"));
    expect(gate.starts()).toHaveLength(1);
  });

  test("a client counts jobs and workers by the server's status", async () => {
    await work("one", "reverse");
    await work("two", "reverse");
    await client("background", "normal", "nobody", "x");
    expect(await client("servers")).toEqual(["nobody 1 0 0", "reverse 0 0 2"]);
  });

  test("a worker tells its name", async () => {
    await work("a-name", "reverse");
    const lines = await askList(server, "workers");
    expect(lines.some((line) => / a-name : reverse$/.test(line))).toBe(true);
  });

  test("a worker with a timeout does its jobs in time", async () => {
    await work("worker", "reverse:10");
    expect(await client("do", "normal", "reverse", "abc")).toEqual(["complete cba"]);
    expect(await client("do", "normal", "reverse", "def")).toEqual(["complete fed"]);
  });

  // gearmand gives such a job to another worker, while the first still has it.
  test.skipIf(serverUnderTest === "gearmand")(
    "a job that overruns its function's timeout fails",
    async () => {
      const gate = new Gate();
      await work("worker", "hold:1");
      expect(await client("run", "normal", "hold", gate.folder, "key")).toEqual(["fail"]);
      expect(gate.starts()).toEqual(["worker"]);
    },
  );

  // gearmand answers the WORK_FAIL that Perl's worker sends after an exception by an ERROR, which ends the worker.
  describe.skipIf(serverUnderTest === "gearmand")("where an exception is followed by a failure", () => {
    test("the worker goes on, and a client that wants to is told why", async () => {
      const worker = await work("worker", "throw", "reverse");
      const lines = await client("run", "normal", "throw", "bomb");
      expect(lines.join("\n")).toContain("exploded: bomb");
      expect(await client("do", "normal", "throw", "bomb")).toEqual(["fail"]);
      expect(await client("do", "normal", "reverse", "abc")).toEqual(["complete cba"]);
      expect(worker.hasEnded()).toBe(false);
    });

    test("a job in the background that dies takes no worker with it", async () => {
      const worker = await work("worker", "throw", "reverse");
      await client("background", "normal", "throw", "bomb");
      await untilStatus(server, "throw", "no job", (status) => status.total === 0);
      expect(await client("do", "normal", "reverse", "abc")).toEqual(["complete cba"]);
      expect(worker.hasEnded()).toBe(false);
    });
  });
});
