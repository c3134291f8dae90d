import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* How submissions meet: scope and key, submissions, order. */

describe("which submissions share a job", () => {
  it("two submissions of a function and unique are one job, which runs once with the first workload", () => {
    const server = new TestServer();
    const [ada, bob, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = ada.submit("f", "u", "first");
    expect(bob.submit("f", "u", "second")).toBe(handle);
    expect(worker.grab()).toMatchObject({ handle, workload: "first" });
    expect(worker.tryGrab()).toBeNull();
    worker.complete(handle, "result");
    ada.expect(`WORK_COMPLETE ${handle} result`);
    bob.expect(`WORK_COMPLETE ${handle} result`);
  });

  it("the same unique of two functions is two jobs", () => {
    const server = new TestServer();
    const client = server.connect();
    expect(client.submit("f", "u")).not.toBe(client.submit("g", "u"));
  });

  it("an empty unique joins nothing", () => {
    const server = new TestServer();
    const client = server.connect();
    expect(client.submit("f", "")).not.toBe(client.submit("f", ""));
  });

  it("the unique - joins equal workloads, and no job with another unique", () => {
    const server = new TestServer();
    const client = server.connect();
    const handle = client.submit("f", "-", "same");
    expect(client.submit("f", "-", "same")).toBe(handle);
    expect(client.submit("f", "-", "other")).not.toBe(handle);
    expect(client.submit("f", "same", "same")).not.toBe(handle);
  });

  it("the unique - joins nothing when the workload is empty", () => {
    const server = new TestServer();
    const client = server.connect();
    expect(client.submit("f", "-", "")).not.toBe(client.submit("f", "-", ""));
  });

  it("foreground, background, priorities, dates and reducers share one key", () => {
    const server = new TestServer();
    const client = server.connect();
    const handle = client.submit("f", "u");
    expect(client.background("f", "u")).toBe(handle);
    expect(client.submit("f", "u", "w", "SUBMIT_JOB_HIGH")).toBe(handle);
    expect(client.submit("f", "u", "w", "SUBMIT_JOB_LOW_BG")).toBe(handle);
    expect(client.submitLater("f", "u", 60_000)).toBe(handle);
    client.send("SUBMIT_REDUCE_JOB", ["f", "u", "r", ""], "w");
    client.expect(`JOB_CREATED ${handle}`);
  });

  it("the unique of a job that ended is free", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.complete(worker.grab().handle);
    expect(client.submit("f", "u")).not.toBe(handle);
  });
});

describe("what a submission is told", () => {
  it("a foreground submission gets every report and exactly one end", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.warning(handle, "b");
    worker.status(handle, 1, 2);
    worker.complete(handle, "c");
    worker.fail(handle);
    client.expect(
      `WORK_DATA ${handle} a`,
      `WORK_WARNING ${handle} b`,
      `WORK_STATUS ${handle} 1 2`,
      `WORK_COMPLETE ${handle} c`,
    );
  });

  it("a background submission gets nothing but its handle", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.background("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.complete(handle);
    client.expect();
  });

  it("a background submission is a permanent claim: the job runs when every foreground submitter has left", () => {
    const server = new TestServer();
    const [ada, bob, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = ada.submit("f", "u");
    bob.background("f", "u");
    bob.disconnect();
    ada.disconnect();
    expect(worker.grab().handle).toBe(handle);
  });

  it("a connection that submitted a unique twice gets two of each packet", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    client.submit("f", "u");
    worker.grab();
    worker.data(handle, "a");
    worker.status(handle, 1, 2);
    worker.complete(handle, "c");
    client.expect(
      `WORK_DATA ${handle} a`,
      `WORK_DATA ${handle} a`,
      `WORK_STATUS ${handle} 1 2`,
      `WORK_STATUS ${handle} 1 2`,
      `WORK_COMPLETE ${handle} c`,
      `WORK_COMPLETE ${handle} c`,
    );
  });

  it("exceptions go to those who asked for them, as WORK_FAIL without a NUL to the others", () => {
    const server = new TestServer();
    const [curious, plain, worker] = [server.connect(), server.connect(), server.worker("f")];
    curious.send("OPTION_REQ", ["Exceptions"]);
    curious.expect("OPTION_RES Exceptions");
    const handle = curious.submit("f", "u");
    plain.submit("f", "u");
    worker.grab();
    worker.exception(handle, "why");
    curious.expect(`WORK_EXCEPTION ${handle} why`);
    plain.expect(`WORK_FAIL ${handle}`);
  });

  it("a WORK_FAIL right after the WORK_EXCEPTION of the same job is swallowed, a second one is not", () => {
    const server = new TestServer();
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    worker.exception(handle);
    worker.fail(handle);
    worker.expect();
    worker.fail(handle);
    worker.expect("ERROR JOB_NOT_FOUND Job given in work result not found");
    client.expect(`WORK_FAIL ${handle}`);
  });
});

describe("the order of answers", () => {
  it("answers leave in the order of the requests, however they came together", () => {
    const server = new TestServer();
    const client = server.connect();
    const first = client.submit("f", "u");
    client.send("ECHO_REQ", [], "1");
    client.send("GET_STATUS", [first]);
    client.send("SUBMIT_JOB", ["f", "v"], "w");
    client.send("ECHO_REQ", [], "2");
    client.expect("ECHO_RES 1", `STATUS_RES ${first} 1 0 0 0`, "JOB_CREATED H:2", "ECHO_RES 2");
  });

  it("no report of a job precedes its JOB_CREATED, where client and worker are one connection", () => {
    const server = new TestServer();
    const peer = server.worker("f");
    peer.send("SUBMIT_JOB", ["f", "u"], "w");
    peer.send("GRAB_JOB");
    peer.data("H:1", "a");
    peer.send("SUBMIT_JOB", ["f", "u"], "w");
    peer.complete("H:1", "r");
    peer.expect(
      "JOB_CREATED H:1",
      "JOB_ASSIGN H:1 f w",
      "WORK_DATA H:1 a",
      "JOB_CREATED H:1",
      "WORK_DATA H:1 a",
      "WORK_COMPLETE H:1 r",
      "WORK_COMPLETE H:1 r",
    );
  });
});
