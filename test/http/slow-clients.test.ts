import { subscribe, unsubscribe } from "node:diagnostics_channel";
import http2 from "node:http2";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { TlsFiles } from "@drover/transport";
import { describe, expect, it, onTestFinished } from "vitest";
import { CertificateAuthority } from "../peers/certificates.ts";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { closedByServer, FrameType, frame, PREFACE, rawTo } from "./raw.ts";
import { type Stage, stage } from "./stage.ts";

/* Clients that are slow on purpose hold a connection only so long, and nobody else notices them. */

const SHORT = { headersTimeoutMs: 300, requestTimeoutMs: 600, idleTimeoutMs: 900 };

/** Sends a byte every so often until the server has had enough. */
function dribble(socket: { write(bytes: Buffer): boolean; destroyed: boolean }, byte = "a"): void {
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write(Buffer.from(byte));
  }, 50);
  onTestFinished(() => clearInterval(timer));
}

async function isServed({ url }: Stage): Promise<void> {
  expect((await fetch(`${url}/openapi.json`)).status).toBe(200);
}

describe("over cleartext", () => {
  it("a connection that says nothing is closed", async () => {
    const staged = await stage({}, { limits: SHORT });
    await closedByServer(rawTo(staged.url));
    await isServed(staged);
  });

  it.each(["P", "PRI", "PRI * HTTP/2.0\r\n\r\nSM"])(
    "a connection that stops after %j, which may be either version, disturbs nobody and is closed",
    async (start) => {
      const staged = await stage({}, { limits: SHORT });
      const socket = rawTo(staged.url);
      socket.write(start);
      await isServed(staged);
      await closedByServer(socket);
    },
  );

  it("a preface that comes byte by byte begins a session all the same", async () => {
    const staged = await stage();
    const socket = rawTo(staged.url);
    let got = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
    });
    for (const byte of [...PREFACE, ...frame(FrameType.SETTINGS, 0, 0)]) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until("the server's settings came", 5_000, () => got[3] === FrameType.SETTINGS);
  });

  it("a header that comes byte by byte is given up", async () => {
    const staged = await stage({}, { limits: SHORT });
    const socket = rawTo(staged.url);
    socket.write("GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    dribble(socket);
    await isServed(staged);
    await closedByServer(socket);
  });

  it("a body that comes byte by byte is given up, and no job is made of it", async () => {
    const staged = await stage({}, { limits: SHORT });
    const socket = rawTo(staged.url);
    socket.write("POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    dribble(socket);
    await isServed(staged);
    await closedByServer(socket);
    expect(staged.server.core.state.counts.submissions).toBe(0);
  });

  it("chunks without an end are given up", async () => {
    const staged = await stage({}, { limits: SHORT });
    const socket = rawTo(staged.url);
    socket.write(
      "POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    dribble(socket, "1\r\na\r\n");
    await closedByServer(socket);
    expect(staged.server.core.state.counts.submissions).toBe(0);
  });

  it("a request that waits for its job is not taken for a slow one", async () => {
    const staged = await stage({}, { limits: { ...SHORT, idleTimeoutMs: 300 } });
    const session = http2.connect(new URL(staged.url).origin);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    stream.end("two");
    const second = text(stream);
    const first = fetch(`${staged.url}/functions/f/jobs`, { method: "POST", body: "one" });
    await until("both wait", 5_000, () => staged.server.core.state.submissionCount === 2);
    // Longer than any of the limits, which have run out for another one by then.
    await closedByServer(rawTo(staged.url));
    await closedByServer(rawTo(staged.url));
    await closedByServer(rawTo(staged.url));
    staged.worker({ f: (job) => job.workload });
    expect(await (await first).text()).toBe("one");
    expect(await second).toBe("two");
  });
});

describe("over HTTP/2", () => {
  it("a session without settings or streams is closed, though it pings", async () => {
    const staged = await stage({}, { limits: SHORT });
    const socket = rawTo(staged.url);
    socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]));
    const timer = setInterval(() => {
      if (!socket.destroyed) socket.write(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
    }, 50);
    onTestFinished(() => clearInterval(timer));
    await closedByServer(socket);
    await isServed(staged);
  });

  it("a stream whose body does not end is reset, and others of the session go on", async () => {
    const staged = await stage({}, { limits: SHORT });
    staged.worker({ f: (job) => job.workload });
    const session = http2.connect(new URL(staged.url).origin);
    onTestFinished(() => session.destroy());
    const slow = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    slow.on("error", () => {});
    dribble(slow);
    const code = new Promise((resolve) => slow.once("close", () => resolve(slow.rstCode)));
    expect(await code).toBe(http2.constants.NGHTTP2_CANCEL);
    expect(staged.server.core.state.counts.submissions).toBe(0);
    const quick = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    quick.end("quick");
    expect(await text(quick)).toBe("quick");
  });

  it("a session that never widens its window is ended with what it does not take", async () => {
    const staged = await stage({}, { limits: SHORT });
    staged.worker({ f: () => Buffer.alloc(1_000_000) });
    const session = http2.connect(new URL(staged.url).origin, { settings: { initialWindowSize: 0 } });
    const ended = new Promise<void>((resolve) => session.once("close", () => resolve()));
    session.on("error", () => {});
    const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    stream.on("error", () => {});
    stream.end("w");
    await ended;
  });
});

it("over HTTP/1.1 a client that takes nothing of its answer is cut", async () => {
  const staged = await stage({}, { limits: SHORT });
  staged.worker({ f: () => Buffer.alloc(32_000_000) });
  let serverEnd: Socket | undefined;
  const notice = (message: unknown): void => {
    serverEnd = (message as { socket: Socket }).socket;
  };
  subscribe("http.server.request.start", notice);
  onTestFinished(() => {
    unsubscribe("http.server.request.start", notice);
  });
  const socket = rawTo(staged.url);
  socket.pause();
  socket.write("POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  await until("the job is done", 5_000, () => staged.server.core.state.counts.completed === 1);
  await until("it was cut", 10_000, () => serverEnd?.destroyed);
});

describeWith(["openssl"], "over TLS", () => {
  it.each(["http/1.1", "h2"])("a request that comes byte by byte is given up: %s", async (version) => {
    const authority = await CertificateAuthority.create();
    onTestFinished(() => authority.dispose());
    const { files: pair } = await authority.issueForLocalhost();
    const files = await TlsFiles.load({ certificates: [pair] });
    const staged = await stage({}, { limits: SHORT, secure: { listen: ["127.0.0.1:0"], files } });
    const port = Number(new URL(`https://${staged.http.addresses[1]}`).port);
    const socket = tls.connect({
      host: "127.0.0.1",
      port,
      ca: authority.root.cert,
      ALPNProtocols: [version],
      servername: "localhost",
    });
    socket.on("error", () => {});
    onTestFinished(() => {
      socket.destroy();
    });
    socket.write(version === "h2" ? PREFACE : "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nX: ");
    if (version === "http/1.1") dribble(socket);
    await closedByServer(socket);
    await isServed(staged);
  });
});
