import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* What counts as waiting, queueing and running. */

const timesOf = (server: TestServer) => server.state.functions.get("f")!.times;

describe("times of jobs", () => {
  it("each submission waits from when it came, and the run takes as long as the worker", () => {
    const server = new TestServer();
    const [first, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    first.submit("f", "u");
    server.pass(20);
    const { handle } = worker.grab();
    server.pass(300);
    late.submit("f", "u");
    server.pass(4);
    worker.complete(handle);
    const { waits, queued, runs } = timesOf(server);
    expect([queued.sum, runs.sum, waits.sum]).toEqual([20, 304, 324 + 4]);
    expect(waits.counts.reduce((sum, count) => sum + count)).toBe(2);
  });

  it("a run that was lost counts as queueing, and has no run time", () => {
    const server = new TestServer();
    server.connect().submit("f", "u");
    const lost = server.worker("f");
    lost.grab();
    server.pass(50);
    lost.disconnect();
    const worker = server.worker("f");
    worker.complete(worker.grab().handle);
    const { queued, runs } = timesOf(server);
    expect(queued.sum).toBe(0 + 50);
    expect(runs.counts.reduce((sum, count) => sum + count)).toBe(1);
  });

  it("a delay is no queueing, and who leaves has no wait", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.send("SUBMIT_JOB_EPOCH", ["f", "later", String(server.wallMs / 1000 + 60)]);
    const leaver = server.connect();
    leaver.submit("f", "other");
    server.pass(5);
    leaver.disconnect();
    server.pass(60_000);
    worker.complete(worker.grab().handle);
    const { queued, waits } = timesOf(server);
    expect(queued.sum).toBe(5);
    expect(waits.sum).toBe(0);
  });
});
