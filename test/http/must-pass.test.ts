import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@drover/client";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { openStore } from "@drover/server";
import { dial, dialWebSocket } from "@drover/transport";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../peers/until.ts";
import { FrameType, frame, frameTypes, PREFACE, rawTo } from "./raw.ts";
import { eventsOf, type Stage, stage } from "./stage.ts";

/* What a job server over HTTP and WebSocket must do, whoever is at the other end. */

/** Far below every timer of the server: what is seen in this time is seen because it was told. */
const SOON_MS = 5_000;

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

/** `ws://…/v1/ws` of a stage. */
const webSocketOf = ({ url }: Stage): string => `${url.replace("http:", "ws:")}/ws`;

function clientOverWebSocket(staged: Stage): Client {
  const client = new Client({ servers: webSocketOf(staged), dial: (name, signal) => dial(name, { signal }) });
  onTestFinished(() => client.close());
  return client;
}

it("a thousand clients of one unique get the result of one job", async () => {
  const { url, worker, server } = await stage();
  const held = gate();
  worker({
    f: async (job) => {
      await held.passed;
      return job.workload;
    },
  });
  const agent = new http.Agent({ maxSockets: 1_000 });
  onTestFinished(() => agent.destroy());
  const asked = Array.from({ length: 1_000 }, () => posted(`${url}/functions/f/jobs`, agent));
  await until("all have joined", 30_000, () => server.core.state.submissionCount === 1_000);
  held.open();
  const answers = await Promise.all(asked);
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(["200 w"]));
  expect(answers.filter(({ coalesced }) => coalesced === "?0")).toHaveLength(1);
  expect(server.core.state.counts.runs).toBe(1);
});

/** A request on a connection of its own. */
async function posted(url: string, agent: http.Agent) {
  const headers = { "gearman-unique": '"same"' };
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.request(url, { method: "POST", agent, headers }, resolve).on("error", reject).end("w");
  });
  let body = "";
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, body, coalesced: response.headers["gearman-coalesced"] };
}

it("data comes before the result, in order, byte for byte", async () => {
  const { url, worker } = await stage();
  const part = (first: number) => Buffer.from(Array.from({ length: 256 }, (_, at) => (first + at) & 0xff));
  worker({
    f: (job) => {
      for (let first = 0; first < 20; first++) job.data(part(first));
      return part(255);
    },
  });
  const parts = Array.from({ length: 20 }, (_, first) => part(first));
  const events = await fetch(`${url}/functions/f/jobs`, {
    method: "POST",
    headers: { accept: "application/x-ndjson" },
  });
  const seen: Buffer[] = [];
  for await (const { event, data, encoding } of eventsOf(events)) {
    if (event !== "created") seen.push(Buffer.from(data as string, encoding as "base64" | "utf8"));
  }
  expect(seen).toEqual([...parts, part(255)]);
  const whole = await fetch(`${url}/functions/f/jobs?data=concat`, { method: "POST" });
  expect(Buffer.from(await whole.arrayBuffer())).toEqual(Buffer.concat([...parts, part(255)]));
});

describe("a client that leaves is noticed at once, and its waiting job goes with it", () => {
  it.each([
    "HTTP/1.1 body",
    "HTTP/1.1 events",
    "HTTP/2 body",
    "HTTP/2 events",
    "HTTP/2 session",
    "WebSocket",
  ])("%s", async (how) => {
    const staged = await stage();
    const leave = await submittedOver(how, staged);
    await until("the job waits", SOON_MS, () => staged.server.core.state.jobs.size === 1);
    leave();
    await until("it is gone", SOON_MS, () => staged.server.core.state.jobs.size === 0);
    expect(staged.server.core.state.submissionCount).toBe(0);
  });

  it("while its body still comes, there is no job", async () => {
    const staged = await stage();
    const socket = rawTo(staged.url);
    const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
    // POST and http of the static table; the names of the path and the authority too.
    const fields = [0x83, 0x86, 0x04, ...text("/v1/functions/f/jobs"), 0x01, ...text("localhost")];
    const hasAllFields = 4;
    let got = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
    });
    socket.write(
      Buffer.concat([
        PREFACE,
        frame(FrameType.SETTINGS, 0, 0),
        frame(FrameType.HEADERS, hasAllFields, 1, Buffer.from(fields)),
        frame(FrameType.DATA, 0, 1, Buffer.from("half of it")),
        frame(FrameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])),
        frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
      ]),
    );
    await until("all of it was read", SOON_MS, () => frameTypes(got).includes(FrameType.PING));
    const after = await fetch(`${staged.url}/functions/g/jobs`, {
      method: "POST",
      headers: { prefer: "respond-async" },
    });
    expect(after.status).toBe(202);
    expect(staged.server.core.state.counts.submissions).toBe(1);
  });
});

