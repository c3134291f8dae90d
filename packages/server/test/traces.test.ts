import { describe, expect, it } from "vitest";
import { type TestPeer, TestServer } from "./harness.ts";

/* How traces of submissions and runs come to know each other. */

const trace = (digit: string) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;
const [FIRST, SECOND, RUN] = [trace("a"), trace("b"), trace("e")];

function grab(worker: TestPeer): string {
  worker.send("CAN_DO", ["f"]);
  return worker.grab("GRAB_JOB_ALL").args[3]!;
}

describe("a submission with a trace", () => {
  it("that joins is told of the submission that made the job, right before its JOB_CREATED", () => {
    const server = new TestServer();
    const [first, second] = [server.connectDrover(), server.connectDrover()];
    const handle = first.submitWith("f", "u", { traceparent: FIRST });
    expect(first.got()).toEqual([]);
    second.send("SUBMIT_JOB_EXT", ["f", "u", `background=1&traceparent=${SECOND}`]);
    second.expect(`JOB_TRACE ${handle} ${FIRST}`, `JOB_CREATED ${handle}`);
  });

  it("that joins before the run is a link of it, each once, and again in the next run", () => {
    const server = new TestServer();
    const [first, second] = [server.connectDrover(), server.connectDrover()];
    const [lost, worker] = [server.connectDrover(), server.connectDrover()];
    first.submitWith("f", "u", { traceparent: FIRST });
    for (const traceparent of [SECOND, FIRST, SECOND]) second.submitWith("f", "u", { traceparent });
    expect(grab(lost)).toBe(`attempt=1&traceparent=${FIRST}&links=${SECOND}`);
    lost.disconnect();
    expect(grab(worker)).toBe(`attempt=2&traceparent=${FIRST}&links=${SECOND}`);
  });

  it("that joins a job without one does not become the parent of its run", () => {
    const server = new TestServer();
    const [plain, traced, worker] = [server.connect(), server.connectDrover(), server.connectDrover()];
    plain.submit("f", "u");
    traced.submitWith("f", "u", { traceparent: FIRST });
    expect(grab(worker)).toBe(`attempt=1&links=${FIRST}`);
    plain.expect();
  });

  it("is told of the run when the worker tells, or when it joins later; others are not", () => {
    const server = new TestServer();
    const [first, plain, late] = [server.connectDrover(), server.connectDrover(), server.connectDrover()];
    const worker = server.connectDrover();
    const handle = first.submitWith("f", "u", { traceparent: FIRST });
    plain.submit("f", "u");
    grab(worker);
    worker.send("WORK_TRACE", [handle, RUN]);
    first.expect(`JOB_TRACE ${handle} ${FIRST} ${RUN}`);
    plain.expect();
    late.send("SUBMIT_JOB_EXT", ["f", "u", `traceparent=${SECOND}`]);
    late.expect(`JOB_TRACE ${handle} ${FIRST} ${RUN}`, `JOB_CREATED ${handle}`);
    worker.expect();
  });

  it("is not told of a run that is over", () => {
    const server = new TestServer();
    const [first, late, worker] = [server.connectDrover(), server.connectDrover(), server.connectDrover()];
    const handle = first.submitWith("f", "u", { traceparent: FIRST });
    grab(worker);
    worker.send("WORK_TRACE", [handle, RUN]);
    worker.disconnect();
    grab(server.connectDrover());
    late.send("SUBMIT_JOB_EXT", ["f", "u", `traceparent=${SECOND}`]);
    late.expect(`JOB_TRACE ${handle} ${FIRST}`, `JOB_CREATED ${handle}`);
  });

  it("has its tracestate told to the runs of the job that it makes", () => {
    const server = new TestServer();
    const [first, second] = [server.connectDrover(), server.connectDrover()];
    first.submitWith("f", "u", { tracestate: "a=1,b=2", traceparent: FIRST });
    second.submitWith("f", "u", { traceparent: SECOND, tracestate: "c=3" });
    expect(grab(server.connectDrover())).toBe(
      `attempt=1&traceparent=${FIRST}&tracestate=a%3D1%2Cb%3D2&links=${SECOND}`,
    );
  });

  it.each([
    ["malformed", "nonsense"],
    ["longer than 512 characters", `a=${"x".repeat(256)},b=${"x".repeat(252)}`],
  ])("loses a tracestate that is %s, and nothing else", (_what, tracestate) => {
    const server = new TestServer();
    server.connectDrover().submitWith("f", "u", { traceparent: FIRST, tracestate });
    expect(grab(server.connectDrover())).toBe(`attempt=1&traceparent=${FIRST}`);
  });

  it("is told of each of its jobs by handle", () => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.connectDrover()];
    const one = client.submitWith("f", "one", { traceparent: FIRST });
    const two = client.submitWith("f", "two", { traceparent: SECOND });
    grab(worker);
    worker.send("WORK_TRACE", [one, RUN]);
    client.send("SUBMIT_JOB_EXT", ["f", "two", `traceparent=${trace("c")}`]);
    client.expect(`JOB_TRACE ${one} ${FIRST} ${RUN}`, `JOB_TRACE ${two} ${SECOND}`, `JOB_CREATED ${two}`);
  });
});

describe("WORK_TRACE", () => {
  it("of a run that is not the worker's is answered as any such report, and reaches nobody", () => {
    const server = new TestServer();
    const [client, other] = [server.connectDrover(), server.connectDrover()];
    const handle = client.submitWith("f", "u", { traceparent: FIRST });
    other.send("WORK_TRACE", [handle, RUN]);
    other.expect("ERROR JOB_NOT_FOUND Job given in work result not found");
    client.expect();
  });

  it.each([
    "",
    "nonsense",
    `${RUN}-more`,
    `ff${RUN.slice(2)}`,
    RUN.toUpperCase(),
    `00-${"0".repeat(32)}-${"1".repeat(16)}-01`,
  ])("with the traceparent %j is refused and the connection stays", (traceparent) => {
    const server = new TestServer();
    const [client, worker] = [server.connectDrover(), server.connectDrover()];
    const handle = client.submitWith("f", "u", { traceparent: FIRST });
    grab(worker);
    worker.send("WORK_TRACE", [handle, traceparent]);
    worker.expect("ERROR INVALID_ARGUMENT Bad traceparent");
    expect(worker.closed).toBe(false);
    client.expect();
  });

  it("is an unknown type without drover.1", () => {
    const server = new TestServer();
    const worker = server.worker("f");
    worker.send("WORK_TRACE", ["H:1", RUN]);
    worker.expect("ERROR INVALID_COMMAND Command not expected");
    expect(worker.closed).toBe(true);
  });
});

it("a tracestate without a trace is left out", () => {
  const server = new TestServer();
  server.connectDrover().submitWith("f", "u", { tracestate: "a=1" });
  expect(grab(server.connectDrover())).toBe("attempt=1");
});
