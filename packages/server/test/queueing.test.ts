import { encodePacket, type PacketName, PacketType, REQ } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* Which job a worker gets, who is woken for it, and what may wait. */

const SUBMIT: readonly PacketName[] = ["SUBMIT_JOB_HIGH", "SUBMIT_JOB", "SUBMIT_JOB_LOW"];

describe("the order of jobs", () => {
  it("is first in, first out inside a function and priority", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const name of ["a", "b", "c"]) client.submit("f", name, name);
    expect(worker.grabAll()).toEqual(["a", "b", "c"]);
  });

  it("puts high before normal before low, over all functions of a worker", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f", "g")];
    client.submit("f", "a", "f low", "SUBMIT_JOB_LOW");
    client.submit("f", "b", "f normal");
    client.submit("g", "c", "g high", "SUBMIT_JOB_HIGH");
    client.submit("g", "d", "g low", "SUBMIT_JOB_LOW");
    expect(worker.grabAll()).toEqual(["g high", "f normal", "f low", "g low"]);
  });

  it("takes functions of equal priority in turn, beginning with the one that waits longest", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f", "g", "h")];
    for (const fn of ["h", "g", "f"]) for (const i of [1, 2]) client.submit(fn, `${i}`, `${fn}${i}`);
    expect(worker.grabAll()).toEqual(["h1", "g1", "f1", "h2", "g2", "f2"]);
  });

  it("passes the turn on between workers of equal abilities", () => {
    const server = new TestServer();
    const client = server.connect();
    const [ada, bob] = [server.worker("f", "g"), server.worker("f", "g")];
    for (const fn of ["f", "g"]) for (const i of [1, 2]) client.submit(fn, `${i}`, `${fn}${i}`);
    const order = [ada, bob, ada, bob].map((worker) => worker.grab().workload);
    expect(order).toEqual(["f1", "g1", "f2", "g2"]);
  });

  it("does not depend on the order in which other workers registered", () => {
    const server = new TestServer();
    const [client, first, second] = [server.connect(), server.worker("f", "g"), server.worker("g", "f")];
    for (const fn of ["f", "g"]) client.submit(fn, "u", fn);
    client.submit("f", "v", "f again");
    expect(first.grab().workload).toBe("f");
    // The second's functions have turns of their own.
    expect(second.grab().workload).toBe("f again");
    expect(first.grab().workload).toBe("g");
  });

  it("is that of a naive queue, for any submissions and functions", () => {
    const submission = fc.record({ fn: fc.nat(2), priority: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(submission, { maxLength: 30 }), (submissions) => {
        const server = new TestServer();
        const [client, worker] = [server.connect(), server.worker("f0", "f1", "f2")];
        // For each priority the waiting jobs of each function, in a map that keeps the order in which it came.
        const queues = [0, 1, 2].map(() => new Map<number, string[]>());
        submissions.forEach(({ fn, priority }, i) => {
          client.submit(`f${fn}`, `${i}`, `${i}`, SUBMIT[priority]!);
          queues[priority]!.set(fn, [...(queues[priority]!.get(fn) ?? []), `${i}`]);
        });
        const expected: string[] = [];
        for (const byFunction of queues) {
          const line = [...byFunction.values()];
          for (let jobs = line.shift(); jobs !== undefined; jobs = line.shift()) {
            expected.push(jobs[0]!);
            if (jobs.length > 1) line.push(jobs.slice(1));
          }
        }
        expect(worker.grabAll()).toEqual(expected);
      }),
    );
  });

  it("puts a job whose worker was lost at the head of its place, several in their old order", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const name of ["a", "b", "c", "d"]) client.submit("f", name, name);
    client.submit("f", "high", "high", "SUBMIT_JOB_HIGH");
    for (let i = 0; i < 4; i++) worker.grab();
    worker.disconnect();
    expect(server.worker("f").grabAll()).toEqual(["high", "a", "b", "c", "d"]);
  });

  it("gives a worker only what it registered", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("g")];
    client.submit("f", "u");
    expect(worker.tryGrab()).toBeNull();
  });
});

