import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* Whoever joins a running job gets everything, or waits for a job of its own. */

describe("a late joiner", () => {
  it("gets data, warnings and the newest status so far right after its handle, then the live stream", () => {
    const server = new TestServer();
    const [early, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = early.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.status(handle, 1);
    worker.warning(handle, "b");
    worker.status(handle, 2);
    late.send("SUBMIT_JOB", ["f", "u"], "w");
    late.expect(
      `JOB_CREATED ${handle}`,
      `WORK_DATA ${handle} a`,
      `WORK_WARNING ${handle} b`,
      `WORK_STATUS ${handle} 2 10`,
    );
    worker.data(handle, "c");
    worker.complete(handle, "r");
    late.expect(`WORK_DATA ${handle} c`, `WORK_COMPLETE ${handle} r`);
  });

  it("gets the same data and warnings as the first submitter, whenever it joins", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("join", "data", "warning"), { maxLength: 20 }), (events) => {
        const server = new TestServer();
        const worker = server.worker("f");
        const clients = [server.connect()];
        const handle = clients[0]!.submit("f", "u");
        worker.grab();
        events.forEach((event, i) => {
          if (event === "data") worker.data(handle, `d${i}`);
          else if (event === "warning") worker.warning(handle, `w${i}`);
          else {
            const client = server.connect();
            client.submit("f", "u");
            clients.push(client);
          }
        });
        worker.complete(handle, "r");
        const [first, ...others] = clients.map((client) => client.got());
        for (const other of others) expect(other).toEqual(first);
      }),
    );
  });

  it("gets what was reported before anybody waited, when the job was a background one", () => {
    const server = new TestServer();
    const [client, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    worker.grab();
    worker.data(handle, "a");
    late.submit("f", "u");
    late.expect(`WORK_DATA ${handle} a`);
  });

  it("in the background attaches to a running job, even an outgrown one", () => {
    const server = new TestServer({ limits: { replayLimitBytes: 30 } });
    const [client, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "x".repeat(50));
    expect(late.background("f", "u")).toBe(handle);
  });

  it("attaches live, as with gearmand, where replay is switched off", () => {
    const server = new TestServer({ settings: { replayLimitBytes: 0 } });
    const [early, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = early.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.status(handle, 1);
    expect(late.submit("f", "u")).toBe(handle);
    worker.data(handle, "b");
    late.expect(`WORK_DATA ${handle} b`);
  });
});

describe("a successor", () => {
  /** A running job whose history has outgrown its limit. */
  function outgrown(options: ConstructorParameters<typeof TestServer>[0] = {}) {
    const server = new TestServer({ ...options, limits: { replayLimitBytes: 30, ...options.limits } });
    const [early, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = early.submit("f", "u", "first");
    worker.grab();
    worker.data(handle, "x".repeat(50));
    early.got();
    return { server, early, late, worker, handle };
  }

  it("is what a foreground submission becomes when the history is outgrown, with its own handle", () => {
    const { late, handle } = outgrown();
    const own = late.submit("f", "u", "second");
    expect(own).not.toBe(handle);
    late.expect();
  });

  it("is joined by the next ones: there is at most one", () => {
    const { server, late } = outgrown();
    const own = late.submit("f", "u");
    expect(server.connect().submit("f", "u")).toBe(own);
    expect(server.state.jobs.size).toBe(2);
  });

  it("is invisible to workers until the running job has ended, then goes to the tail", () => {
    const { server, late, worker, handle } = outgrown();
    const own = late.submit("f", "u", "second");
    late.submit("f", "other", "third");
    const sleeper = server.worker("f");
    expect(sleeper.grab().workload).toBe("third");
    expect(sleeper.tryGrab()).toBeNull();
    sleeper.sleep();
    late.submit("f", "last", "fourth");
    sleeper.expect("NOOP");
    worker.complete(handle);
    expect(sleeper.grab()).toMatchObject({ workload: "fourth" });
    expect(sleeper.grab()).toMatchObject({ handle: own, workload: "second" });
  });

  it("wakes a worker when its time has come", () => {
    const { server, late, worker, handle } = outgrown();
    late.submit("f", "u");
    const sleeper = server.worker("f");
    sleeper.sleep();
    sleeper.expect();
    worker.complete(handle);
    sleeper.expect("NOOP");
  });

  it("is not what GET_STATUS_UNIQUE describes: that is the running job", () => {
    const { late, worker, handle } = outgrown();
    late.submit("f", "u");
    late.submit("f", "u");
    worker.status(handle, 3, 4);
    late.send("GET_STATUS_UNIQUE", ["u"]);
    late.expect("STATUS_RES_UNIQUE u 1 1 3 4 1");
  });

  it("goes with its last submission, and leaves no trace", () => {
    const { server, late, worker, handle } = outgrown();
    late.submit("f", "u");
    late.disconnect();
    worker.complete(handle);
    expect(server.state.jobs.size).toBe(0);
    expect(server.connect().submit("f", "u")).toBe("H:3");
  });

  it("comes as well when all histories together have outgrown their limit", () => {
    const server = new TestServer({ limits: { replayTotalBytes: 60 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const first = client.submit("f", "u1");
    const second = client.submit("f", "u2");
    worker.grab();
    worker.grab();
    worker.data(first, "x".repeat(20));
    worker.data(second, "x".repeat(30));
    expect(server.connect().submit("f", "u1")).toBe(first);
    expect(server.connect().submit("f", "u2")).not.toBe(second);
    expect(server.state.replayBytes).toBe(12 + 4 + 20);
  });

  it("takes over when the running job is lost and nobody wants it", () => {
    const { early, late, worker, handle, server } = outgrown();
    const own = late.submit("f", "u", "second");
    early.disconnect();
    worker.disconnect();
    expect(server.worker("f").grab()).toMatchObject({ handle: own, workload: "second" });
    expect(server.state.jobs.get(Number(handle.slice(2)) - 1)).toBeUndefined();
  });
});
