import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, type Limits, STRANGER } from "../src/core/index.ts";
import { FleetStage } from "./fleet-stage.ts";
import { TestServer } from "./harness.ts";

/* One test for each field of Limits: what happens at it and past it. */

const TESTS: { readonly [Name in keyof Limits]: () => void } = {
  maxPacketBytes: () => {
    const server = new TestServer({ limits: { maxPacketBytes: 100 } });
    const client = server.connect();
    client.send("ECHO_REQ", [], "x".repeat(100));
    expect(client.got()).toHaveLength(1);
    client.send("ECHO_REQ", [], "x".repeat(101));
    client.expect("ERROR ARGUMENT_TOO_LARGE Packet is too large");
    expect(client.closed).toBe(true);
  },

  maxLineBytes: () => {
    const server = new TestServer({ limits: { maxLineBytes: 20 } });
    const client = server.connect();
    expect(client.admin("x".repeat(20))).toHaveLength(1);
    expect(client.admin("x".repeat(21))).toEqual([]);
    expect(client.closed).toBe(true);
  },

  maxFunctionBytes: () => {
    const server = new TestServer({ limits: { maxFunctionBytes: 5 } });
    const [client, worker] = [server.connect(), server.connect()];
    client.submit("12345", "u");
    for (const args of [["123456", "u"]]) client.send("SUBMIT_JOB", args);
    client.expect("ERROR ARGUMENT_TOO_LARGE Function name too large");
    client.send("SUBMIT_REDUCE_JOB", ["f", "u", "123456", ""]);
    client.expect("ERROR ARGUMENT_TOO_LARGE Reducer name too large");
    expect(client.admin("create function 123456")).toEqual([
      "ERR ARGUMENT_TOO_LARGE Function+name+too+large",
    ]);
    worker.send("CAN_DO", ["123456"]);
    worker.expect("ERROR ARGUMENT_TOO_LARGE Function name too large");
    expect(worker.closed).toBe(true);
  },

  maxTraceLinks: () => {
    const server = new TestServer({ limits: { maxTraceLinks: 2 } });
    const [client, worker] = [server.connectDrover(), server.connectDrover()];
    const [first, ...others] = ["a", "b", "c", "d"].map(
      (digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`,
    );
    const handle = client.submitWith("f", "u", { traceparent: first! });
    for (const traceparent of others) client.send("SUBMIT_JOB_EXT", ["f", "u", `traceparent=${traceparent}`]);
    worker.send("CAN_DO", ["f"]);
    worker.send("GRAB_JOB_ALL");
    worker.expect(
      `JOB_ASSIGN_EXT ${handle} f u attempt=1&traceparent=${first}&links=${others.slice(0, 2).join("%2C")} w`,
    );
  },

  maxUniqueBytes: () => {
    const server = new TestServer({ limits: { maxUniqueBytes: 5 } });
    const client = server.connect();
    client.submit("f", "12345");
    client.send("SUBMIT_JOB", ["f", "123456"]);
    client.expect("ERROR ARGUMENT_TOO_LARGE Unique value too large");
    expect(client.closed).toBe(false);
  },

  maxClientIdBytes: () => {
    const server = new TestServer({ limits: { maxClientIdBytes: 5 } });
    const client = server.connect();
    client.send("SET_CLIENT_ID", ["123456789"]);
    expect(client.admin("workers")).toEqual(["1 10.0.0.1 12345 :", "."]);
  },

  maxFunctions: () => {
    const server = new TestServer({ limits: { maxFunctions: 1 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "u");
    client.send("SUBMIT_JOB", ["g", "u"]);
    client.expect("ERROR QUEUE_ERROR Too many functions");
    expect(client.admin("create function g")).toEqual(["ERR QUEUE_ERROR Too+many+functions"]);
    worker.send("CAN_DO", ["g"]);
    worker.expect("ERROR QUEUE_ERROR Too many functions");
    expect(worker.closed).toBe(true);
    expect(server.state.functions.size).toBe(1);
  },

  maxAbilities: () => {
    const server = new TestServer({ limits: { maxAbilities: 2 } });
    const worker = server.worker("f", "g");
    worker.send("CAN_DO_TIMEOUT", ["g", "100"]);
    worker.expect();
    worker.send("CAN_DO", ["h"]);
    worker.expect("ERROR QUEUE_ERROR Too many functions");
    expect(worker.closed).toBe(true);
  },

  maxJobs: () => {
    const server = new TestServer({ limits: { maxJobs: 1 } });
    const [client, worker] = [server.connect(), server.worker("f", "g")];
    const handle = client.submit("f", "u");
    expect(client.submit("f", "u")).toBe(handle);
    expect(() => client.submit("g", "u")).toThrow("QUEUE_ERROR Job queue is full");
    worker.complete(worker.grab().handle);
    client.submit("g", "u");
    expect(server.notes).toMatchObject([{ code: "LIMIT_REACHED", limit: "maxJobs" }]);
  },

  maxSubmissions: () => {
    const server = new TestServer({ limits: { maxSubmissions: 2 } });
    const [client, other] = [server.connect(), server.connect()];
    client.submit("f", "u");
    client.submit("f", "u");
    expect(() => other.submit("f", "u")).toThrow("QUEUE_ERROR Too many submissions are waiting");
    other.background("f", "u");
    client.disconnect();
    other.submit("f", "u");
  },

  maxWorkloadBytes: () => {
    const server = new TestServer({ limits: { maxWorkloadBytes: 10 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    client.submit("f", "a", "12345");
    client.submit("f", "b", "12345");
    expect(() => client.submit("f", "c", "1")).toThrow("QUEUE_ERROR Job queue is full");
    client.submit("f", "d", "");
    worker.complete(worker.grab().handle);
    client.submit("f", "e", "12345");
  },

  replayLimitBytes: () => {
    const packetBytes = encodePacket(REQ, PacketType.WORK_DATA, ["H:1"], new Uint8Array(10)).length;
    const server = new TestServer({ limits: { replayLimitBytes: 2 * packetBytes } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    for (let i = 0; i < 2; i++) worker.data(handle, "x".repeat(10));
    expect(server.state.replayBytes).toBe(2 * packetBytes);
    expect(server.connect().submit("f", "u")).toBe(handle);
    worker.data(handle, "");
    expect(server.state.replayBytes).toBe(0);
    expect(server.connect().submit("f", "u")).not.toBe(handle);
  },

  replayTotalBytes: () => {
    const packetBytes = encodePacket(REQ, PacketType.WORK_DATA, ["H:1"], new Uint8Array(50)).length;
    const server = new TestServer({ limits: { replayTotalBytes: 2 * packetBytes } });
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const unique of ["a", "b", "c"]) {
      client.submit("f", unique);
      worker.data(worker.grab().handle, "x".repeat(50));
    }
    expect(server.state.replayBytes).toBe(2 * packetBytes);
    const late = server.connect();
    expect([late.submit("f", "a"), late.submit("f", "b")]).toEqual(["H:1", "H:2"]);
    expect(late.submit("f", "c")).not.toBe("H:3");
  },

  lingerTotalBytes: () => {
    const server = new TestServer({ limits: { lingerTotalBytes: 100 }, settings: { lingerMs: 10_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    for (const unique of ["a", "b", "c"]) {
      client.submit("f", unique);
      worker.complete(worker.grab().handle, "x".repeat(20));
    }
    expect(server.state.lingering.size).toBe(2);
    expect(client.submit("f", "c")).toBe("H:3");
    expect(client.submit("f", "a")).toBe("H:4");
  },

  backlogBytes: () => {
    const server = new TestServer({ limits: { backlogBytes: 1_000, pauseBytes: 1_000 } });
    const [client, worker] = [server.connect(), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    client.reading = false;
    worker.data(handle, "x".repeat(1_000 - 16));
    worker.data(handle, "x");
    expect(client.closed).toBe(false);
    worker.data(handle, "x");
    expect(client.closed).toBe(true);
  },

  pauseBytes: () => {
    const server = new TestServer({ limits: { pauseBytes: 100 } });
    const client = server.connect();
    client.reading = false;
    client.send("ECHO_REQ", [], "x".repeat(88));
    expect(client.peer).toMatchObject({ backlogBytes: 100, stalled: false });
    client.send("ECHO_REQ", [], "answered");
    expect(client.peer.stalled).toBe(true);
    client.send("ECHO_REQ", [], "waits");
    expect(client.peer.backlogBytes).toBe(100 + 20);
    client.read();
    expect(client.got().slice(1)).toEqual(["ECHO_RES answered", "ECHO_RES waits"]);
  },

  unfinishedMs: () => {
    const server = new TestServer({ limits: { unfinishedMs: 50 } });
    const client = server.connect();
    client.bytes(Uint8Array.of(0, 0x52));
    server.pass(49);
    expect(client.closed).toBe(false);
    server.pass(1);
    expect(client.closed).toBe(true);
  },

  authenticateMs: () => {
    const server = new TestServer({ limits: { authenticateMs: 1000 } });
    const stranger = server.connect("10.0.0.1", STRANGER);
    server.pass(999);
    expect(stranger.closed).toBe(false);
    server.pass(1);
    expect(stranger.closed).toBe(true);
  },

  strangerPacketBytes: () => {
    const server = new TestServer({ limits: { strangerPacketBytes: 100 } });
    const stranger = server.connect("10.0.0.1", STRANGER);
    stranger.send("ECHO_REQ", [], "x".repeat(100));
    expect(stranger.got()).toHaveLength(1);
    stranger.send("ECHO_REQ", [], "x".repeat(101));
    stranger.expect("ERROR ARGUMENT_TOO_LARGE Packet is too large");
    expect(stranger.closed).toBe(true);
  },

  wakeGraceMs: () => {
    const server = new TestServer({ limits: { wakeGraceMs: 20 } });
    const [client, first, second] = [server.connect(), server.worker("f"), server.worker("f")];
    first.sleep();
    second.sleep();
    client.submit("f", "u");
    server.pass(19);
    second.expect();
    server.pass(1);
    second.expect("NOOP");
  },

  maxDeadLetters: () => {
    const server = new TestServer({ limits: { maxDeadLetters: 2 }, settings: { maxAttempts: 1 } });
    const client = server.connect();
    for (const unique of ["a", "b", "c"]) {
      client.background("f", unique);
      const worker = server.worker("f");
      worker.grab();
      worker.disconnect();
    }
    expect(client.admin("deadletters").map((row) => row.split("\t")[0])).toEqual(["H:2", "H:3", "."]);
    expect(server.noteCodes.filter((code) => code === "DEAD_LETTER_EVICTED")).toHaveLength(1);
  },

  deadLetterBytes: () => {
    const server = new TestServer({ limits: { deadLetterBytes: 10 }, settings: { maxAttempts: 1 } });
    const client = server.connect();
    for (const workload of ["123456", "123456", "12345678901"]) {
      client.background("f", "", workload);
      const worker = server.worker("f");
      worker.grab();
      worker.disconnect();
    }
    // The second pushed the first out, the third all of them and, too large by itself, itself.
    expect(server.state.deadLetters.size).toBe(0);
    expect(server.noteCodes.filter((code) => code === "DEAD_LETTER_EVICTED")).toHaveLength(3);
  },

  outcomeMs: () => {
    const server = new TestServer({ limits: { outcomeMs: 100 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    const handle = client.background("f", "u");
    worker.complete(worker.grab().handle);
    const ask = () => {
      client.send("GET_OUTCOME", [handle, ""]);
      return client.got()[0]!.split(" ");
    };
    server.pass(99);
    expect(ask()).toContain("done");
    server.pass(1);
    expect(ask()).toContain("unknown");
    expect(server.state.outcomes.size).toBe(0);
  },

  maxOutcomes: () => {
    const server = new TestServer({ limits: { maxOutcomes: 2 } });
    const [client, worker] = [server.connectDrover(), server.worker("f")];
    for (const unique of ["a", "b", "c"]) {
      client.background("f", unique);
      worker.complete(worker.grab().handle);
    }
    for (const unique of ["a", "b", "c"]) client.send("GET_OUTCOME", ["f", unique]);
    expect(client.got().map((answer) => answer.includes(" done "))).toEqual([false, true, true]);
  },

  idleFunctionMs: () => {
    const server = new TestServer({ limits: { idleFunctionMs: 100 } });
    const worker = server.worker("f");
    server.pass(1_000);
    worker.disconnect();
    server.pass(99);
    expect(server.state.functions.size).toBe(1);
    server.pass(1);
    expect(server.state.functions.size).toBe(0);
  },

  maxForwarded: () => {
    const server = new TestServer({ limits: { maxForwarded: 2 } });
    const stage = new FleetStage(server, ["b", "self"]);
    stage.tell((fleet) => fleet.up("b"));
    const client = server.connect();
    client.submit("f", "1");
    const first = stage.last.id;
    client.send("SUBMIT_JOB_BG", ["f", "2"], "w");
    client.send("SUBMIT_JOB_BG", ["f", "3"], "w");
    stage.tell((fleet) => fleet.created(stage.last.id, "H:b:1"));
    client.expect("JOB_CREATED H:2", "ERROR QUEUE_ERROR Too many submissions are being forwarded");
    // An acknowledged one counts no more; joining one that is away, and one without a unique, cost nothing.
    client.submit("f", "3");
    expect(() => client.submit("f", "4")).toThrow("QUEUE_ERROR");
    client.submit("f", "3");
    client.submit("f", "");
    expect(server.notes.filter(({ code }) => code === "LIMIT_REACHED")).toMatchObject([
      { limit: "maxForwarded", fn: "f" },
      { limit: "maxForwarded", fn: "f" },
    ]);
    stage.tell((fleet) => fleet.complete(first, new Uint8Array(0)));
    client.submit("f", "4");
  },

  maxReroutes: () => {
    const server = new TestServer({ limits: { maxReroutes: 1 } });
    const stage = new FleetStage(server, ["b", "c", "d", "self"]);
    stage.tell((fleet) => {
      for (const name of ["b", "c", "d"]) fleet.up(name);
    });
    const client = server.connect();
    const handle = client.submit("f", "1");
    client.send("SUBMIT_JOB_BG", ["f", "2"], "w");
    stage.nothingHeld();
    stage.tell((fleet) => fleet.down("b"));
    expect(stage.nothingHeld()).toEqual(["b", "b", "c", "c"]);
    client.expect();
    stage.tell((fleet) => fleet.down("c"));
    client.expect(`WORK_FAIL ${handle}`, "ERROR QUEUE_ERROR The servers that were to run it were lost");
    expect(stage.nothingHeld()).toHaveLength(4);
    expect(server.noteCodes).toContain("FORWARD_REFUSED");
    expect([stage.fleet.size, server.state.jobs.size]).toEqual([0, 0]);
  },

  maxFunctionMetrics: () => {
    const server = new TestServer({ limits: { maxFunctionMetrics: 1, idleFunctionMs: 100 } });
    const client = server.connect();
    for (const name of ["f", "g", "h"]) client.submit(name, "u");
    const { functions, ownTimes } = server.state;
    expect([...functions.values()].map((fn) => ownTimes.functions.has(fn))).toEqual([true, false, false]);
    expect(functions.get("g")!.times).toBe(functions.get("h")!.times);
    client.disconnect();
    server.pass(100);
    expect(functions.size).toBe(0);
    // The place of a function that is forgotten is free again.
    server.connect().submit("i", "u");
    expect(ownTimes.functions.has(functions.get("i")!)).toBe(true);
  },
};

describe("limits", () => {
  it.each(Object.keys(DEFAULT_LIMITS) as (keyof Limits)[])("%s", (name) => {
    expect(TESTS[name], `no test for ${name}`).toBeDefined();
    TESTS[name]();
  });
});