/** Submits a job that waits. @returns what leaves. */
async function submittedOver(how: string, staged: Stage): Promise<() => void> {
  const accept = how.endsWith("events") ? "text/event-stream" : "*/*";
  if (how.startsWith("HTTP/1.1")) {
    const leave = new AbortController();
    fetch(`${staged.url}/functions/f/jobs`, {
      method: "POST",
      body: "w",
      headers: { accept },
      signal: leave.signal,
    }).catch(() => {});
    return () => leave.abort();
  }
  if (how.startsWith("HTTP/2")) {
    const session = http2.connect(new URL(staged.url).origin);
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({ ":method": "POST", ":path": "/v1/functions/f/jobs", accept });
    stream.on("error", () => {});
    stream.end("w");
    return how.endsWith("session")
      ? () => session.destroy()
      : () => stream.close(http2.constants.NGHTTP2_CANCEL);
  }
  const connection = await dialWebSocket(webSocketOf(staged));
  onTestFinished(() => connection.destroy());
  connection.attach({ data() {}, drain() {}, close() {} });
  connection.send([encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", ""], Buffer.from("w"))]);
  return () => connection.destroy();
}

it.each(["stream of jobs", "WebSocket"])("a worker whose %s is cut loses its job to another", async (how) => {
  const staged = await stage();
  const { url, server } = staged;
  const leave = new AbortController();
  let grab = (): void => {};
  if (how === "WebSocket") {
    const connection = await dialWebSocket(webSocketOf(staged));
    connection.attach({ data() {}, drain() {}, close() {} });
    connection.send([encodePacket(REQ, PacketType.CAN_DO, ["f"])]);
    leave.signal.addEventListener("abort", () => connection.destroy());
    grab = () => void connection.send([encodePacket(REQ, PacketType.GRAB_JOB, [])]);
  } else {
    const stream = await fetch(`${url}/grab?function=f`, { signal: leave.signal });
    stream.text().catch(() => {});
  }
  await until("the worker is there", SOON_MS, () => server.core.hasWorker("f"));
  const asked = fetch(`${url}/functions/f/jobs`, { method: "POST", body: "w" });
  await until("the job waits or runs", SOON_MS, () => server.core.state.jobs.size === 1);
  grab();
  await until("it has the job", SOON_MS, () => server.core.state.running === 1);
  staged.worker({ f: () => Buffer.from("by another") });
  leave.abort();
  expect(await (await asked).text()).toBe("by another");
  expect(server.core.state.counts.runs).toBe(2);
});

it("a result that a client of a WebSocket waits for comes through every byte", async () => {
  const staged = await stage();
  staged.worker({ echo: (job) => job.workload });
  const client = clientOverWebSocket(staged);
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at & 0xff));
  expect(Buffer.from(await client.submit("echo", bytes).result()).equals(bytes)).toBe(true);
});

it("after a restart what was seen cannot be resumed, and a repeat joins the job that was kept", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-restart-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const store = () => openStore(`sqlite:${join(folder, "jobs.db")}`);
  const headers = { "gearman-unique": '"u"' };
  const before = await stage({ store: await store() });
  const accepted = await fetch(`${before.url}/functions/f/jobs`, {
    method: "POST",
    body: "kept",
    headers: { ...headers, prefer: "respond-async" },
  });
  const { handle } = (await accepted.json()) as { handle: string };
  const watching = await fetch(`${before.url}/jobs/${handle}/events`, {
    headers: { accept: "application/x-ndjson" },
  });
  const { id } = (await eventsOf(watching).next()).value as { id: string };
  await before.http.close();
  await before.server.stop(0);

  const after = await stage({ store: await store() });
  const resumed = await fetch(`${after.url}/jobs/${handle}/events`, { headers: { "last-event-id": id } });
  expect(resumed.status).toBe(410);
  expect(await resumed.json()).toMatchObject({ type: "/v1/problems/state-lost", retryable: true });
  const again = fetch(`${after.url}/functions/f/jobs`, { method: "POST", body: "another", headers });
  await until("it has joined", SOON_MS, () => after.server.core.state.submissionCount === 1);
  after.worker({ f: (job) => job.workload });
  const answer = await again;
  expect(await answer.text()).toBe("kept");
  expect(answer.headers.get("gearman-coalesced")).toBe("?1");
  expect(answer.headers.get("gearman-handle")).toBe(handle);
  expect(after.server.core.state.counts.runs).toBe(1);
});
