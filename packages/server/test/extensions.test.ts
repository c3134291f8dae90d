import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* What drover.1 adds, and that it is there for those who asked only. */

describe("drover.1", () => {
  it.each([
    ["SUBMIT_JOB_EXT", ["f", "u", ""]],
    ["DETACH", ["H:1"]],
    ["GET_OUTCOME", ["f", "u"]],
    ["ATTACH", ["H:1"]],
  ] as const)("%s is an unknown type without it: an error, and the end", (packet, args) => {
    const server = new TestServer();
    const client = server.connect();
    client.send(packet, args);
    client.expect("ERROR INVALID_COMMAND Command not expected");
    expect(client.closed).toBe(true);
  });

  it("is granted to whoever asks", () => {
    const server = new TestServer();
    const client = server.connect();
    client.send("OPTION_REQ", ["drover.1"]);
    client.expect("OPTION_RES drover.1");
    client.submitWith("f", "u", {});
    expect(client.closed).toBe(false);
  });

  it("packets that only the server sends are refused without ending the connection", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.send("JOB_RESTARTED", ["H:1", "2"]);
    client.expect("ERROR INVALID_COMMAND Command not expected");
    expect(client.closed).toBe(false);
  });

  it("other options are unknown", () => {
    const server = new TestServer();
    const client = server.connect();
    client.send("OPTION_REQ", ["drover.9"]);
    client.expect("ERROR UNKNOWN_OPTION Server does not recognize given option");
  });
});

describe("SUBMIT_JOB_EXT", () => {
  it("says background and priority by options", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    client.submitWith("f", "a", { priority: "low" }, "low");
    client.submitWith("f", "b", { background: "1" }, "background");
    client.submitWith("f", "c", { priority: "high" }, "high");
    client.disconnect();
    expect(worker.grabAll()).toEqual(["background"]);
  });

  it("deadline: the submission gets WORK_FAIL when it has passed, the others stay", () => {
    const server = new TestServer();
    const [hurried, patient, worker] = [server.connectDrover(), server.connect(), server.worker("f")];
    const handle = hurried.submitWith("f", "u", { deadline: "100" });
    patient.submit("f", "u");
    worker.grab();
    server.pass(99);
    hurried.expect();
    server.pass(1);
    hurried.expect(`WORK_FAIL ${handle}`);
    worker.complete(handle, "r");
    hurried.expect();
    patient.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("deadline: takes a queued job along when nobody else waits", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.submitWith("f", "u", { deadline: "100" });
    server.pass(100);
    expect(server.state.jobs.size).toBe(0);
  });

  it("keep: the job outlives its last submission", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.submitWith("f", "u", { keep: "1" });
    client.disconnect();
    expect(worker.grab().handle).toBe(handle);
    worker.disconnect();
    expect(server.worker("f").grab().handle).toBe(handle);
  });

  it("linger: wins over the function's", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const long = client.submitWith("f", "long", { linger: "5000" });
    const none = client.submitWith("f", "none", { linger: "0" });
    worker.complete(worker.grab().handle);
    worker.complete(worker.grab().handle);
    server.pass(4_999);
    expect(client.submit("f", "long")).toBe(long);
    expect(client.submit("f", "none")).not.toBe(none);
  });

  it("rerunIfActive: becomes the successor of a running job, and passes by a lingering result", () => {
    const server = new TestServer({ settings: { lingerMs: 1_000 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const first = client.submit("f", "u");
    worker.grab();
    const second = client.submitWith("f", "u", { rerunIfActive: "1" }, "again");
    expect(second).not.toBe(first);
    worker.complete(first);
    expect(worker.grab()).toMatchObject({ handle: second, workload: "again" });
    worker.complete(second);
    expect(client.submit("f", "u")).toBe(second);
    expect(client.submitWith("f", "u", { rerunIfActive: "1" })).not.toBe(second);
  });

  it("rerunIfActive: joins a job that has not begun", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    const handle = client.submit("f", "u");
    expect(client.submitWith("f", "u", { rerunIfActive: "1" })).toBe(handle);
  });

  it("at: waits for a time, in the foreground too", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.submitWith("f", "u", { at: String(server.wallMs + 1_500) });
    server.pass(1_499);
    expect(worker.tryGrab()).toBeNull();
    server.pass(1);
    worker.complete(worker.grab().handle, "r");
    client.expect(`WORK_COMPLETE ${handle} r`);
  });

  it.each([
    "deadline=0",
    "deadline=soon",
    "linger=-1",
    "keep=yes",
    "forwarded=2",
    "rerunIfActive=",
    "priority=urgent",
    "at=tomorrow",
    "unheard=of",
    "keep=%zz",
    "traceparent=nonsense",
  ])("refuses the option %s and creates nothing", (options) => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.send("SUBMIT_JOB_EXT", ["f", "u", options], "w");
    const [answer] = client.got();
    expect(answer).toMatch(/^ERROR INVALID_ARGUMENT Bad option /);
    expect(client.closed).toBe(false);
    expect(server.state.jobs.size).toBe(0);
  });

  it("does not let options of one submission reach the next", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.submitWith("f", "a", { background: "1", deadline: "10", keep: "1", at: "99999999999999" });
    client.submit("f", "b");
    server.pass(1_000);
    expect(client.got()).toEqual([]);
    client.disconnect();
    expect([...server.state.jobs.values()].map((job) => job.key)).toEqual(["a"]);
  });
});