describe("waking", () => {
  it("wakes as many sleepers as there are jobs, the one longest asleep first", () => {
    const server = new TestServer();
    const client = server.connect();
    const sleepers = [1, 2, 3].map(() => server.worker("f"));
    for (const i of [2, 0, 1]) sleepers[i]!.sleep();
    client.submit("f", "a");
    expect(sleepers.map((worker) => worker.got())).toEqual([[], [], ["NOOP"]]);
    client.submit("f", "b");
    expect(sleepers.map((worker) => worker.got())).toEqual([["NOOP"], [], []]);
  });

  it("wakes nobody for a join", () => {
    const server = new TestServer();
    const client = server.connect();
    const sleepers = [1, 2].map(() => server.worker("f"));
    for (const worker of sleepers) worker.sleep();
    client.submit("f", "u");
    client.submit("f", "u");
    expect(sleepers.flatMap((worker) => worker.got())).toEqual(["NOOP"]);
  });

  it("wakes at least as many as --worker-wakeup says", () => {
    const server = new TestServer({ wakeAtLeast: 2 });
    const client = server.connect();
    const sleepers = [1, 2, 3].map(() => server.worker("f"));
    for (const worker of sleepers) worker.sleep();
    client.submit("f", "u");
    expect(sleepers.flatMap((worker) => worker.got())).toEqual(["NOOP", "NOOP"]);
  });

  it("a woken worker that has not grabbed within the grace does not count, and the next is woken", () => {
    const server = new TestServer({ limits: { wakeGraceMs: 50 } });
    const [client, first, second] = [server.connect(), server.worker("f"), server.worker("f")];
    first.sleep();
    second.sleep();
    client.submit("f", "u");
    first.expect("NOOP");
    server.pass(49);
    second.expect();
    server.pass(1);
    second.expect("NOOP");
  });

  it("one that grabbed another function's job is replaced at once", () => {
    const server = new TestServer();
    const [client, both, other] = [server.connect(), server.worker("f", "g"), server.worker("f")];
    both.sleep();
    other.sleep();
    client.submit("f", "u");
    both.expect("NOOP");
    client.submit("g", "v", "urgent", "SUBMIT_JOB_HIGH");
    expect(both.grab().workload).toBe("urgent");
    other.expect("NOOP");
  });

  it.each(["disconnects", "forgets its abilities", "goes back to sleep without the function"])(
    "a woken worker that %s is replaced at once",
    (how) => {
      const server = new TestServer();
      const [client, first, second] = [server.connect(), server.worker("f"), server.worker("f")];
      first.sleep();
      second.sleep();
      client.submit("f", "u");
      first.expect("NOOP");
      if (how === "disconnects") first.disconnect();
      else if (how === "forgets its abilities") first.send("RESET_ABILITIES");
      else {
        first.send("CANT_DO", ["f"]);
        first.sleep();
      }
      second.expect("NOOP");
    },
  );

  it("PRE_SLEEP beside a waiting job is answered by NOOP at once", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    worker.sleep();
    worker.expect("NOOP");
  });

  it("a worker that only connected, or was woken already, gets no NOOP", () => {
    const server = new TestServer();
    const [client, awake, woken] = [server.connect(), server.worker("f"), server.worker("f")];
    woken.sleep();
    client.submit("f", "a");
    woken.expect("NOOP");
    client.submit("f", "b");
    woken.expect();
    awake.expect();
  });

  it("sleeps on beside a waiting job once the server assigns no more", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    server.core.stopAssigning();
    expect(worker.tryGrab()).toBeNull();
    worker.sleep();
    worker.expect();
  });
});

