import { encodeOptions } from "@drover/protocol";
import { describe, expect, it } from "vitest";
import type { Commit, StoredJob } from "../src/core/index.ts";
import { type TestOptions, type TestPeer, TestServer } from "./harness.ts";

/* Background submissions with a store: what waits for the commit, what it is told, and what comes back. */

/** A server with a store in the test's hand. */
class DurableServer extends TestServer {
  readonly rows = new Map<number, StoredJob>();
  #commit: Commit | null = null;

  constructor(options: TestOptions = {}) {
    super({ durable: true, ...options });
  }

  /** Begins a commit. @returns what it is to do. */
  begin(): Commit {
    this.#commit = this.core.beginCommit();
    if (this.#commit === null) throw new Error("there is nothing to commit");
    return this.#commit;
  }

  /** Ends the commit that was begun. */
  end(succeeds = true): void {
    const { puts, changes, deletes } = this.#commit!;
    this.#commit = null;
    if (succeeds) {
      for (const row of puts) this.rows.set(row.id, row);
      for (const change of changes) this.rows.set(change.id, { ...this.rows.get(change.id)!, ...change });
      for (const id of deletes) this.rows.delete(id);
    }
    this.turn(() => this.core.commitEnded(succeeds));
  }

  commit(succeeds = true): void {
    this.begin();
    this.end(succeeds);
  }

  /** A server that starts anew with what is stored. */
  restarted(firstHandle = 1000): DurableServer {
    const server = new DurableServer({ firstHandle });
    server.rows.clear();
    for (const row of [...this.rows.values()].sort((a, b) => a.id - b.id)) {
      server.rows.set(row.id, row);
      server.turn(() => server.core.restore(row));
    }
    return server;
  }
}

function background(client: TestPeer, fn: string, unique: string, workload = "w"): void {
  client.send("SUBMIT_JOB_BG", [fn, unique], workload);
}

describe("a background submission", () => {
  it("is acknowledged, and can be grabbed, once it is committed", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u", "work");
    client.expect();
    expect(worker.tryGrab()).toBeNull();
    const { puts } = server.begin();
    expect(puts).toMatchObject([{ id: 1, fn: "f", key: "u", attempts: 0, priority: 1 }]);
    expect(Buffer.from(puts[0]!.workload).toString()).toBe("work");
    client.expect();
    server.end();
    client.expect("JOB_CREATED H:1");
    expect(worker.grab().workload).toBe("work");
  });

  it("wakes a sleeper only then", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    expect(worker.tryGrab()).toBeNull();
    worker.sleep();
    background(client, "f", "u");
    worker.expect();
    server.commit();
    worker.expect("NOOP");
  });

