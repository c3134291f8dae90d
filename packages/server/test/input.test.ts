import { bytesOf, encodePacket, PacketType, REQ, RES } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TestServer } from "./harness.ts";

/* What comes in: cut anywhere, malformed, malicious; and peers that do not read. */

function header(magic: string, type: number, size: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes.set(bytesOf(magic));
  new DataView(bytes.buffer).setUint32(4, type);
  new DataView(bytes.buffer).setUint32(8, size);
  return bytes;
}

describe("bytes", () => {
  it("may be cut anywhere and mean the same", () => {
    const submit = encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("workload"));
    const echo = encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("e"));
    const bytes = Uint8Array.from([...submit, ...bytesOf("status\r\n"), ...echo]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
        const client = new TestServer().connect();
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        for (let i = 1; i < places.length; i++) client.bytes(bytes.slice(places[i - 1], places[i]));
        client.expect("JOB_CREATED H:1", "f\t1\t0\t0", ".", "ECHO_RES e");
      }),
    );
  });

  it("of a connection that is closed are not looked at", () => {
    const server = new TestServer();
    const client = server.connect();
    const submit = encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("w"));
    client.together(header("\0REQ", 77, 0), submit);
    expect(client.closed).toBe(true);
    expect(server.state.jobs.size).toBe(0);
  });
});

describe("malformed input is answered or closed", () => {
  it.each([
    ["an unknown packet type", header("\0REQ", 77, 0), ["ERROR INVALID_COMMAND Command not expected"]],
    ["a magic that is none", bytesOf("\0BAD........"), []],
    [
      "a size beyond the largest packet, from its header alone",
      header("\0REQ", 7, 70_000_000),
      ["ERROR ARGUMENT_TOO_LARGE Packet is too large"],
    ],
    [
      "a packet whose arguments do not fit into its size",
      Uint8Array.from([...header("\0REQ", 7, 2), ...bytesOf("ab")]),
      ["ERROR INVALID_ARGUMENT SUBMIT_JOB lacks an argument"],
    ],
    ["an HTTP request", bytesOf("POST /status HTTP/1.1\r\n"), []],
    ["a Host header", bytesOf("Host: localhost\r\n"), []],
    ["too many words", bytesOf("a b c d e f g h i j\n"), []],
  ])("%s", (_, bytes, answer) => {
    const server = new TestServer();
    const client = server.connect();
    client.bytes(bytes);
    expect(client.got()).toEqual(answer);
    expect(client.closed).toBe(true);
    expect(server.noteCodes).toEqual(["PROTOCOL_VIOLATION"]);
  });

  it.each([
    [
      "the magic of an answer",
      encodePacket(RES, PacketType.NO_JOB),
      "ERROR INVALID_MAGIC Request magic expected",
    ],
    [
      "a packet that only the server sends",
      encodePacket(REQ, PacketType.NOOP),
      "ERROR INVALID_COMMAND Command not expected",
    ],
    ["ALL_YOURS", encodePacket(REQ, PacketType.ALL_YOURS), "ERROR INVALID_COMMAND Command not expected"],
    [
      "a report on a job that is none",
      encodePacket(REQ, PacketType.WORK_FAIL, ["H:77"]),
      "ERROR JOB_NOT_FOUND Job given in work result not found",
    ],
  ])("%s is answered, and the connection stays", (_, bytes, answer) => {
    const client = new TestServer().connect();
    client.bytes(bytes);
    client.expect(answer);
    client.send("ECHO_REQ", [], "still there");
    client.expect("ECHO_RES still there");
  });

  it("any bytes at all leave the server in order", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (chunks) => {
        const server = new TestServer();
        const [bystander, nonsense] = [server.connect(), server.connect()];
        for (const chunk of chunks) if (!nonsense.closed) nonsense.bytes(chunk);
        bystander.send("ECHO_REQ", [], "e");
        bystander.expect("ECHO_RES e");
        if (!nonsense.closed) nonsense.disconnect();
        expect(server.state.peers.size).toBe(1);
      }),
    );
  });

  it("a report on somebody else's job reaches nobody", () => {
    const server = new TestServer();
    const [client, worker, forger] = [server.connect(), server.worker("f"), server.worker("f")];
    const handle = client.submit("f", "u");
    worker.grab();
    forger.complete(handle, "forged");
    forger.expect("ERROR JOB_NOT_FOUND Job given in work result not found");
    client.expect();
    worker.complete(handle, "true");
    client.expect(`WORK_COMPLETE ${handle} true`);
  });
});

describe("an unfinished packet", () => {
  const half = encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("half")).subarray(0, 14);

  it("that gets no byte for 30 s closes its connection", () => {
    const server = new TestServer();
    const client = server.connect();
    client.bytes(half);
    server.pass(29_999);
    client.bytes(bytesOf("x"));
    server.pass(29_999);
    expect(client.closed).toBe(false);
    server.pass(1);
    expect(client.closed).toBe(true);
  });

  it("that is finished in time closes nothing, and idle connections stay for ever", () => {
    const server = new TestServer();
    const [client, idle] = [server.connect(), server.connect()];
    client.bytes(half);
    client.bytes(bytesOf("lf"));
    server.pass(1_000_000_000);
    expect(client.closed || idle.closed).toBe(false);
  });

  it("is not held against a connection whose requests the server itself has paused", () => {
    const server = new TestServer({ limits: { pauseBytes: 10 } });
    const client = server.connect();
    client.bytes(half);
    client.reading = false;
    const echo = encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("whole"));
    client.together(bytesOf("lf"), echo, echo);
    expect(client.peer.stalled).toBe(true);
    server.pass(60_000);
    expect(client.closed).toBe(false);
    client.read();
    client.read();
    client.expect("ECHO_RES half", "ECHO_RES whole", "ECHO_RES whole");
  });
});