describe("maxqueue", () => {
  it("is compared with the total, running jobs included, and does not refuse joins", () => {
    const server = new TestServer({ settings: { maxQueue: [2, 2, 2] } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "a");
    worker.grab();
    client.submit("f", "b");
    expect(() => client.submit("f", "c")).toThrow("QUEUE_ERROR Job queue is full");
    expect(client.submit("f", "a")).toBe(handle);
    worker.complete(handle);
    client.submit("f", "c");
  });

  it("is set for each priority by an administrator, whose word wins over the settings", () => {
    const server = new TestServer({ settings: { maxQueue: [9, 9, 9] } });
    const client = server.connect();
    expect(client.admin("maxqueue f 3 2 1")).toEqual(["OK"]);
    client.submit("f", "a", "w", "SUBMIT_JOB_LOW");
    expect(() => client.submit("f", "b", "w", "SUBMIT_JOB_LOW")).toThrow("QUEUE_ERROR");
    client.submit("f", "b");
    expect(() => client.submit("f", "c")).toThrow("QUEUE_ERROR");
    client.submit("f", "c", "w", "SUBMIT_JOB_HIGH");
    expect(() => client.submit("f", "d", "w", "SUBMIT_JOB_HIGH")).toThrow("QUEUE_ERROR");
    expect(client.admin("maxqueue f")).toEqual(["OK"]);
    client.submit("f", "d");
  });
});

describe("pause", () => {
  it("holds a function's jobs back until resume, which wakes workers", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f", "g")];
    client.submit("f", "u", "paused");
    expect(client.admin("pause function f")).toEqual(["OK"]);
    client.submit("g", "u", "goes on");
    expect(worker.grabAll()).toEqual(["goes on"]);
    worker.sleep();
    client.submit("f", "v", "paused too");
    worker.expect();
    expect(client.admin("resume function f")).toEqual(["OK"]);
    worker.expect("NOOP");
    expect(worker.grabAll()).toEqual(["paused", "paused too"]);
  });

  it("is refused for a function that nobody knows", () => {
    const server = new TestServer();
    expect(server.connect().admin("pause function f")).toEqual(["ERR function not found"]);
  });
});

describe("functions of no use", () => {
  const HOUR = 3_600_000;

  it("disappear from status after an hour", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    worker.complete(worker.grab().handle);
    worker.disconnect();
    server.pass(HOUR - 1);
    expect(client.admin("status").slice(-2)).toEqual(["f\t0\t0\t0", "."]);
    server.pass(1);
    expect(client.admin("status")).toEqual(["."]);
  });

  it("disappear as well when only a refused submission named them", () => {
    const server = new TestServer({ limits: { maxJobs: 0 } });
    const client = server.connect();
    expect(() => client.submit("f", "u")).toThrow("QUEUE_ERROR");
    server.pass(HOUR);
    expect(server.state.functions.size).toBe(0);
  });

  it("disappear as well when the last that held them was an overrun", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.connect()];
    worker.send("CAN_DO_TIMEOUT", ["f", "100"]);
    client.submit("f", "u");
    worker.grab();
    server.pass(100);
    worker.disconnect();
    server.pass(HOUR);
    expect(server.state.functions.size).toBe(0);
  });

  it("are found anew by a client that used them before", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    worker.complete(worker.grab().handle);
    worker.disconnect();
    server.pass(HOUR);
    const next = server.worker("f");
    client.submit("f", "v", "again");
    expect(next.grab().workload).toBe("again");
  });

  it.each(["create function f", "maxqueue f 5", "a worker", "a job"])("stay because of %s", (reason) => {
    const server = new TestServer();
    const client = server.connect();
    if (reason === "a worker") server.worker("f");
    else if (reason === "a job") client.submit("f", "u");
    else client.admin(reason);
    server.pass(2 * HOUR);
    expect(server.state.functions.has("f")).toBe(true);
  });

  it("that were created stay when maxqueue is taken back or they are resumed", () => {
    const server = new TestServer();
    const client = server.connect();
    for (const line of ["create function f", "maxqueue f 5", "maxqueue f"]) client.admin(line);
    for (const line of ["pause function f", "resume function f"]) client.admin(line);
    server.pass(2 * HOUR);
    expect(server.state.functions.has("f")).toBe(true);
  });
});

