import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* Leaving, priorities, delays and lingering. */

describe("leaving", () => {
  it("takes a queued job along when the last submission leaves without a background claim", () => {
    const server = new TestServer();
    const [ada, bob, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = ada.submit("f", "u");
    bob.submit("f", "u");
    ada.disconnect();
    expect(server.state.jobs.size).toBe(1);
    bob.disconnect();
    expect(server.state.jobs.size).toBe(0);
    expect(worker.tryGrab()).toBeNull();
    expect(server.connect().submit("f", "u")).not.toBe(handle);
  });

  it("does not disturb a running job, which may be joined again", () => {
    const server = new TestServer();
    const [ada, bob, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = ada.submit("f", "u");
    worker.grab();
    ada.disconnect();
    worker.data(handle, "a");
    expect(bob.submit("f", "u")).toBe(handle);
    worker.complete(handle, "r");
    bob.expect(`WORK_DATA ${handle} a`, `WORK_COMPLETE ${handle} r`);
  });

  it("drops a lost job that nobody waits for instead of running it again", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    worker.grab();
    client.disconnect();
    worker.disconnect();
    expect(server.state.jobs.size).toBe(0);
  });

  it("is over for good: nothing is kept for a connection that is gone, and ending it twice changes nothing", () => {
    const server = new TestServer({ settings: { onAbandoned: "cancel" } });
    const peer = server.connectDrover();
    peer.send("CAN_DO", ["f"]);
    peer.submit("f", "u");
    peer.grab();
    peer.disconnect();
    peer.disconnect();
    expect(peer.peer.out.bytes).toBe(0);
    expect([server.state.peers.size, server.state.jobs.size]).toEqual([0, 0]);
    expect(server.state.functions.get("f")).toMatchObject({ workers: 0, running: 0, overruns: 0 });
  });

  describe("with onAbandoned: cancelDetached", () => {
    const settings = { onAbandoned: "cancelDetached" } as const;

    function running() {
      const server = new TestServer({ settings });
      const [client, worker] = [server.connectDrover(), server.connectDrover()];
      worker.send("CAN_DO", ["f"]);
      const handle = client.submit("f", "u");
      worker.grab();
      return { server, client, worker, handle };
    }

    it("stops the job whose last submission was taken back", () => {
      const { client, worker, handle } = running();
      client.send("DETACH", [handle]);
      worker.expect(`CANCEL ${handle}`);
    });

    it("keeps the job whose last submission was lost with its connection", () => {
      const { server, client, worker, handle } = running();
      client.disconnect();
      worker.expect();
      expect(server.connect().submit("f", "u")).toBe(handle);
    });
  });

  describe("with onAbandoned: cancel", () => {
    const settings = { onAbandoned: "cancel" } as const;

    it("tells a worker that speaks drover.1 to stop the job nobody waits for", () => {
      const server = new TestServer({ settings });
      const [client, worker] = [server.connect(), server.connectDrover()];
      worker.send("CAN_DO", ["f"]);
      const handle = client.submit("f", "u");
      worker.grab();
      client.disconnect();
      worker.expect(`CANCEL ${handle}`);
    });

    it("acts as keep for other workers", () => {
      const server = new TestServer({ settings });
      const [client, worker] = [server.connect(), server.worker("f")];
      const handle = client.submit("f", "u");
      worker.grab();
      client.disconnect();
      worker.expect();
      expect(server.connect().submit("f", "u")).toBe(handle);
    });

    it("does not cancel what a background submission claims", () => {
      const server = new TestServer({ settings });
      const [client, worker] = [server.connect(), server.connectDrover()];
      worker.send("CAN_DO", ["f"]);
      client.submit("f", "u");
      server.connect().background("f", "u");
      worker.grab();
      client.disconnect();
      worker.expect();
    });

    it.each([
      ["acknowledges by a result", (worker, handle) => worker.complete(handle)],
      ["acknowledges by a failure", (worker, handle) => worker.fail(handle)],
      ["leaves", (worker) => worker.disconnect()],
    ] as [string, (worker: ReturnType<TestServer["connect"]>, handle: string) => void][])(
      "a cancelling job is not joined, and its successor's turn comes when the worker %s",
      (_, end) => {
        const server = new TestServer({ settings });
        const [ada, bob, worker] = [server.connect(), server.connect(), server.connectDrover()];
        worker.send("CAN_DO", ["f"]);
        const handle = ada.submit("f", "u", "first");
        worker.grab();
        ada.disconnect();
        const own = bob.submit("f", "u", "second");
        expect(own).not.toBe(handle);
        const other = server.worker("f");
        expect(other.tryGrab()).toBeNull();
        end(worker, handle);
        expect(other.grab()).toMatchObject({ handle: own, workload: "second" });
        bob.expect();
      },
    );

    it("reports of a cancelling job reach nobody", () => {
      const server = new TestServer({ settings });
      const [ada, bob, worker] = [server.connect(), server.connect(), server.connectDrover()];
      worker.send("CAN_DO", ["f"]);
      const handle = ada.submit("f", "u");
      worker.grab();
      ada.disconnect();
      bob.submit("f", "u");
      worker.data(handle, "late");
      worker.status(handle, 1);
      worker.complete(handle, "late");
      bob.expect();
    });
  });
});

describe("the priority of a joiner", () => {
  it("moves a queued job to the tail of the higher queue", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "low", "low", "SUBMIT_JOB_LOW");
    client.submit("f", "normal", "normal");
    client.submit("f", "high", "high", "SUBMIT_JOB_HIGH");
    client.submit("f", "low", "again", "SUBMIT_JOB_HIGH");
    expect(worker.grabAll()).toEqual(["high", "low", "normal"]);
  });

  it("never moves it back, neither by a lower joiner nor when the higher one leaves", () => {
    const server = new TestServer();
    const [client, hurried, worker] = [server.connect(), server.connect(), server.worker("f")];
    client.submit("f", "u", "raised", "SUBMIT_JOB_LOW");
    client.submit("f", "normal", "normal");
    hurried.submit("f", "u", "raised", "SUBMIT_JOB_HIGH");
    hurried.disconnect();
    client.submit("f", "u", "raised", "SUBMIT_JOB_LOW");
    expect(worker.grabAll()).toEqual(["raised", "normal"]);
  });

  it("counts for a delayed job when its time comes", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submitLater("f", "u", 60_000, "delayed");
    client.submit("f", "v", "normal");
    const drover = server.connectDrover();
    drover.submitWith("f", "u", { at: String(server.wallMs + 60_000), priority: "high" });
    server.pass(60_000);
    expect(worker.grabAll()).toEqual(["delayed", "normal"]);
  });
});