describe("a connection that does not read", () => {
  it("has its own requests wait until it has read, and loses none", () => {
    const server = new TestServer({ limits: { pauseBytes: 100 } });
    const client = server.connect();
    client.reading = false;
    for (let i = 0; i < 20; i++) client.send("ECHO_REQ", [], `echo ${i}`);
    expect(client.peer.backlogBytes).toBeLessThan(200);
    const got: string[] = [];
    for (let turn = 0; turn < 20; turn++) {
      client.read();
      client.reading = turn % 2 === 1;
      got.push(...client.got());
    }
    client.read();
    got.push(...client.got());
    expect(got).toEqual(Array.from({ length: 20 }, (_, i) => `ECHO_RES echo ${i}`));
  });

  it("gets of the statuses between two reports of a job only the newest, and every other report", () => {
    const server = new TestServer({ limits: { pauseBytes: 100 } });
    const [slow, quick, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = slow.submit("f", "u");
    quick.submit("f", "u");
    worker.grab();
    slow.reading = false;
    worker.data(handle, "x".repeat(100));
    for (let i = 1; i <= 5; i++) worker.status(handle, i);
    worker.data(handle, "last");
    worker.status(handle, 6);
    worker.status(handle, 7);
    slow.read();
    expect(slow.got().slice(1)).toEqual([
      `WORK_STATUS ${handle} 5 10`,
      `WORK_DATA ${handle} last`,
      `WORK_STATUS ${handle} 7 10`,
    ]);
    expect(quick.got()).toHaveLength(9);
  });

  it("gets no status twice, when it has read in between without the server being told", () => {
    const server = new TestServer({ limits: { pauseBytes: 100 } });
    const [slow, worker] = [server.connect(), server.worker("f")];
    const handle = slow.submit("f", "u");
    worker.grab();
    slow.reading = false;
    worker.data(handle, "x".repeat(100));
    worker.status(handle, 1);
    slow.peer.unsentBytes = 0;
    worker.status(handle, 2);
    slow.read();
    expect(slow.got().slice(1)).toEqual([`WORK_STATUS ${handle} 2 10`]);
  });

  it("is closed when its backlog has exceeded the limit before a report is added, which is noted", () => {
    const server = new TestServer({ limits: { backlogBytes: 1_000, pauseBytes: 500 } });
    const [slow, quick, worker] = [server.connect(), server.connect(), server.worker("f")];
    const handle = slow.submit("f", "u");
    quick.submit("f", "u");
    worker.grab();
    slow.reading = false;
    worker.data(handle, "x".repeat(2_000));
    expect(slow.closed).toBe(false);
    worker.data(handle, "one more");
    expect(slow.closed).toBe(true);
    // It does not read, so nobody waits for it to have read its backlog.
    expect(slow.peer.abrupt).toBe(true);
    expect(server.noteCodes).toEqual(["SLOW_READER"]);
    worker.complete(handle, "r");
    expect(quick.got()).toHaveLength(3);
  });

  it("shares the bytes of one report with all others", () => {
    const server = new TestServer();
    const worker = server.worker("f");
    const clients = [1, 2, 3].map(() => server.connect());
    for (const client of clients) client.submit("f", "u");
    const { handle } = worker.grab();
    const chunks: Uint8Array[] = [];
    for (const client of clients) {
      client.flush = () => {
        chunks.push(...client.peer.out.take());
        client.peer.out.abandon();
      };
    }
    worker.data(handle, "x".repeat(20_000));
    expect(chunks).toHaveLength(3);
    expect(new Set(chunks).size).toBe(1);
  });

  it("is not read on after a bad packet among what had waited", () => {
    const server = new TestServer({ limits: { pauseBytes: 10 } });
    const client = server.connect();
    client.reading = false;
    client.send("ECHO_REQ", [], "makes it wait");
    client.bytes(header("\0REQ", 77, 0));
    client.send("SUBMIT_JOB", ["f", "u"], "w");
    client.read();
    expect(client.closed).toBe(true);
    expect(server.state.jobs.size).toBe(0);
  });
});

describe("admin text", () => {
  it.each(["\n", "\r\n"])("answers alike whether a line ends in %j", (end) => {
    const client = new TestServer().connect();
    client.bytes(bytesOf(`create function name${end}status${end}`));
    client.expect("OK", "name\t0\t0\t0", ".");
  });

  it("answers several lines and packets in their order", () => {
    const client = new TestServer().connect();
    const echo = encodePacket(REQ, PacketType.ECHO_REQ, [], bytesOf("e"));
    client.together(bytesOf("version\n"), echo, bytesOf("getpid\nbogus\n"));
    client.expect("OK test", "ECHO_RES e", "OK 7", "ERR UNKNOWN_COMMAND Unknown+server+commandbogus");
  });

  it("ends the server only where that is allowed", () => {
    const careful = new TestServer();
    expect(careful.connect().admin("shutdown")).toEqual([
      "ERR UNKNOWN_COMMAND Unknown+server+commandshutdown",
    ]);
    expect(careful.state.shutdownRequested).toBeNull();
    const open = new TestServer({ allowShutdown: true });
    expect(open.connect().admin("shutdown graceful")).toEqual(["OK"]);
    expect(open.state.shutdownRequested).toBe("graceful");
  });

  it("escapes names in Drover's own listings", () => {
    const server = new TestServer();
    const client = server.connect();
    client.submit("f\x1b[2J", "u\n");
    expect(client.admin("jobs")[0]).toContain("\tf\\x1b[2J\tu\\x0a\tqueued\tnormal\t");
  });
});
