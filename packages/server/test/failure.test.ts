import { describe, expect, it } from "vitest";
import { type TestOptions, TestServer } from "./harness.ts";

/* Lost workers, attempts, timeouts, failures, retries, dead letters. */

/** Lets a new worker grab the next job and be lost with it. */
function loseOne(server: TestServer): void {
  const worker = server.worker("f");
  worker.grab();
  worker.disconnect();
}

describe("a lost worker", () => {
  it("costs its job an attempt, until they are spent: then foreground submitters get WORK_FAIL", () => {
    const server = new TestServer({ settings: { maxAttempts: 3 } });
    const client = server.connect();
    const handle = client.submit("f", "u");
    loseOne(server);
    loseOne(server);
    client.expect();
    loseOne(server);
    client.expect(`WORK_FAIL ${handle}`);
    expect(server.state.jobs.size).toBe(0);
    expect(server.state.deadLetters.size).toBe(0);
  });

  it("costs nothing where attempts are not limited", () => {
    const server = new TestServer({ settings: { maxAttempts: 0 } });
    const client = server.connect();
    client.submit("f", "u");
    for (let i = 0; i < 50; i++) loseOne(server);
    client.expect();
    expect(server.state.jobs.size).toBe(1);
  });

  it("sends a slow reader the newest status before the WORK_FAIL", () => {
    const server = new TestServer({ settings: { maxAttempts: 1 }, limits: { pauseBytes: 40 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    client.reading = false;
    worker.data(handle, "x".repeat(50));
    worker.status(handle, 1);
    worker.status(handle, 2);
    worker.disconnect();
    client.read();
    expect(client.got().slice(1)).toEqual([`WORK_STATUS ${handle} 2 10`, `WORK_FAIL ${handle}`]);
  });

  describe("starts the job again, which is told", () => {
    it("to peers that speak drover.1, with the attempt; the history starts afresh", () => {
      const server = new TestServer();
      const [client, worker] = [server.connectDrover(), server.worker("f")];
      const handle = client.submit("f", "u");
      worker.grab();
      worker.data(handle, "void");
      worker.status(handle, 5);
      client.got();
      worker.disconnect();
      client.expect(`JOB_RESTARTED ${handle} 2`);
      const next = server.worker("f");
      next.grab();
      next.data(handle, "anew");
      const late = server.connect();
      late.submit("f", "u");
      late.expect(`WORK_DATA ${handle} anew`);
      client.expect(`WORK_DATA ${handle} anew`);
    });

    it("to nobody else", () => {
      const server = new TestServer();
      const client = server.connect();
      client.submit("f", "u");
      loseOne(server);
      client.expect();
    });

    it("to the others by a WORK_WARNING where the function says so", () => {
      const server = new TestServer({ settings: { restartWarning: true } });
      const client = server.connect();
      const handle = client.submit("f", "u");
      loseOne(server);
      client.expect(`WORK_WARNING ${handle} drover: restarted attempt=2`);
    });
  });
});

describe("a dead letter", () => {
  /** A server with one dead letter of function f and unique u. */
  function buried(options: TestOptions = {}) {
    const server = new TestServer({ ...options, settings: { maxAttempts: 1, ...options.settings } });
    const client = server.connect();
    const handle = client.background("f", "u", "workload");
    loseOne(server);
    return { server, client, handle };
  }

  it("is what a background job becomes when its attempts are spent, and it is noted", () => {
    const { server, client, handle } = buried();
    expect(client.admin("deadletters")).toEqual([
      `${handle}\tf\tu\tworker lost\t1\t2030-01-01T12:00:00.000Z\t8`,
      ".",
    ]);
    expect(server.noteCodes).toEqual(["DEAD_LETTER"]);
  });

  it("frees its unique", () => {
    const { client, handle } = buried();
    expect(client.background("f", "u")).not.toBe(handle);
  });

  it("is shown with its workload", () => {
    const { client, handle } = buried();
    expect(client.admin(`deadletter show ${handle}`)[1]).toBe("workload");
  });

  it("is requeued as a background job, and then gone from the list", () => {
    const { server, client, handle } = buried();
    expect(client.admin(`deadletter requeue ${handle}`)).toEqual(["OK"]);
    expect(client.admin("deadletters")).toEqual(["."]);
    expect(server.worker("f").grab()).toMatchObject({ fn: "f", workload: "workload" });
  });

  it("joins a live job of its unique when it is requeued, as a claim", () => {
    const { server, client, handle } = buried();
    const live = server.connect();
    live.submit("f", "u", "newer");
    client.admin(`deadletter requeue ${handle}`);
    live.disconnect();
    expect(server.worker("f").grabAll()).toEqual(["newer"]);
  });

  it("joins the successor that waits for a cancelling job, and does not take its place", () => {
    const { server, client, handle } = buried({ settings: { onAbandoned: "cancel" } });
    const [ada, bob, worker] = [server.connect(), server.connect(), server.connectDrover()];
    worker.send("CAN_DO", ["f"]);
    const cancelling = ada.submit("f", "u", "cancelled");
    worker.grab();
    ada.disconnect();
    const waiting = bob.submit("f", "u", "waits");
    expect(client.admin(`deadletter requeue ${handle}`)).toEqual(["OK"]);
    worker.fail(cancelling);
    worker.got();
    expect(worker.grab()).toMatchObject({ handle: waiting, workload: "waits" });
    expect(worker.tryGrab()).toBeNull();
  });

  it("stays when there is no room for it, which is said in one line of text", () => {
    const { client, handle } = buried();
    client.background("f", "other");
    client.admin("maxqueue f 1");
    expect(client.admin(`deadletter requeue ${handle}`)).toEqual(["ERR QUEUE_ERROR Job+queue+is+full"]);
    expect(client.admin("deadletters")).toHaveLength(2);
  });

  it("is deleted", () => {
    const { client, handle } = buried();
    expect(client.admin(`deadletter delete ${handle}`)).toEqual(["OK"]);
    expect(client.admin(`deadletter delete ${handle}`)).toEqual(["ERR UNKNOWN_JOB"]);
    expect(client.admin("deadletters")).toEqual(["."]);
  });
});

describe("a worker's timeout", () => {
  function timed(argument: string, options: TestOptions = {}) {
    const server = new TestServer(options);
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", argument]);
    const handle = client.submit("f", "u");
    worker.grab();
    return { server, client, worker, handle };
  }

  it("fails the job when it passes", () => {
    const { server, client, handle } = timed("100");
    server.pass(99);
    client.expect();
    server.pass(1);
    client.expect(`WORK_FAIL ${handle}`);
  });

  it("requeues the job where the function says retry, up to its attempts", () => {
    const { server, client, handle } = timed("100", { settings: { onTimeout: "retry", maxAttempts: 2 } });
    server.pass(100);
    client.expect();
    const next = server.connect();
    next.send("CAN_DO_TIMEOUT", ["f", "100"]);
    expect(next.grab().handle).toBe(handle);
    server.pass(100);
    client.expect(`WORK_FAIL ${handle}`);
  });

  it("is not moved by reports", () => {
    const { server, client, worker, handle } = timed("100");
    server.pass(60);
    worker.data(handle, "a");
    server.pass(40);
    client.expect(`WORK_DATA ${handle} a`, `WORK_FAIL ${handle}`);
  });

  it.each(["0", "-5", "soon"])("of %s is none", (argument) => {
    const { server, client } = timed(argument);
    server.pass(10_000_000);
    client.expect();
  });

  it.each([
    ["auto", "999", 999_000],
    ["auto", "1000", 1_000],
    ["ms", "5", 5],
    ["s", "5000", 5_000_000],
  ] as const)("in unit %s of %s is %d ms", (timeoutUnit, argument, ms) => {
    const { server, client, handle } = timed(argument, { timeoutUnit });
    server.pass(ms - 1);
    client.expect();
    server.pass(1);
    client.expect(`WORK_FAIL ${handle}`);
  });

  it("is taken back by a plain CAN_DO", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    worker.send("CAN_DO", ["f"]);
    client.submit("f", "u");
    worker.grab();
    server.pass(100);
    client.expect();
  });
});

describe("retry of failed background jobs", () => {
  const backoff = { initialMs: 100, maxMs: 300, factor: 2, jitter: 0 };
  const settings = { retry: { maxAttempts: 4, backoff } };

  it("waits longer from attempt to attempt, up to the longest wait, then makes a dead letter", () => {
    const server = new TestServer({ settings });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    for (const waitMs of [100, 200, 300]) {
      worker.fail(worker.grab().handle);
      server.pass(waitMs - 1);
      expect(worker.tryGrab()).toBeNull();
      server.pass(1);
    }
    worker.fail(worker.grab().handle);
    expect(client.admin("deadletters")[0]).toContain(`${handle}\tf\tu\tfailed\t4\t`);
  });

  it("spreads the waits", () => {
    const spread = { retry: { maxAttempts: 4, backoff: { ...backoff, jitter: 0.5 } } };
    const server = new TestServer({ settings: spread, random: () => 0 });
    const [client, worker] = [server.connect(), server.worker("f")];
    client.background("f", "u");
    worker.fail(worker.grab().handle);
    server.pass(49);
    expect(worker.tryGrab()).toBeNull();
    server.pass(1);
    expect(worker.tryGrab()).not.toBeNull();
  });

  it("gives foreground joiners their WORK_FAIL, while the job keeps its unique and waits", () => {
    const server = new TestServer({ settings });
    const [client, joiner, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    joiner.submit("f", "u");
    worker.exception(worker.grab().handle);
    joiner.expect(`WORK_FAIL ${handle}`);
    expect(client.background("f", "u")).toBe(handle);
  });

  it("is not cut short by a submission that joins", () => {
    const server = new TestServer({ settings });
    const [client, joiner, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    worker.fail(worker.grab().handle);
    expect(joiner.submit("f", "u")).toBe(handle);
    expect(worker.tryGrab()).toBeNull();
    server.pass(100);
    worker.complete(worker.grab().handle, "r");
    joiner.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("is not for jobs without a background claim: failures are final for them", () => {
    const server = new TestServer({ settings });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.fail(worker.grab().handle);
    client.expect(`WORK_FAIL ${handle}`);
    expect(server.state.jobs.size).toBe(0);
  });

  it("gives up the slot of its run at once", () => {
    const server = new TestServer({ settings: { ...settings, maxRunning: 1 } });
    const [client, worker, sleeper] = [server.connect(), server.worker("f"), server.worker("f")];
    client.background("f", "u");
    const running = worker.grab();
    sleeper.sleep();
    client.background("f", "v", "next");
    worker.fail(running.handle);
    sleeper.expect("NOOP");
    expect(sleeper.grab().workload).toBe("next");
  });
});

describe("the outcome of a background job", () => {
  it.each([
    ["done", "complete"],
    ["failed", "fail"],
    ["failed", "exception"],
  ] as const)("is %s after %s, and can be asked for by handle and by unique for a while", (state, end) => {
    const server = new TestServer({ limits: { outcomeMs: 1_000 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.background("f", "u");
    worker[end](worker.grab().handle);
    const ended = server.wallMs;
    server.pass(999);
    client.send("GET_OUTCOME", [handle, ""]);
    client.send("GET_OUTCOME", ["f", "u"]);
    client.expect(
      `OUTCOME_RES ${handle} ${handle} ${state} 0 0 0 ${ended}`,
      `OUTCOME_RES f u ${handle} ${state} 0 0 0 ${ended}`,
    );
    server.pass(1);
    client.send("GET_OUTCOME", ["f", "u"]);
    client.expect("OUTCOME_RES f u unknown 0 0 0 0");
  });

  it("is dead for a dead letter, and failed for a cancelled job", () => {
    const server = new TestServer({ settings: { maxAttempts: 1 } });
    const client = server.connectDrover();
    client.background("f", "dead");
    loseOne(server);
    const cancelled = client.background("f", "cancelled");
    client.admin(`cancel job ${cancelled}`);
    client.send("GET_OUTCOME", ["f", "dead"]);
    client.send("GET_OUTCOME", ["f", "cancelled"]);
    const [dead, failed] = client.got();
    expect(dead).toContain(" dead ");
    expect(failed).toContain(" failed ");
  });

  it("is not kept for jobs that only foreground submissions wanted", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.complete(worker.grab().handle);
    client.got();
    client.send("GET_OUTCOME", [handle, ""]);
    client.expect(`OUTCOME_RES ${handle} unknown 0 0 0 0`);
  });

  it("changes nothing about GET_STATUS, which knows nothing of ended jobs", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    worker.complete(worker.grab().handle);
    client.send("GET_STATUS", [handle]);
    client.send("GET_STATUS_UNIQUE", ["u"]);
    client.expect(`STATUS_RES ${handle} 0 0 0 0`, "STATUS_RES_UNIQUE u 0 0 0 0 0");
  });
});
