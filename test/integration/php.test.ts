import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { askList, untilStatus, untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import { runClient, startClient, startWorker, type TestWorker } from "./programs.ts";

describeWith(["php-gearman"], "PHP's GearmanClient and GearmanWorker", () => {
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
  const client = (...words: string[]) => runClient("php", server, ...words);
  async function work(name: string, ...functions: string[]): Promise<TestWorker> {
    const worker = await startWorker("php", server, name, ...functions);
    workers.push(worker);
    return worker;
  }

  test("a client's ping is answered", async () => {
    expect(await client("ping")).toEqual(["answered"]);
  });

  test("a job's status is asked for by its handle and by its unique", async () => {
    const gate = new Gate();
    await work("worker", "hold");
    const [line] = await client("background", "normal", "hold", gate.folder, "key");
    await gate.started();
    expect(await client("status", line!.replace("handle ", ""))).toEqual(["status 1 1 0 0"]);
    expect(await client("unique", "key")).toEqual(["unique 1 1 0 0"]);
    gate.open();
    await untilStatus(server, "hold", "no job", (status) => status.total === 0);
    expect(await client("unique", "key")).toEqual(["unique 0 0 0 0"]);
  });

  test("background jobs of each priority are done", async () => {
    const gates = ["low", "normal", "high"].map((priority) => ({ priority, gate: new Gate() }));
    for (const { priority, gate } of gates) {
      gate.open();
      await client("background", priority, "hold", gate.folder);
    }
    await work("worker", "hold");
    for (const { gate } of gates) expect(await gate.started()).toBe("worker");
  });

  test("two clients of one unique share one run and its result", async () => {
    const gate = new Gate();
    await work("one", "hold");
    const first = await startClient("php", server, "run", "normal", "hold", gate.folder, "key");
    await gate.started();
    await work("two", "hold");
    const second = await startClient("php", server, "do", "normal", "hold", gate.folder, "key");
    await untilWaiting(server, "key", 2);
    gate.open();
    expect((await first.ended).lines).toContain("complete held by one");
    expect((await second.ended).lines).toEqual(["complete held by one"]);
    expect(gate.starts()).toHaveLength(1);
  });

  test("a worker tells its name", async () => {
    await work("a-name", "reverse");
    const lines = await askList(server, "workers");
    expect(lines.some((line) => / a-name : reverse$/.test(line))).toBe(true);
  });
});