describe("JOB_ASSIGN_EXT", () => {
  it("tells a worker of drover.1 that grabs all the attempt, the reducer and the trace", () => {
    const server = new TestServer();
    const [client, lost, worker] = [server.connectDrover(), server.worker("f"), server.connectDrover()];
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const handle = client.submitWith("f", "u", { reducer: "re&duce", traceparent }, "work");
    lost.grab();
    lost.disconnect();
    worker.send("CAN_DO", ["f"]);
    expect(worker.grab("GRAB_JOB_ALL")).toMatchObject({
      packet: "JOB_ASSIGN_EXT",
      args: [handle, "f", "u", `attempt=2&reducer=re%26duce&traceparent=${traceparent}`],
      workload: "work",
    });
  });

  it("is not sent to other workers, nor for other grabs", () => {
    const server = new TestServer();
    const [client, plain, drover] = [server.connect(), server.worker("f"), server.connectDrover()];
    drover.send("CAN_DO", ["f"]);
    for (const unique of ["a", "b", "c", "d"]) client.submit("f", unique);
    client.send("SUBMIT_REDUCE_JOB", ["f", "r", "reducer", ""], "w");
    expect(plain.grab("GRAB_JOB_ALL").packet).toBe("JOB_ASSIGN_UNIQ");
    expect(plain.grab("GRAB_JOB").packet).toBe("JOB_ASSIGN");
    expect(drover.grab("GRAB_JOB_UNIQ").packet).toBe("JOB_ASSIGN_UNIQ");
    expect(drover.grab("GRAB_JOB").packet).toBe("JOB_ASSIGN");
    expect(plain.grab("GRAB_JOB_ALL")).toMatchObject({
      packet: "JOB_ASSIGN_ALL",
      args: ["H:5", "f", "r", "reducer"],
    });
  });
});

describe("DETACH", () => {
  it("takes every submission of the handle on that connection away, and no others", () => {
    const server = new TestServer();
    const [client, other, worker] = [server.connectDrover(), server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    client.submit("f", "u");
    other.submit("f", "u");
    worker.grab();
    client.detach(handle);
    worker.complete(handle, "r");
    client.expect();
    other.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("takes a queued job along when nobody else waits", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.detach(client.submit("f", "u"));
    expect(server.state.jobs.size).toBe(0);
  });

  it("of a handle that is not known, or of others' submissions, does nothing and is not answered", () => {
    const server = new TestServer();
    const [client, other] = [server.connectDrover(), server.connect()];
    const handle = other.submit("f", "u");
    client.detach(handle);
    client.detach("H:999");
    client.expect();
    expect(server.state.jobs.size).toBe(1);
  });
});

describe("ATTACH", () => {
  function attached(server: TestServer, handle: string) {
    const client = server.connectDrover();
    client.send("ATTACH", [handle]);
    return client;
  }

  it("tells a late comer all that a running job has reported, and what follows", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.status(handle, 1, 2);
    const late = attached(server, handle);
    late.expect(`JOB_CREATED ${handle}`, `WORK_DATA ${handle} a`, `WORK_STATUS ${handle} 1 2`);
    worker.complete(handle, "r");
    late.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("joins a waiting job without a unique, and keeps it when its submitter leaves", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "");
    const late = attached(server, handle);
    late.expect(`JOB_CREATED ${handle}`);
    client.disconnect();
    worker.grab();
    worker.complete(handle, "r");
    late.expect(`WORK_COMPLETE ${handle} r`);
  });

  it("is refused where the reports so far are not known: a run without unique and keep, or one outgrown", () => {
    const server = new TestServer({ limits: { replayLimitBytes: 30 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const plain = client.submit("f", "");
    worker.grab();
    attached(server, plain).expect("ERROR STATE_LOST What the job has reported so far is not known any more");
    worker.complete(plain, "r");
    const other = server.connect();
    const large = other.submit("f", "u");
    worker.grab();
    worker.data(large, "x".repeat(100));
    attached(server, large).expect("ERROR STATE_LOST What the job has reported so far is not known any more");
  });

  it("finds a job that outlives its submitter, with its reports", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    client.send("SUBMIT_JOB_EXT", ["f", "", "keep=1"], "w");
    worker.grab();
    worker.data("H:1", "a");
    client.disconnect();
    attached(server, "H:1").expect("JOB_CREATED H:1", "WORK_DATA H:1 a");
  });

  it("is answered by a result that lingers, and refused when there is neither", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    client.send("SUBMIT_JOB_EXT", ["f", "u", "linger=1000"], "w");
    worker.grab();
    worker.complete("H:1", "r");
    attached(server, "H:1").expect("JOB_CREATED H:1", "WORK_COMPLETE H:1 r");
    server.pass(1001);
    attached(server, "H:1").expect("ERROR JOB_NOT_FOUND Job does not exist");
    attached(server, "nonsense").expect("ERROR JOB_NOT_FOUND Job does not exist");
  });
});

describe("GET_OUTCOME", () => {
  it("describes a job that lives: state, newest status and how many wait", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.submit("f", "u");
    client.submit("f", "u");
    const ask = () => {
      client.send("GET_OUTCOME", ["f", "u"]);
      return client.got().at(-1);
    };
    expect(ask()).toBe(`OUTCOME_RES f u ${handle} queued 0 0 2 0`);
    worker.grab();
    worker.status(handle, 3, 7);
    expect(ask()).toBe(`OUTCOME_RES f u ${handle} running 3 7 2 0`);
    client.submitLater("f", "later", 10_000);
    client.send("GET_OUTCOME", ["f", "later"]);
    client.expect("OUTCOME_RES f later H:2 delayed 0 0 0 0");
  });

  it("cannot be asked for the unique -", () => {
    const server = new TestServer();
    const client = server.connectDrover();
    client.send("GET_OUTCOME", ["f", "-"]);
    client.expect("ERROR INVALID_ARGUMENT A unique of - cannot be asked for");
  });
});