  it("is refused when the commit fails, and is gone", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u");
    server.commit(false);
    client.expect("ERROR QUEUE_ERROR The job could not be stored");
    expect(worker.tryGrab()).toBeNull();
    expect(server.state.jobs.size).toBe(0);
    background(client, "f", "u");
    server.commit();
    client.expect("JOB_CREATED H:2");
    expect([...server.rows.keys()]).toEqual([2]);
  });

  it("that failed is deleted by the next commit, should it be there after all", () => {
    const server = new DurableServer();
    const client = server.connect();
    background(client, "f", "u");
    server.commit(false);
    expect(server.begin().deletes).toEqual([1]);
  });

  it("waits for the commit after the one under way", () => {
    const server = new DurableServer();
    const client = server.connect();
    background(client, "f", "u1");
    server.begin();
    background(client, "f", "u2");
    expect(server.core.beginCommit()).toBeNull();
    server.end();
    client.expect("JOB_CREATED H:1");
    expect(server.begin().puts).toMatchObject([{ id: 2 }]);
    server.end();
    client.expect("JOB_CREATED H:2");
  });

  it("joins one that is being committed, and both are answered by that commit", () => {
    const server = new DurableServer();
    const [one, two] = [server.connect(), server.connect()];
    background(one, "f", "u");
    server.begin();
    background(two, "f", "u");
    server.end();
    one.expect("JOB_CREATED H:1");
    two.expect("JOB_CREATED H:1");
    expect(server.core.beginCommit()).toBeNull();
  });

  it.each([{}, { tracestate: "a=1, b=2" }])("keeps its trace with %o over a restart", (rest) => {
    const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, ...rest };
    const server = new DurableServer();
    server.connectDrover().send("SUBMIT_JOB_EXT", ["f", "u", encodeOptions({ background: "1", ...trace })]);
    server.commit();
    const worker = server.restarted().connectDrover();
    worker.send("CAN_DO", ["f"]);
    expect(worker.grab("GRAB_JOB_ALL").args[3]).toBe(encodeOptions({ attempt: "1", ...trace }));
  });

  it("joins one that is committed at once", () => {
    const server = new DurableServer();
    const [one, two] = [server.connect(), server.connect()];
    background(one, "f", "u");
    server.commit();
    background(two, "f", "u");
    two.expect("JOB_CREATED H:1");
  });

  it("of a unique that runs in the foreground makes it durable, and the run goes on", () => {
    const server = new DurableServer();
    const [one, two, worker] = [server.connect(), server.connect(), server.worker("f")];
    one.submit("f", "u");
    const { handle } = worker.grab();
    background(two, "f", "u");
    two.expect();
    one.disconnect();
    worker.disconnect();
    server.commit();
    two.expect("JOB_CREATED H:1");
    expect(server.rows.get(1)).toMatchObject({ attempts: 1 });
    expect(server.worker("f").grab().handle).toBe(handle);
  });

  it("keeps foreground joiners when its commit fails", () => {
    const server = new DurableServer();
    const [one, two, worker] = [server.connect(), server.connect(), server.worker("f")];
    background(one, "f", "u");
    two.submit("f", "u");
    expect(worker.tryGrab()).toBeNull();
    server.commit(false);
    one.expect("ERROR QUEUE_ERROR The job could not be stored");
    worker.complete(worker.grab().handle, "result");
    two.expect("WORK_COMPLETE H:1 result");
  });

  it("for later waits for its time after the commit", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const at = Math.floor(server.wallMs / 1000) + 60;
    client.send("SUBMIT_JOB_EPOCH", ["f", "u", String(at)], "w");
    server.commit();
    client.expect("JOB_CREATED H:1");
    expect(server.rows.get(1)!.dueMs).toBe(at * 1000);
    expect(worker.tryGrab()).toBeNull();
    server.pass(60_000);
    expect(worker.grab().handle).toBe("H:1");
  });

  it("whose submitter leaves before the commit runs all the same", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u");
    client.disconnect();
    server.commit();
    expect(worker.grab().handle).toBe("H:1");
  });

  it("that ends before its row was written is never written", () => {
    const server = new DurableServer();
    const [one, two, worker] = [server.connect(), server.connect(), server.worker("f")];
    one.submit("f", "u");
    const { handle } = worker.grab();
    background(two, "f", "u");
    worker.complete(handle);
    expect(server.begin()).toEqual({ puts: [], changes: [], deletes: [], fired: [] });
    server.end();
    two.expect("JOB_CREATED H:1");
  });
});

describe("replies of one connection", () => {
  it("leave in the order of the requests, behind a commit", () => {
    const server = new DurableServer();
    const client = server.connect();
    client.send("ECHO_REQ", [], "1");
    background(client, "f", "u1");
    client.send("ECHO_REQ", [], "2");
    background(client, "f", "u2");
    client.send("GET_STATUS", ["H:9"]);
    client.expect("ECHO_RES 1");
    server.commit();
    client.expect("JOB_CREATED H:1", "ECHO_RES 2", "JOB_CREATED H:2", "STATUS_RES H:9 0 0 0 0");
  });

  it("leave in their order when a later claim is settled by an earlier commit", () => {
    const server = new DurableServer();
    const [one, two] = [server.connect(), server.connect()];
    background(one, "f", "u1");
    server.begin();
    background(two, "f", "u2");
    background(two, "f", "u1");
    server.end();
    two.expect();
    server.commit();
    two.expect("JOB_CREATED H:2", "JOB_CREATED H:1");
  });

  it("to others do not wait", () => {
    const server = new DurableServer();
    const [one, two] = [server.connect(), server.connect()];
    background(one, "f", "u1");
    two.submit("f", "u2");
  });

  it("do not hold up reports of jobs that were acknowledged before", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u1");
    const { handle } = worker.grab();
    background(client, "f", "u2");
    worker.data(handle, "part");
    client.expect("WORK_DATA H:1 part");
    worker.complete(handle, "done");
    client.expect("WORK_COMPLETE H:1 done");
  });

  it("hold up reports of a job whose own acknowledgement is among them", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("g")];
    background(client, "f", "u1");
    client.send("SUBMIT_JOB", ["g", "u2"], "w");
    worker.complete(worker.grab().handle, "done");
    client.expect();
    server.commit();
    client.expect("JOB_CREATED H:1", "JOB_CREATED H:2", "WORK_COMPLETE H:2 done");
  });
});