describe("what comes in one turn", () => {
  const GRAB = encodePacket(REQ, PacketType.GRAB_JOB);
  const ECHO = encodePacket(REQ, PacketType.ECHO_REQ);

  it("a grab gets the job that is submitted after it, and nobody is woken", () => {
    const server = new TestServer();
    const [worker, sleeper, client] = [server.worker("f"), server.worker("f"), server.connect()];
    expect(sleeper.tryGrab()).toBeNull();
    sleeper.sleep();
    server.turn(() => {
      worker.send("GRAB_JOB");
      client.send("SUBMIT_JOB", ["f", "u"], "w");
    });
    worker.expect("JOB_ASSIGN H:1 f w");
    sleeper.expect();
  });

  it("a sleeper is woken for what the grabs of the turn leave", () => {
    const server = new TestServer();
    const [worker, sleeper, client] = [server.worker("f"), server.worker("f"), server.connect()];
    expect(sleeper.tryGrab()).toBeNull();
    sleeper.sleep();
    server.turn(() => {
      client.send("SUBMIT_JOB", ["f", "u1"], "w");
      worker.send("GRAB_JOB");
      client.send("SUBMIT_JOB", ["f", "u2"], "w");
    });
    worker.expect("JOB_ASSIGN H:1 f w");
    sleeper.expect("NOOP");
  });

  it("grabs that found nothing are served in their order", () => {
    const server = new TestServer();
    const [one, two, client] = [server.worker("f"), server.worker("f"), server.connect()];
    server.turn(() => {
      two.send("GRAB_JOB");
      one.send("GRAB_JOB");
      client.send("SUBMIT_JOB", ["f", "u"], "w");
    });
    two.expect("JOB_ASSIGN H:1 f w");
    one.expect("NO_JOB");
  });

  it("a grab is answered before what its worker asks next, in the same chunk or another", () => {
    const server = new TestServer();
    const worker = server.worker("f");
    worker.together(GRAB, ECHO);
    worker.expect("NO_JOB", "ECHO_RES");
    server.turn(() => {
      worker.bytes(GRAB);
      worker.bytes(ECHO);
    });
    worker.expect("NO_JOB", "ECHO_RES");
  });

  it("several grabs of one worker are answered each", () => {
    const server = new TestServer();
    const [worker, client] = [server.worker("f"), server.connect()];
    server.turn(() => {
      worker.together(GRAB, GRAB);
      client.send("SUBMIT_JOB", ["f", "u"], "w");
    });
    worker.expect("NO_JOB", "JOB_ASSIGN H:1 f w");
  });

  it("a worker that leaves after its grab gets no job", () => {
    const server = new TestServer();
    const [worker, other, client] = [server.worker("f"), server.worker("f"), server.connect()];
    server.turn(() => {
      worker.send("GRAB_JOB");
      client.send("SUBMIT_JOB", ["f", "u"], "w");
      worker.disconnect();
    });
    expect(other.grab().handle).toBe("H:1");
  });

  it("a worker that is being closed gets no job", () => {
    const server = new TestServer();
    const [worker, other, client] = [server.worker("f"), server.worker("f"), server.connect()];
    server.turn(() => {
      worker.send("GRAB_JOB");
      client.send("SUBMIT_JOB", ["f", "u"], "w");
      worker.bytes(Uint8Array.of(0, 1, 2, 3));
    });
    expect(worker.closed).toBe(true);
    expect(other.grab().handle).toBe("H:1");
  });

  it("a job that its only submitter leaves in the turn wakes nobody", () => {
    const server = new TestServer();
    const [sleeper, client] = [server.worker("f"), server.connect()];
    expect(sleeper.tryGrab()).toBeNull();
    sleeper.sleep();
    server.turn(() => {
      client.send("SUBMIT_JOB", ["f", "u"], "w");
      client.disconnect();
    });
    sleeper.expect();
  });
});
