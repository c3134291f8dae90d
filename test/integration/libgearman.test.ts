import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { askList, untilStatus, untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import { runClient, startClient, startWorker, type TestWorker } from "./programs.ts";

describeWith(["libgearman"], "libgearman", () => {
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
  const client = (...words: string[]) => runClient("c", server, ...words);
  async function work(name: string, ...functions: string[]): Promise<TestWorker> {
    const worker = await startWorker("c", server, name, ...functions);
    workers.push(worker);
    return worker;
  }

  test("is echoed to, and is granted exceptions and nothing else", async () => {
    expect(await client("echo", "a few bytes")).toEqual(["echoed"]);
    expect(await client("option", "exceptions")).toEqual(["granted"]);
    expect(await client("option", "nothing-known")).toEqual(["denied"]);
  });

  test("asks for the status of a job by its unique", async () => {
    expect(await client("unique", "key")).toEqual(["unique 0 0 0 0"]);
    const gate = new Gate();
    await client("background", "normal", "hold", gate.folder, "key");
    expect(await client("unique", "key")).toEqual(["unique 1 0 0 0"]);
    await work("worker", "hold");
    await gate.started();
    expect(await client("unique", "key")).toEqual(["unique 1 1 0 0"]);
    gate.open();
    await untilStatus(server, "hold", "no job", (status) => status.total === 0);
    expect(await client("unique", "key")).toEqual(["unique 0 0 0 0"]);
  });

  test("does background jobs by their priority, and those of one priority in order", async () => {
    const gates = Array.from({ length: 6 }, () => new Gate());
    const order: number[] = [];
    const kinds = ["low", "normal", "high", "low", "normal", "high"];
    for (const [number, kind] of kinds.entries()) {
      await client("background", kind, "hold", gates[number]!.folder, `unique-${number}`);
    }
    await work("worker", "hold");
    while (order.length < kinds.length) {
      const isNext = (gate: Gate, number: number) => !order.includes(number) && gate.starts().length > 0;
      await until("a job was started", 30_000, () => gates.some(isNext));
      const next = gates.findIndex(isNext);
      order.push(next);
      gates[next]!.open();
    }
    expect(order).toEqual([2, 5, 1, 4, 0, 3]);
  });

  test("submits a job for a time in the past, which is done", async () => {
    const gate = new Gate();
    gate.open();
    await work("worker", "hold");
    await client("epoch", "1000000000", "hold", gate.folder, "key");
    expect(await gate.started()).toBe("worker");
  });

  test("submits a job for the far future, which waits", async () => {
    const worker = await work("worker", "hold", "reverse");
    const gate = new Gate();
    const [line] = await client("epoch", "4000000000", "hold", gate.folder, "key");
    expect(await client("status", line!.replace("handle ", ""))).toEqual(["status 1 0 0 0"]);
    expect(await client("run", "normal", "reverse", "abc")).toContain("complete cba");
    expect(gate.starts()).toEqual([]);
    expect(worker.hasEnded()).toBe(false);
  });

  test("two clients of one unique share one run and its result", async () => {
    const gate = new Gate();
    await work("one", "hold");
    const first = await startClient("c", server, "run", "normal", "hold", gate.folder, "key");
    await gate.started();
    await work("two", "hold");
    const second = await startClient("c", server, "run", "high", "hold", gate.folder, "key");
    await untilWaiting(server, "key", 2);
    gate.open();
    const [a, b] = [(await first.ended).lines, (await second.ended).lines];
    expect(a).toEqual([expect.stringMatching(/^created H:/), "complete held by one"]);
    expect(b).toEqual(a);
    expect(gate.starts()).toHaveLength(1);
  });

  test("splits a job, has the parts reduced and joins them", async () => {
    await work("splitter", "split");
    await work("reducer", "reverse");
    const [line, ...rest] = await client("partition", "split", "reverse", "abc def ghi");
    // The library hands its parts to the joining function newest first.
    expect(line).toBe("complete ihg fed cba");
    expect(rest).toEqual([]);
  });

  test("a worker tells its name and its functions", async () => {
    await work("a-name", "reverse", "stream");
    const lines = await askList(server, "workers");
    const line = lines.find((one) => one.includes("a-name"));
    expect(line).toMatch(/^\d+ 127\.0\.0\.1 a-name : /);
    expect(line!.split(" : ")[1]!.split(" ").sort()).toEqual(["reverse", "stream"]);
  });

  // gearmand's WORK_FAIL for it carries a NUL too many, over which libgearman waits for ever.
  describe.skipIf(serverUnderTest === "gearmand")("where exceptions were not asked for", () => {
    test("an exception is a failure", async () => {
      await work("worker", "throw");
      expect(await client("do", "normal", "throw", "bomb")).toEqual(["fail"]);
    });
  });
});
