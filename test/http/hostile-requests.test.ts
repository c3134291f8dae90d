import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";
import { closedByServer, FrameType, frame, frameTypes, PREFACE, rawAnswer, rawTo } from "./raw.ts";
import { type Stage, stage } from "./stage.ts";

/* Requests that no honest client sends: each gets an answer or an end, and the server goes on for everybody else. */

const HEAD = "POST /v1/functions/f/jobs HTTP/1.1\r\nHost: localhost\r\n";
/** What follows in the same bytes must not be taken for a request of its own. */
const SMUGGLED = "POST /v1/functions/smuggled/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

const statusesIn = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);

async function isServed({ url }: Stage): Promise<void> {
  expect((await fetch(`${url}/openapi.json`)).status).toBe(200);
}

describe("where a body ends is never a matter of opinion", () => {
  it.each([
    ["two lengths", `${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ["a length and chunks", `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["chunks and a length", `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`],
    ["an unknown coding", `${HEAD}Transfer-Encoding: chunked, nonsense\r\n\r\n0\r\n\r\n`],
    ["a coding with a space before the colon", `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ["a negative length", `${HEAD}Content-Length: -1\r\n\r\n`],
    ["a length that is no number", `${HEAD}Content-Length: 5, 5\r\n\r\nhello`],
    ["a length in hexadecimal", `${HEAD}Content-Length: 0x5\r\n\r\nhello`],
    ["a chunk size that is none", `${HEAD}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`],
    ["a header line without a carriage return", `${HEAD}X: y\nContent-Length: 0\r\n\r\n`],
    ["a folded header", `${HEAD}X: y\r\n z: w\r\nContent-Length: 0\r\n\r\n`],
  ])("%s: 400, and nothing behind it is read", async (_what, request) => {
    const staged = await stage();
    const answer = await rawAnswer(staged.url, request + SMUGGLED);
    expect(statusesIn(answer)).toEqual(["400"]);
    expect(staged.server.core.state.counts.submissions).toBe(0);
    await isServed(staged);
  });

  it("a length that is too long leaves the client waiting, and makes no job when it leaves", async () => {
    const staged = await stage();
    const socket = rawTo(staged.url);
    socket.end(`${HEAD}Content-Length: 1000\r\n\r\nshort`);
    await closedByServer(socket);
    expect(staged.server.core.state.counts.submissions).toBe(0);
    await isServed(staged);
  });

  it("a length that is too short ends the body there, and what follows is no request", async () => {
    const staged = await stage();
    staged.worker({ f: (job) => job.workload });
    const answer = await rawAnswer(staged.url, `${HEAD}Content-Length: 2\r\n\r\nokGARBAGE`);
    expect(statusesIn(answer).at(-1)).toBe("400");
    expect(staged.server.core.state.counts.submissions).toBeLessThanOrEqual(1);
    await isServed(staged);
  });

  it("over HTTP/2 a length that the body does not have is refused", async () => {
    const staged = await stage();
    for (const [length, body] of [
      ["1000", "short"],
      ["2", "much longer"],
    ] as const) {
      const session = http2.connect(new URL(staged.url).origin);
      onTestFinished(() => session.destroy());
      session.on("error", () => {});
      const headers = { ":method": "POST", ":path": "/v1/functions/f/jobs", "content-length": length };
      const stream = session.request(headers);
      stream.on("error", () => {});
      let status: number | undefined;
      stream.on("response", (response) => {
        status = response[":status"];
      });
      const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
      stream.end(body);
      await closed;
      expect([undefined, 400]).toContain(status);
    }
    expect(staged.server.core.state.counts.submissions).toBe(0);
    await isServed(staged);
  });

  it("a body without a length or a type is a workload all the same over HTTP/2", async () => {
    const { url, worker } = await stage();
    worker({ f: (job) => job.workload });
    const session = http2.connect(new URL(url).origin);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    stream.write("two ");
    stream.end("parts");
    expect(await text(stream)).toBe("two parts");
  });
});

describe("header fields", () => {
  it("that are too large are refused with 431", async () => {
    const staged = await stage();
    const answer = await rawAnswer(staged.url, `${HEAD}X: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(statusesIn(answer)).toEqual(["431"]);
    await isServed(staged);
  });

  it.each([
    ["too large, as one that the server has not named its limit to yet", { x: "y".repeat(20_000) }, [431]],
    ["too many", Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x-${at}`, "y"])), [undefined]],
  ])("that are %s are refused over HTTP/2", async (_what, headers, statuses) => {
    const staged = await stage();
    const session = http2.connect(new URL(staged.url).origin, { maxSendHeaderBlockLength: 1_000_000 });
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({ ...headers, ":path": "/v1/openapi.json" });
    stream.on("error", () => {});
    let status: number | undefined;
    stream.on("response", (response) => {
      status = response[":status"];
    });
    stream.resume();
    await new Promise<void>((resolve) => stream.once("close", () => resolve()));
    expect(statuses).toContain(status);
    await isServed(staged);
  });

  it.each([
    ["a function's name", "/v1/functions/f%0d%0aSet-Cookie:%20stolen=1/jobs", {}],
    ["a unique", "/v1/functions/f/jobs", { "gearman-unique": ":DQpTZXQtQ29va2llOiBzdG9sZW49MQ==:" }],
    ["a handle", "/v1/jobs/H:x%0d%0aSet-Cookie:%20stolen=1", {}],
    ["a path", "/v1/nothing%0d%0aSet-Cookie:%20stolen=1", {}],
  ])("of an answer have no line of their own from %s", async (_what, path, headers) => {
    const { url, worker } = await stage();
    worker({ "f\r\nSet-Cookie: stolen=1": () => Buffer.from("") });
    for (const prefer of ["respond-async", "wait=0"]) {
      const answer = await fetch(new URL(path, url), {
        method: path.startsWith("/v1/functions") ? "POST" : "GET",
        headers: { ...headers, prefer },
      });
      expect(answer.headers.get("set-cookie")).toBeNull();
      const location = answer.headers.get("location");
      if (location !== null) expect(location).toMatch(/^\/v1\/jobs\/[\w%.-]+$/);
      await answer.arrayBuffer();
    }
  });

  it("with a compressed body's name do not have it inflated: bytes are bytes", async () => {
    const { url, worker } = await stage();
    worker({ f: (job) => job.workload });
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const answer = await fetch(`${url}/functions/f/jobs`, {
      method: "POST",
      body: bomb,
      headers: { "content-encoding": "gzip" },
    });
    expect(answer.headers.get("content-encoding")).toBeNull();
    expect(Buffer.from(await answer.arrayBuffer()).equals(bomb)).toBe(true);
  });
});

describe("paths", () => {
  it.each([
    ["/v1/functions/%2e%2e%2f%2e%2e%2fetc/jobs", 202],
    ["/v1/functions/../../etc/passwd", 404],
    ["/v1/functions/%2e%2e/%2e%2e/etc/passwd", 404],
    ["/v1/functions/a%00b/jobs", 400],
    ["/v1/functions/%zz/jobs", 400],
    ["/v1/functions/%ff/jobs", 400],
    ['/v1/functions/%"injected"%/jobs', 400],
    ["//[", 404],
    ["http://[", 400],
    ["*", 404],
  ])("%s is %s, with a problem that is JSON", async (path, status) => {
    const staged = await stage();
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nPrefer: respond-async\r\n`;
    const answer = await rawAnswer(staged.url, `${head}Content-Length: 0\r\nConnection: close\r\n\r\n`);
    expect(statusesIn(answer)).toEqual([String(status)]);
    const body = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as Record<string, unknown>;
    if (status !== 202) {
      expect(answer).toContain("application/problem+json");
      expect(body).toMatchObject({ status, type: expect.stringMatching(/^\/v1\/problems\//) });
    }
    await isServed(staged);
  });

  it("that are too long are refused with a problem", async () => {
    const { url } = await stage();
    const answer = await fetch(`${url}/functions/${"a".repeat(5_000)}/jobs`, { method: "POST" });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ type: "/v1/problems/bad-request" });
  });

  it.each(["//[", "http://[", "/v1/ws%zz", "*", "/v1/ws/../ws"])(
    "%s asked for as a WebSocket is refused",
    async (path) => {
      const staged = await stage();
      const answer = await rawAnswer(
        staged.url,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
          "Sec-WebSocket-Protocol: gearman\r\n\r\n",
      );
      expect(statusesIn(answer)).toEqual(["404"]);
      await isServed(staged);
    },
  );

  it("an upgrade to what is not offered is ignored, as HTTP says", async () => {
    const { url, worker } = await stage();
    worker({ f: (job) => job.workload });
    const answer = await rawAnswer(
      url,
      `${HEAD}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n` +
        "Content-Length: 2\r\n\r\nok",
    );
    expect(statusesIn(answer)).toEqual(["200"]);
    expect(answer).toMatch(/ok$/);
  });
});

describe("a page of another site, or a foreign name for this machine, gets 403", () => {
  const UPGRADE =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: gearman\r\n\r\n";

  it.each([
    ["Host: localhost\r\nOrigin: https://evil.example\r\n"],
    ["Host: localhost\r\nOrigin: null\r\n"],
    ["Host: evil.example\r\nOrigin: http://evil.example\r\n"],
    ["Host: evil.example:4780\r\n"],
    ["Host: localhost.evil.example\r\n"],
    ["Host: 127.0.0.1.evil.example\r\n"],
  ])("as a request and as a WebSocket: %j", async (fields) => {
    const { url, server } = await stage();
    const head = `POST /v1/functions/f/jobs HTTP/1.1\r\n${fields}Connection: close\r\nContent-Length: 0\r\n\r\n`;
    expect(statusesIn(await rawAnswer(url, head))).toEqual(["403"]);
    expect(statusesIn(await rawAnswer(url, `GET /v1/ws HTTP/1.1\r\n${fields}${UPGRADE}`))).toEqual(["403"]);
    expect(server.core.state.counts.submissions).toBe(0);
  });

  it.each([
    { ":authority": "evil.example" },
    { ":authority": "localhost", origin: "https://evil.example" },
    { ":authority": "localhost", "sec-fetch-site": "cross-site" },
  ])("over HTTP/2: %j", async (fields) => {
    const { url } = await stage();
    const session = http2.connect(new URL(url).origin);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ...fields, ":path": "/v1/functions" });
    stream.resume();
    const status = await new Promise((resolve) => stream.on("response", (head) => resolve(head[":status"])));
    expect(status).toBe(403);
  });

  it("a WebSocket is not compressed, though it was offered", async () => {
    const { url } = await stage();
    const fields = "Host: localhost\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    const close = "\x88\x80\0\0\0\0";
    const answer = await rawAnswer(
      url,
      Buffer.from(`GET /v1/ws HTTP/1.1\r\n${fields}${UPGRADE}${close}`, "latin1"),
    );
    expect(statusesIn(answer)).toEqual(["101"]);
    expect(answer.toLowerCase()).not.toContain("sec-websocket-extensions");
  });
});

it("names of Object's own members change nothing, wherever they stand", async () => {
  const { url, server, worker } = await stage();
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(url + path, { method: "POST", body, headers });
  for (const name of ["__proto__", "constructor", "hasOwnProperty", "toString"]) {
    worker({ [name]: (job) => job.workload });
    expect((await post(`/functions/${name}/jobs?__proto__[x]=1&${name}=1`, "w")).status).toBe(200);
    expect((await fetch(`${url}/functions/${name}`)).status).toBe(200);
  }
  await post("/functions/f/jobs", "w", { prefer: "respond-async" });
  const { lease } = (await (await post("/grab?function=f", "")).json()) as { lease: string };
  const polluted =
    '{"report":"status","numerator":1,"denominator":2,"__proto__":{"polluted":1},"constructor":{}}';
  expect((await post(`/leases/${lease}`, polluted)).status).toBe(204);
  expect((await post("/leases/__proto__/complete", "")).status).toBe(410);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
  expect(server.core.state.running).toBe(1);
});

describe("floods over HTTP/2", () => {
  it("a thousand and more quick resets end their session, and a bystander is served", async () => {
    const staged = await stage();
    staged.worker({ f: (job) => job.workload });
    const bystander = http2.connect(new URL(staged.url).origin);
    const rude = http2.connect(new URL(staged.url).origin);
    onTestFinished(() => {
      bystander.destroy();
      rude.destroy();
    });
    let goAway: number | undefined;
    rude.on("goaway", (code) => {
      goAway = code;
    });
    rude.on("error", () => {});
    for (let count = 0; count < 50_000 && !rude.destroyed && goAway === undefined; count++) {
      const stream = rude.request({ ":method": "POST", ":path": "/v1/functions/waits/jobs" });
      stream.on("error", () => {});
      stream.end("w");
      stream.close(http2.constants.NGHTTP2_CANCEL);
      if (count % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    await until("the session was told to go", 10_000, () => goAway !== undefined);
    const stream = bystander.request({ ":method": "POST", ":path": "/v1/functions/f/jobs" });
    stream.end("served");
    expect(await text(stream)).toBe("served");
    await until("no job of it is left", 5_000, () => staged.server.core.state.jobs.size === 0);
  });

  it.each([
    ["pings that are not taken back", frame(FrameType.PING, 0, 0, Buffer.alloc(8))],
    ["settings", frame(FrameType.SETTINGS, 0, 0)],
  ])("%s without end end their session", async (_what, one) => {
    const staged = await stage();
    const socket = rawTo(staged.url);
    socket.pause();
    socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]));
    const burst = Buffer.concat(Array.from({ length: 2_000 }, () => one));
    let isReset = false;
    socket.on("error", () => {
      isReset = true;
    });
    await until("the server has had enough", 20_000, async () => {
      if (!isReset) await new Promise((resolve) => setTimeout(resolve, 500, socket.write(burst, resolve)));
      return isReset || socket.destroyed;
    });
    await isServed(staged);
  });

  it("a header without end ends its session", async () => {
    const staged = await stage();
    const socket = rawTo(staged.url);
    let got = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
    });
    socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0), frame(FrameType.HEADERS, 0, 1)]));
    const piece = frame(FrameType.CONTINUATION, 0, 1, Buffer.from("\u0000\u0001x\u0001y"));
    for (let count = 0; count < 100; count++) socket.write(piece);
    await closedByServer(socket);
    expect(frameTypes(got)).toContain(FrameType.GOAWAY);
    await isServed(staged);
  });
});
