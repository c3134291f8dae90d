import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* How many valid runs there may be, and what becomes of those that are not valid any more. */

describe("the bound", () => {
  it("runs one job of a unique at a time, however many submit it and however many workers ask", () => {
    const server = new TestServer();
    const client = server.connect();
    for (let i = 0; i < 5; i++) client.submit("f", "u");
    const grabbed = [1, 2, 3].map(() => server.worker("f").tryGrab());
    expect(grabbed.filter((job) => job !== null)).toHaveLength(1);
  });

  it("never runs more jobs of a function than maxRunning, and goes on when one ends", () => {
    const server = new TestServer({ settings: { maxRunning: 2 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const unique of ["a", "b", "c"]) client.submit("f", unique, unique);
    const first = worker.grab();
    worker.grab();
    expect(worker.tryGrab()).toBeNull();
    worker.complete(first.handle);
    expect(worker.grab().workload).toBe("c");
  });

  it("a function at maxRunning wakes nobody until a run ends", () => {
    const server = new TestServer({ settings: { maxRunning: 1 } });
    const [client, busy, sleeper] = [server.connect(), server.worker("f"), server.worker("f")];
    client.submit("f", "a");
    const running = busy.grab();
    sleeper.sleep();
    client.submit("f", "b");
    sleeper.expect();
    busy.complete(running.handle);
    sleeper.expect("NOOP");
  });

  it("holds for any sequence of submissions, grabs, ends and losses", () => {
    const event = fc.record({
      kind: fc.constantFrom("submit", "grab", "complete", "lose"),
      who: fc.nat(2),
      unique: fc.constantFrom("a", "b", "c", "d"),
    });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        (events, maxRunning) => {
          const server = new TestServer({ settings: { maxRunning, maxAttempts: 0 } });
          const client = server.connect();
          const workers = [0, 1, 2].map(() => ({
            peer: server.worker("f"),
            runs: new Map<string, string>(),
          }));
          for (const { kind, who, unique } of events) {
            const worker = workers[who]!;
            if (kind === "submit") client.submit("f", unique);
            else if (kind === "grab") {
              const job = worker.peer.tryGrab("GRAB_JOB_UNIQ");
              if (job !== null) worker.runs.set(job.handle, job.args[2]!);
            } else if (kind === "complete") {
              const [handle] = worker.runs.keys();
              if (handle !== undefined) worker.peer.complete(handle);
              if (handle !== undefined) worker.runs.delete(handle);
            } else {
              worker.peer.disconnect();
              worker.peer = server.worker("f");
              worker.runs.clear();
            }
            const uniques = workers.flatMap(({ runs }) => [...runs.values()]);
            expect(uniques.length).toBeLessThanOrEqual(maxRunning);
            expect(new Set(uniques).size).toBe(uniques.length);
          }
        },
      ),
    );
  });

  it("a changed limit counts at once", () => {
    const server = new TestServer({ settings: { maxRunning: 1 } });
    const [client, worker, sleeper] = [server.connect(), server.worker("f"), server.worker("f")];
    client.submit("f", "a");
    client.submit("f", "b");
    worker.grab();
    sleeper.sleep();
    sleeper.expect();
    server.change({ maxRunning: 2 });
    sleeper.expect("NOOP");
    expect(sleeper.tryGrab()).not.toBeNull();
  });
});

describe("an overrun", () => {
  /** A run whose timeout has passed while its worker goes on. */
  function overrun(maxRunning = 0) {
    const server = new TestServer({ settings: { maxRunning } });
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    const handle = client.submit("f", "u");
    worker.grab();
    server.pass(100);
    client.expect(`WORK_FAIL ${handle}`);
    return { server, client, worker, handle };
  }

  it("frees its unique at once", () => {
    const { client, handle } = overrun();
    expect(client.submit("f", "u")).not.toBe(handle);
  });

  it("is counted and noted", () => {
    const { server } = overrun();
    expect(server.state.counts.overruns).toBe(1);
    expect(server.noteCodes).toEqual(["OVERRUN"]);
  });

  it("gets JOB_NOT_FOUND for its late report, which reaches nobody", () => {
    const { client, worker, handle } = overrun();
    const own = client.submit("f", "u");
    worker.data(handle, "late");
    worker.expect("ERROR JOB_NOT_FOUND Job does not exist on server");
    worker.complete(handle, "late");
    worker.expect("ERROR JOB_NOT_FOUND Job given in work result not found");
    client.expect();
    expect(worker.grab().handle).toBe(own);
  });

  it.each(["reports", "leaves"])("holds a slot of maxRunning until its worker %s", (end) => {
    const { server, client, worker, handle } = overrun(1);
    const sleeper = server.worker("f");
    client.submit("f", "v");
    expect(sleeper.tryGrab()).toBeNull();
    sleeper.sleep();
    worker.data(handle, "still at it");
    sleeper.expect();
    if (end === "reports") worker.complete(handle);
    else worker.disconnect();
    sleeper.expect("NOOP");
    expect(sleeper.tryGrab()).not.toBeNull();
  });

  it("becomes a valid run again when its worker is given the same job anew", () => {
    const server = new TestServer({ settings: { maxRunning: 1, onTimeout: "retry" } });
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    const handle = client.submit("f", "u");
    worker.grab();
    server.pass(100);
    expect(worker.tryGrab()).toBeNull();
    server.change({ maxRunning: 2, onTimeout: "retry" });
    expect(worker.grab().handle).toBe(handle);
    expect(server.state.functions.get("f")).toMatchObject({ running: 1, overruns: 0 });
    worker.complete(handle, "r");
    client.expect(`WORK_COMPLETE ${handle} r`);
  });
});

describe("withdrawing an ability", () => {
  it.each([
    ["CANT_DO", ["f"]],
    ["RESET_ABILITIES", []],
  ] as const)("%s stops new assignments and leaves running jobs with the worker", (packet, args) => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    client.submit("f", "v");
    worker.grab();
    worker.send(packet, args);
    expect(worker.tryGrab()).toBeNull();
    expect(server.worker("f").grab().handle).not.toBe(handle);
    worker.complete(handle, "r");
    client.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("registering a function twice counts once", () => {
    const server = new TestServer();
    const worker = server.worker("f", "f");
    expect(worker.admin("status")).toEqual(["f\t0\t0\t1", "."]);
  });

  it("a sleeper that forgets everything and registers anew is woken for what waits", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    worker.sleep();
    worker.send("RESET_ABILITIES");
    client.submit("g", "u");
    worker.expect();
    worker.send("CAN_DO", ["g"]);
    worker.expect("NOOP");
  });
});
