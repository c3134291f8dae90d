import { encodePacket, Found, PacketStream, PacketType, packetName, REQ } from "@drover/protocol";
import type { Connection, ConnectionHandlers } from "@drover/transport";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { JobServer, type JobServerOptions } from "../src/index.ts";

/* What is written in which turn of the event loop. */

/** A client's connection to a server in this process, which notes every write. */
class FakeConnection implements Connection {
  readonly peer = { transport: "memory", address: "test", port: 0 } as const;
  readonly unsentBytes = 0;
  /** Names of the packets of each write. */
  readonly writes: string[][] = [];
  /** Handles of the jobs it was given. */
  readonly handles: string[] = [];
  ended = false;
  handlers!: ConnectionHandlers;

  attach(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
  }
  send(chunks: readonly Uint8Array[]): boolean {
    const stream = new PacketStream({ maxBodyBytes: 50_000, maxLineBytes: 1_000 });
    const names: string[] = [];
    for (const chunk of chunks) {
      stream.push(chunk);
      while (stream.next() === Found.PACKET) {
        names.push(packetName(stream.type));
        if (stream.type === PacketType.JOB_ASSIGN) this.handles.push(stream.decode().args[0]!);
      }
    }
    if (!this.ended) this.writes.push(names);
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.ended = true;
  }
}

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const silent = () => {};

async function start(
  clients: number,
  options: Partial<JobServerOptions> = {},
): Promise<{ server: JobServer; connections: FakeConnection[] }> {
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const server = await JobServer.start({ listen: [], log, version: "test", ...options });
  const connections = Array.from({ length: clients }, () => new FakeConnection());
  cleanups.push(() => {
    for (const { handlers } of connections) handlers.close();
    return server.stop(0);
  });
  for (const connection of connections) server.accept(connection);
  return { server, connections };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const SUBMISSION = encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", ""]);
const ECHO = encodePacket(REQ, PacketType.ECHO_REQ);

describe("a busy turn", () => {
  it("leaves clients that wait for a job to the next ones for a while, and one write then carries all", async () => {
    const { connections } = await start(20);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    await turn();
    const late = connections.filter(({ writes }) => writes.length === 0);
    expect(late.length).toBeGreaterThan(10);
    let turns = 0;
    while (late[0]!.writes.length === 0) {
      for (const { handlers } of late) handlers.data(ECHO);
      await turn();
      turns++;
    }
    const all = ["JOB_CREATED", ...Array.from({ length: turns }, () => "ECHO_RES")];
    for (const { writes } of late) expect(writes).toEqual([all]);
  });

  it("does not leave much to the next one", async () => {
    const { connections } = await start(20);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    await turn();
    const late = connections.filter(({ writes }) => writes.length === 0);
    for (const { handlers } of late) {
      handlers.data(encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(20_000)));
    }
    await turn();
    for (const { writes } of late) expect(writes).toEqual([["JOB_CREATED", "ECHO_RES"]]);
  });

  it("leaves nothing to a next one when nobody comes", async () => {
    const { connections } = await start(20);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    await turn();
    await turn();
    for (const { writes } of connections) expect(writes).toEqual([["JOB_CREATED"]]);
  });

  it("leaves nothing to the next one when so many are to be written to that each write is full", async () => {
    const { connections } = await start(100);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    await turn();
    for (const { writes } of connections) expect(writes).toEqual([["JOB_CREATED"]]);
  });

  it("answers those that end in it", async () => {
    const { connections } = await start(20);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    // The first one was answered at once, in the quiet before.
    for (const { handlers } of connections.toReversed()) handlers.ended!();
    for (const { writes, ended } of connections) {
      expect(writes).toEqual([["JOB_CREATED"]]);
      expect(ended).toBe(true);
    }
  });

  it("is no reason to leave an answer unsent when the server stops", async () => {
    const { server, connections } = await start(20);
    for (const { handlers } of connections) handlers.data(SUBMISSION);
    const stopped = server.stop(0);
    await turn();
    for (const { handlers } of connections) handlers.close();
    await stopped;
    for (const { writes } of connections) expect(writes).toEqual([["JOB_CREATED"]]);
  });
});

describe("a turn in which little is written to many", () => {
  const CLIENTS = 100;
  const grab = encodePacket(REQ, PacketType.GRAB_JOB);
  const complete = (handle: string) => encodePacket(REQ, PacketType.WORK_COMPLETE, [handle]);

  /** Clients that all wait for both of two jobs, and the worker that has them. */
  async function herd(): Promise<{ clients: FakeConnection[]; worker: FakeConnection }> {
    const { connections } = await start(CLIENTS + 1, { handlePrefix: "H" });
    const [worker, ...clients] = connections as [FakeConnection, ...FakeConnection[]];
    for (const { handlers } of clients) {
      for (const unique of ["u1", "u2"]) {
        handlers.data(encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", unique]));
      }
    }
    worker.handlers.data(encodePacket(REQ, PacketType.CAN_DO, ["f"]));
    worker.handlers.data(grab);
    worker.handlers.data(grab);
    for (let i = 0; i < 4; i++) await turn();
    for (const { writes } of clients) writes.length = 0;
    return { clients, worker };
  }

  it("waits once for more, so that two reports are one write", async () => {
    const { clients, worker } = await herd();
    worker.handlers.data(complete(worker.handles[0]!));
    for (const { writes } of clients) expect(writes).toEqual([]);
    setImmediate(() => worker.handlers.data(complete(worker.handles[1]!)));
    for (let i = 0; i < 4; i++) await turn();
    for (const { writes } of clients) expect(writes).toEqual([["WORK_COMPLETE", "WORK_COMPLETE"]]);
  });

  it("does not wait longer than that", async () => {
    const { clients, worker } = await herd();
    worker.handlers.data(complete(worker.handles[0]!));
    await turn();
    await turn();
    for (const { writes } of clients) expect(writes).toEqual([["WORK_COMPLETE"]]);
  });
});

describe("a quiet turn", () => {
  it("answers at once", async () => {
    const { connections } = await start(1);
    await turn();
    connections[0]!.handlers.data(ECHO);
    expect(connections[0]!.writes).toEqual([["ECHO_RES"]]);
  });

  it.each([
    { busyPollUs: 60_000_000, sleeps: false },
    { busyPollUs: 0, sleeps: true },
  ])("is followed by sleep with busyPollUs $busyPollUs: $sleeps", async ({ busyPollUs, sleeps }) => {
    const { connections } = await start(1, { busyPollUs });
    await turn();
    connections[0]!.handlers.data(ECHO);
    await turn();
    const { idle } = performance.eventLoopUtilization();
    const hasSlept = () => performance.eventLoopUtilization().idle > idle;
    await new Promise((resolve) => setTimeout(resolve, 10));
    // What else the process does may fill ten milliseconds; a server that polled would fill the whole minute.
    if (sleeps) await until("the loop has slept", 5_000, hasSlept);
    expect(hasSlept()).toBe(sleeps);
  });
});