describe("delay", () => {
  it("a job for a date waits for it, and then wakes a worker", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submitLater("f", "u", 5_000);
    expect(worker.tryGrab()).toBeNull();
    worker.sleep();
    server.pass(4_999);
    worker.expect();
    server.pass(1);
    worker.expect("NOOP");
    expect(worker.grab().handle).toBe(handle);
  });

  it("a date that has passed, or is none, means now", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submitLater("f", "past", -5_000, "past");
    client.send("SUBMIT_JOB_EPOCH", ["f", "none", "soon"], "none");
    expect(worker.grabAll()).toEqual(["past", "none"]);
  });

  it("an immediate submission makes a delayed job due now", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    worker.sleep();
    const handle = client.submitLater("f", "u", 60_000);
    worker.expect();
    expect(client.submit("f", "u")).toBe(handle);
    worker.expect("NOOP");
    expect(worker.grab().handle).toBe(handle);
  });

  it("of two dates the earlier one wins", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submitLater("f", "u", 60_000);
    expect(client.submitLater("f", "u", 10_000)).toBe(handle);
    expect(client.submitLater("f", "u", 90_000)).toBe(handle);
    server.pass(9_999);
    expect(worker.tryGrab()).toBeNull();
    server.pass(1);
    expect(worker.grab().handle).toBe(handle);
  });

  it("a submission for a date never joins a running job: it becomes its delayed successor", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const running = client.submit("f", "u");
    worker.grab();
    const later = client.submitLater("f", "u", 10_000);
    expect(later).not.toBe(running);
    worker.complete(running);
    expect(worker.tryGrab()).toBeNull();
    server.pass(10_000);
    expect(worker.grab().handle).toBe(later);
  });

  it("an immediate submission joins the running job rather than the delayed one behind it", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const running = client.submit("f", "u");
    worker.grab();
    client.submitLater("f", "u", 10_000);
    expect(client.submit("f", "u")).toBe(running);
  });

  it("follows the wall clock when that jumps", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submitLater("f", "u", 3_600_000);
    server.wallMs += 3_600_000;
    // A jump is noticed within a minute.
    server.pass(60_000);
    expect(worker.tryGrab()).not.toBeNull();
  });

  it("SUBMIT_JOB_SCHED runs at the next minute that matches, in UTC", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.send("SUBMIT_JOB_SCHED", ["f", "u", "30", "12", "*", "", "*"], "scheduled");
    client.expect("JOB_CREATED H:1");
    server.pass(30 * 60_000 - 1);
    expect(worker.tryGrab()).toBeNull();
    server.pass(1);
    expect(worker.grabAll()).toEqual(["scheduled"]);
  });

  it.each([
    ["an impossible date", ["0", "0", "31", "6", "*"]],
    ["a value out of range", ["60", "*", "*", "*", "*"]],
    ["a word", ["soon", "*", "*", "*", "*"]],
  ])("SUBMIT_JOB_SCHED refuses %s", (_, fields) => {
    const server = new TestServer();
    const client = server.connect();
    client.send("SUBMIT_JOB_SCHED", ["f", "u", ...fields], "w");
    client.expect("ERROR INVALID_ARGUMENT No such time ever comes");
  });
});