describe("a stored job", () => {
  it("is deleted when it has ended", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u");
    server.commit();
    worker.complete(worker.grab().handle);
    expect(server.begin()).toEqual({ puts: [], changes: [], deletes: [1], fired: [] });
  });

  it("has its attempts written", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u");
    server.commit();
    worker.grab();
    server.commit();
    expect(server.rows.get(1)).toMatchObject({ attempts: 1, reason: "" });
  });

  it("that a failed commit was to change or delete is changed or deleted by the next", () => {
    const server = new DurableServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u1");
    background(client, "f", "u2");
    server.commit();
    worker.complete(worker.grab().handle);
    worker.grab();
    server.commit(false);
    server.commit();
    expect([...server.rows.values()]).toMatchObject([{ id: 2, attempts: 1 }]);
  });

  it("becomes a dead letter in the same commit", () => {
    const server = new DurableServer({ settings: { maxAttempts: 1 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u", "work");
    server.commit();
    worker.grab();
    worker.disconnect();
    server.commit();
    expect([...server.rows.values()]).toMatchObject([{ id: 1, reason: "worker lost", attempts: 1 }]);
    const after = server.restarted();
    expect(after.connect().admin("deadletters")[0]).toContain("H:1\tf\tu\tworker lost\t1");
    expect(after.worker("f").tryGrab()).toBeNull();
  });

  it("comes back from a dead letter, also when the commit of that fails at first", () => {
    const server = new DurableServer({ settings: { maxAttempts: 1 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u", "work");
    server.commit();
    worker.grab();
    worker.disconnect();
    server.commit();
    client.admin("deadletter requeue H:1");
    server.commit(false);
    server.commit();
    expect(server.restarted().worker("f").grabAll()).toEqual(["work"]);
  });

  it("comes back from a dead letter as one job, whenever the server ends", () => {
    const server = new DurableServer({ settings: { maxAttempts: 1 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    background(client, "f", "u", "work");
    server.commit();
    worker.grab();
    worker.disconnect();
    server.commit();
    expect(client.admin("deadletter requeue H:1").at(-1)).toBe("OK");
    expect(server.restarted().connect().admin("deadletters")).toHaveLength(2);
    server.commit();
    const after = server.restarted();
    expect(after.connect().admin("deadletters")).toEqual(["."]);
    expect(after.worker("f").grabAll()).toEqual(["work"]);
  });
});

describe("jobs of a server that died", () => {
  const orphan = (id: number, key: string): StoredJob => ({
    id,
    fn: "f",
    key,
    workload: new Uint8Array(3),
    priority: 1,
    dueMs: 0,
    reducer: "",
    traceparent: "",
    lingerMs: -1,
    attempts: 2,
    submittedMs: 0,
    reason: "",
    diedMs: 0,
  });

  it("run here under handles of this server, and wake workers", () => {
    const server = new DurableServer();
    const worker = server.worker("f");
    expect(worker.tryGrab()).toBeNull();
    worker.sleep();
    const first = server.core.allot(2);
    server.turn(() => {
      server.core.adopt(orphan(first, "u1"));
      server.core.adopt(orphan(first + 1, "u2"));
    });
    worker.expect("NOOP");
    expect([worker.grab().handle, worker.grab().handle]).toEqual(["H:1", "H:2"]);
    expect(server.connect().submit("f", "other")).toBe("H:3");
    worker.complete("H:1");
    expect(server.begin().deletes).toContain(1);
  });

  it("join a job of their unique that is alive here, which is stored then", () => {
    const server = new DurableServer();
    const client = server.connect();
    const handle = client.submit("f", "u");
    const first = server.core.allot(1);
    server.turn(() => server.core.adopt(orphan(first, "u")));
    client.disconnect();
    const { puts, deletes } = server.begin();
    expect(puts).toMatchObject([{ key: "u" }]);
    expect(deletes).toEqual([first]);
    server.end();
    expect(server.worker("f").grab().handle).toBe(handle);
  });
});

describe("a schedule", () => {
  const WANTED = { fn: "f", key: "nightly", workload: new Uint8Array(3), priority: 1, reducer: "" } as const;

  it("has its time and its job in one commit", () => {
    const server = new DurableServer();
    server.turn(() => server.core.fire({ schedule: "nightly", atMs: 5 }, WANTED));
    const { puts, fired } = server.begin();
    expect(puts).toMatchObject([{ fn: "f", key: "nightly" }]);
    expect(fired).toEqual([{ schedule: "nightly", atMs: 5 }]);
    server.end();
    expect(server.worker("f").grab("GRAB_JOB_UNIQ").args[2]).toBe("nightly");
  });

  it("whose last job still runs adds none", () => {
    const server = new DurableServer();
    const worker = server.worker("f");
    server.turn(() => server.core.fire({ schedule: "nightly", atMs: 5 }, WANTED));
    worker.grab();
    server.turn(() => server.core.fire({ schedule: "nightly", atMs: 6 }, WANTED));
    expect(server.worker("f").tryGrab()).toBeNull();
  });

  it("that found the store failing is told to it with the next commit", () => {
    const server = new DurableServer();
    server.turn(() => server.core.fire({ schedule: "nightly", atMs: 5 }, WANTED));
    server.commit(false);
    expect(server.begin().fired).toEqual([{ schedule: "nightly", atMs: 5 }]);
  });

  it("finds no room in a full queue", () => {
    const server = new DurableServer({ limits: { maxJobs: 1 } });
    server.turn(() =>
      expect(server.core.fire({ schedule: "a", atMs: 5 }, { ...WANTED, key: "1" })).toBe(true),
    );
    server.turn(() =>
      expect(server.core.fire({ schedule: "b", atMs: 5 }, { ...WANTED, key: "2" })).toBe(false),
    );
  });
});

describe("a server that starts anew", () => {
  it("has what was acknowledged, under its handle, in its order", () => {
    const server = new DurableServer();
    const client = server.connect();
    for (const [unique, type] of [
      ["u1", "SUBMIT_JOB_LOW_BG"],
      ["u2", "SUBMIT_JOB_BG"],
      ["u3", "SUBMIT_JOB_HIGH_BG"],
      ["u4", "SUBMIT_JOB_BG"],
    ] as const) {
      client.send(type, ["f", unique], `work ${unique}`);
    }
    server.commit();
    const after = server.restarted();
    const worker = after.worker("f");
    const got = [0, 1, 2, 3].map(() => worker.grab("GRAB_JOB_UNIQ"));
    expect(got.map(({ handle, args, workload }) => [handle, args[2], workload])).toEqual([
      ["H:3", "u3", "work u3"],
      ["H:2", "u2", "work u2"],
      ["H:4", "u4", "work u4"],
      ["H:1", "u1", "work u1"],
    ]);
  });

  it("knows old handles and new ones", () => {
    const server = new DurableServer();
    const client = server.connect();
    for (const unique of ["u1", "u2", "u3"]) background(client, "f", unique);
    server.commit();
    const after = server.restarted();
    const other = after.connect();
    expect(other.submit("f", "new")).toBe("H:1003");
    for (const [handle, known] of [
      ["H:2", "1"],
      ["H:1003", "1"],
      ["H:4", "0"],
      ["H:1000", "0"],
      ["H:1004", "0"],
    ]) {
      other.send("GET_STATUS", [handle!]);
      other.expect(`STATUS_RES ${handle} ${known} 0 0 0`);
    }
  });

  it("joins what comes for a unique that it had", () => {
    const server = new DurableServer();
    background(server.connect(), "f", "u");
    server.commit();
    const after = server.restarted();
    expect(after.connect().submit("f", "u")).toBe("H:1");
  });

  it("runs a job again that was running, and counts on", () => {
    const server = new DurableServer({ settings: { maxAttempts: 2 } });
    background(server.connect(), "f", "u");
    server.commit();
    server.worker("f").grab();
    server.commit();
    const after = server.restarted();
    const worker = after.worker("f");
    worker.grab();
    after.commit();
    expect(after.rows.get(1)!.attempts).toBe(2);
  });

  it("waits on for what is not due yet", () => {
    const server = new DurableServer();
    const client = server.connect();
    client.send("SUBMIT_JOB_EPOCH", ["f", "u", String(Math.floor(server.wallMs / 1000) + 60)], "w");
    server.commit();
    const after = server.restarted();
    const worker = after.worker("f");
    expect(worker.tryGrab()).toBeNull();
    after.pass(61_000);
    expect(worker.grab().handle).toBe("H:1");
  });
});
