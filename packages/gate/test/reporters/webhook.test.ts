import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { WebhookConnection } from "../../src/index.ts";
import { deliverToWebhook } from "../../src/reporters/webhook.ts";
import { bodyOf, ReporterStage } from "./stage.ts";

interface Posted {
  readonly request: IncomingMessage;
  readonly text: string;
}

const ID = "0a64c1f5-0000-4000-8000-000000000000";
const KEY = "a key of more than sixteen bytes";

let stage: ReporterStage;
let server: Server;
let url: string;
let posted: Posted[];
let status: number;
let answers: boolean;
const place = () => ({
  ...{ folder: stage.folder, signal: new AbortController().signal },
  nowMs: () => 1_700_000_000_999,
});

beforeEach(async () => {
  stage = new ReporterStage();
  posted = [];
  status = 204;
  answers = true;
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      posted.push({ request, text: Buffer.concat(chunks).toString() });
      if (answers) response.writeHead(status, { location: "/elsewhere" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/s3cr3t-path`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  stage.end();
});

const hook = (more: Partial<WebhookConnection> = {}): WebhookConnection => ({
  ...{ driver: "webhook", name: "hook", url, secretFile: null, timeoutMs: 10_000 },
  ...more,
});

test("a webhook is posted the report with its id and the time, signed by the key of the file", async () => {
  stage.write("hook.key", `${KEY}\n`);
  const body = bodyOf(ID, "hook");
  const connection = hook({ secretFile: "hook.key" });
  expect(await deliverToWebhook(connection, ID, body, place())).toEqual({ status: 204 });
  const [{ request, text }] = posted as [Posted];
  expect([request.method, request.url]).toEqual(["POST", "/hooks/s3cr3t-path"]);
  expect(JSON.parse(text)).toEqual(body);
  const signature = createHmac("sha256", KEY).update(`${ID}.1700000000.${text}`).digest("base64");
  expect(request.headers).toMatchObject({
    "content-type": "application/json",
    "webhook-id": ID,
    "webhook-timestamp": "1700000000",
    "webhook-signature": `v1,${signature}`,
  });
});

test("a key may be written as those who verify have it, and is read anew each time", async () => {
  const connection = hook({ secretFile: stage.write("hook.key", KEY) });
  const body = bodyOf(ID, "hook");
  await deliverToWebhook(connection, ID, body, place());
  stage.write("hook.key", `whsec_${Buffer.from(KEY).toString("base64")}`);
  await deliverToWebhook(connection, ID, body, place());
  const [first, second] = posted.map(({ request }) => request.headers["webhook-signature"]);
  expect(first).toBe(second);
  stage.write("hook.key", `${KEY} changed`);
  await deliverToWebhook(connection, ID, body, place());
  expect(posted[2]!.request.headers["webhook-signature"]).not.toBe(first);
});

test("without a key nothing is signed", async () => {
  await deliverToWebhook(hook(), ID, bodyOf(ID, "hook"), place());
  expect(posted[0]!.request.headers["webhook-signature"]).toBeUndefined();
});

test("any answer but 2xx is none, and redirections are not followed", async () => {
  for (const [answer, said] of [
    [500, "answered 500"],
    [404, "answered 404"],
    [302, "redirections are not followed"],
  ] as const) {
    status = answer;
    await expect(deliverToWebhook(hook(), ID, bodyOf(ID, "hook"), place())).rejects.toThrow(said);
  }
  expect(posted).toHaveLength(3);
});

test("neither the path of the address nor the key is told when it fails", async () => {
  status = 500;
  stage.write("short.key", "too short");
  stage.write("empty.key", "\n");
  const said: string[] = [];
  for (const secretFile of [null, "short.key", "empty.key", "missing.key"]) {
    const failed = deliverToWebhook(hook({ secretFile }), ID, bodyOf(ID, "hook"), place());
    said.push(await failed.then(String, (error: Error) => error.message));
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const failed = deliverToWebhook(hook(), ID, bodyOf(ID, "hook"), place());
  said.push(await failed.then(String, (error: Error) => error.message));
  const origin = new URL(url).origin;
  expect(said).toEqual([
    `${origin} answered 500`,
    "short.key holds a key of 9 bytes, and it takes 16",
    "empty.key is empty",
    "missing.key cannot be read: ENOENT",
    expect.stringMatching(new RegExp(`^${origin} did not answer: [A-Z_]+$`)),
  ]);
});

test("a server that does not answer is waited for no longer than the time-out, nor than the gate lives", async () => {
  answers = false;
  const slow = hook({ timeoutMs: 50 });
  await expect(deliverToWebhook(slow, ID, bodyOf(ID, "hook"), place())).rejects.toThrow("within 0.05 s");
  const ending = new AbortController();
  const broken = deliverToWebhook(hook(), ID, bodyOf(ID, "hook"), { ...place(), signal: ending.signal });
  ending.abort();
  await expect(broken).rejects.toThrow("did not answer");
});
