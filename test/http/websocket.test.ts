import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@drover/client";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { createToken, Identities, revokeToken } from "@drover/server";
import { Worker } from "@drover/worker";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { until } from "../peers/until.ts";
import { eventsOf, type Stage, stage } from "./stage.ts";

const NOBODY = { submit: [], work: [], status: false, admin: false };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A stage on which one identity may submit, by a token. */
async function guarded() {
  const folder = mkdtempSync(join(tmpdir(), "drover-websocket-"));
  const tokenFile = join(folder, "tokens");
  const { id, text } = createToken(tokenFile, { identity: "shop" }, new Date());
  const rules = [{ name: "shop", rights: { ...NOBODY, submit: ["*"], work: ["*"] } }];
  const identities = new Identities({ rules, tokenFile }, quiet);
  onTestFinished(() => {
    identities.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const set = await stage({ identities });
  return { ...set, token: text, revoke: () => revokeToken(tokenFile, id, new Date()), identities };
}

const address = ({ url }: Pick<Stage, "url">): string =>
  url.replace(/^http/, "ws").replace(/\/v1$/, "/v1/ws");

const bearer = (secret: string): string => `gearman.bearer.${Buffer.from(secret).toString("base64url")}`;

/** How a WebSocket ends: refused with a status, or closed with a code. */
function endOf(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.on("unexpected-response", (_request, response) => resolve(`HTTP ${response.statusCode}`));
    socket.on("error", () => {});
    socket.on("close", (code) => resolve(`closed ${code}`));
  });
}

/** Sends a payload and waits for its echo. */
async function echoes(socket: WebSocket): Promise<string> {
  const answered = new Promise<string>((resolve) => {
    socket.on("message", (data) => resolve((data as Buffer).toString("latin1")));
  });
  await new Promise((resolve) => socket.on("open", resolve));
  socket.send(encodePacket(REQ, PacketType.ECHO_REQ, [], Buffer.from("hello")));
  return answered;
}

describe("/v1/ws", () => {
  it("carries clients and workers, who join with a request over HTTP", async () => {
    const set = await stage();
    const servers = address(set);
    const worker = new Worker({ servers });
    const { promise: held, resolve: open } = Promise.withResolvers<void>();
    worker.handle("draw", async (job) => {
      job.data(Buffer.from("line"));
      await held;
      return Buffer.from("done");
    });
    void worker.run();
    const client = new Client({ servers });
    onTestFinished(async () => {
      await Promise.all([worker.close(), client.close()]);
    });
    const job = client.submit("draw", "", { unique: "cat" });
    const stream = await fetch(`${set.url}/functions/draw/jobs`, {
      method: "POST",
      headers: { accept: "application/x-ndjson", "gearman-unique": '"cat"' },
    });
    await until("both wait", 5_000, () => set.server.core.state.submissionCount === 2);
    open();
    const seen: unknown[] = [];
    for await (const { event, data } of eventsOf(stream)) seen.push([event, data]);
    expect(seen).toEqual([
      ["created", undefined],
      ["data", "line"],
      ["complete", "done"],
    ]);
    expect(Buffer.from(await job.result()).toString()).toBe("done");
    expect(set.server.core.state.counts.runs).toBe(1);
  });

  it("is at its path only, and for pages of the server itself only", async () => {
    const set = await stage();
    expect(await endOf(new WebSocket(address(set).replace("/v1/ws", "/other"), "gearman"))).toBe("HTTP 404");
    expect(await endOf(new WebSocket(address(set), "mqtt"))).toBe("HTTP 400");
    const foreign = new WebSocket(address(set), "gearman", { origin: "https://evil.example" });
    expect(await endOf(foreign)).toBe("HTTP 403");
    const own = new WebSocket(address(set), "gearman", { origin: new URL(set.url).origin });
    expect(await echoes(own)).toMatch(/hello$/);
    own.terminate();
    const rebound = new WebSocket(address(set), "gearman", { headers: { host: "evil.example" } });
    expect(await endOf(rebound)).toBe("HTTP 403");
  });

  it("is told 1001 when the server stops", async () => {
    const set = await stage();
    const socket = new WebSocket(address(set), "gearman");
    expect(await echoes(socket)).toMatch(/hello$/);
    const end = endOf(socket);
    void set.server.stop(0);
    expect(await end).toBe("closed 1001");
  });
});

describe("/v1/ws with authentication", () => {
  it("lets in who shows a token, in a header or as a subprotocol, and nobody else", async () => {
    const set = await guarded();
    expect(await endOf(new WebSocket(address(set), "gearman"))).toBe("HTTP 401");
    expect(await endOf(new WebSocket(address(set), ["gearman", bearer("drover_x_y")]))).toBe("HTTP 401");
    expect(await endOf(new WebSocket(`${address(set)}?token=${set.token}`, "gearman"))).toBe("HTTP 401");
    for (const open of [
      () => new WebSocket(address(set), ["gearman", bearer(set.token)]),
      () => new WebSocket(address(set), "gearman", { headers: { authorization: `Bearer ${set.token}` } }),
    ]) {
      const socket = open();
      expect(await echoes(socket)).toMatch(/hello$/);
      expect(socket.protocol).toBe("gearman");
      socket.terminate();
    }
    expect(set.logged.join("\n")).not.toContain(set.token);
  });

  it("takes a ticket once, from the page that it was issued to", async () => {
    const set = await guarded();
    const { origin } = new URL(set.url);
    const issue = async (): Promise<string> => {
      const headers = { authorization: `Bearer ${set.token}`, origin };
      const answer = await fetch(`${set.url}/tickets`, { method: "POST", headers });
      return ((await answer.json()) as { ticket: string }).ticket;
    };
    expect((await fetch(`${set.url}/tickets`, { method: "POST" })).status).toBe(401);
    const ticket = await issue();
    const socket = new WebSocket(address(set), ["gearman", bearer(ticket)], { origin });
    expect(await echoes(socket)).toMatch(/hello$/);
    socket.terminate();
    expect(await endOf(new WebSocket(address(set), ["gearman", bearer(ticket)], { origin }))).toBe(
      "HTTP 401",
    );
    const other = await issue();
    expect(await endOf(new WebSocket(address(set), ["gearman", bearer(other)]))).toBe("HTTP 401");
  });

  it("closes with 4401 when the token is revoked, and ends streams over HTTP", async () => {
    const set = await guarded();
    const socket = new WebSocket(address(set), ["gearman", bearer(set.token)]);
    expect(await echoes(socket)).toMatch(/hello$/);
    const stream = await fetch(`${set.url}/functions/f/jobs`, {
      method: "POST",
      headers: { accept: "application/x-ndjson", authorization: `Bearer ${set.token}` },
    });
    const events = eventsOf(stream);
    expect((await events.next()).value).toMatchObject({ event: "created" });
    const end = endOf(socket);
    set.revoke();
    set.identities.look();
    expect(await end).toBe("closed 4401");
    expect((await events.next()).value).toMatchObject({ event: "detached", reason: "unauthenticated" });
    expect((await events.next()).done).toBe(true);
  });
});

it("is not announced over HTTP/2, and who asks for it all the same is refused", async () => {
  const { url } = await stage();
  const session = http2.connect(new URL(url).origin);
  onTestFinished(() => session.destroy());
  const [settings] = (await once(session, "remoteSettings")) as [http2.Settings];
  expect(settings.enableConnectProtocol ?? false).toBe(false);
  const stream = session.request({ ":method": "CONNECT", ":authority": new URL(url).host });
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  expect(headers[":status"]).toBe(405);
});