describe("linger", () => {
  it("answers foreground submissions of the unique without running, with everything that was reported", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, late, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.status(handle, 1);
    worker.status(handle, 2);
    worker.complete(handle, "r");
    server.pass(999);
    late.send("SUBMIT_JOB", ["f", "u"], "w");
    late.expect(
      `JOB_CREATED ${handle}`,
      `WORK_DATA ${handle} a`,
      `WORK_STATUS ${handle} 2 10`,
      `WORK_COMPLETE ${handle} r`,
    );
    expect(server.state.jobs.size).toBe(0);
  });

  it("is over after its time", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.complete(worker.grab().handle);
    server.pass(1_000);
    expect(client.submit("f", "u")).not.toBe(handle);
  });

  it("acknowledges a background submission, which does not run", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.complete(worker.grab().handle);
    client.got();
    expect(client.background("f", "u")).toBe(handle);
    client.expect();
    expect(worker.tryGrab()).toBeNull();
  });

  it("does not make GET_STATUS know the job", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.complete(worker.grab().handle);
    client.got();
    client.send("GET_STATUS", [handle]);
    client.expect(`STATUS_RES ${handle} 0 0 0 0`);
  });

  it.each(["fail", "exception"] as const)("never keeps a %s", (end) => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker[end](handle);
    expect(client.submit("f", "u")).not.toBe(handle);
  });

  it("does not keep a result whose reports were not all kept", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 }, limits: { replayLimitBytes: 30 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "x".repeat(50));
    worker.complete(handle);
    expect(client.submit("f", "u")).not.toBe(handle);
  });

  it("does not lose reports where replay is switched off", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000, replayLimitBytes: 0 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const silent = client.submit("f", "silent");
    worker.complete(worker.grab().handle);
    expect(client.submit("f", "silent")).toBe(silent);
    const talking = client.submit("f", "talking");
    worker.grab();
    worker.data(talking, "a");
    worker.complete(talking);
    expect(client.submit("f", "talking")).not.toBe(talking);
  });

  it("answers with the result alone where the function says that this is enough", () => {
    const settings = { lingerMs: 1_000, lingerWithoutReports: true, replayLimitBytes: 0 };
    const server = new TestServer({ settings });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.complete(handle);
    expect(client.submit("f", "u")).toBe(handle);
  });

  it("does not keep the result of a job that joins nothing", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "");
    worker.complete(worker.grab().handle);
    expect(server.state.lingering.size).toBe(0);
  });
});
