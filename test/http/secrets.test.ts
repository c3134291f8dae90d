import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { createToken } from "@drover/server";
import { dialWebSocket } from "@drover/transport";
import { expect, it, onTestFinished } from "vitest";
import { startDrover, type TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { rawAnswer } from "./raw.ts";

/* Tokens come by many ways, the right ones and wrong ones; none of them is ever told to anybody. */

interface Started {
  readonly server: TestServer;
  readonly url: string;
  readonly token: string;
}

/** The real server, which logs all that it can. */
async function started(): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), "drover-secrets-"));
  const tokens = join(folder, "tokens");
  const config = join(folder, "drover.yaml");
  writeFileSync(
    config,
    `auth:\n  tokens: ${tokens}\n  identities: { ops: { admin: true, submit: ["*"] } }\n`,
  );
  const token = createToken(tokens, { identity: "ops" }, new Date()).text;
  const server = await startDrover("--config", config, "--http", "127.0.0.1:0", "--verbose", "DEBUG");
  onTestFinished(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  const [, address] = await until("it tells where HTTP is", 5_000, () =>
    /"http":\["([^"]+)"\]/.exec(server.output()),
  );
  return { server, url: `http://${address}/v1`, token };
}

it("a token reaches no log, no answer and no listing, however it came", async () => {
  const { server, url, token } = await started();
  const told: string[] = [];
  const asked = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    const answer = await fetch(url + path, { method, headers });
    told.push(JSON.stringify([...answer.headers]), await answer.text());
    return answer.status;
  };
  const bearer = { authorization: `Bearer ${token}` };
  const encoded = Buffer.from(token).toString("base64url");

  // As it is meant.
  expect(await asked("/overview", bearer)).toBe(200);
  const submitted = { ...bearer, prefer: "respond-async", "gearman-unique": '"u"' };
  expect(await asked("/functions/f/jobs", submitted, "POST")).toBe(202);
  const ws = await dialWebSocket(`${url.replace("http:", "ws:")}/ws`, { webSocket: { token } });
  ws.attach({ data: (bytes) => told.push(Buffer.from(bytes).toString("latin1")), drain() {}, close() {} });
  ws.send([
    encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${token}`]),
    Buffer.from("workers\nstatus\n"),
  ]);
  await until("the listings came", 5_000, () => told.join("").includes("f\t"));
  ws.destroy();
  const upgrade = (subprotocols: string, path = "/v1/ws") => {
    const head =
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
      `Sec-WebSocket-Protocol: ${subprotocols}\r\n\r\n`;
    // With a close frame behind it, masked, which ends what was opened.
    return rawAnswer(url, Buffer.from(`${head}\x88\x80\0\0\0\0`, "latin1"));
  };
  const opened = await upgrade(`gearman, gearman.bearer.${encoded}`);
  expect(opened).toContain("101 Switching");
  told.push(opened);
  const session = http2.connect(new URL(url).origin);
  onTestFinished(() => session.destroy());
  told.push(await text(session.request({ ":path": "/v1/overview", ...bearer })));
  const socket = connect(server.port, "127.0.0.1");
  socket.end(
    Buffer.concat([
      encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${token}`]),
      Buffer.from("workers\n"),
    ]),
  );
  told.push(await text(socket));

  // And as it is not.
  expect(await asked(`/overview?token=${token}&access_token=${token}`)).toBe(401);
  expect(await asked(`/overview/${token}`)).toBe(401);
  expect(await asked(`/overview/${token}`, bearer)).toBe(404);
  expect(await asked(`/jobs/${token}%zz`)).toBe(400);
  expect(await asked("/overview", { cookie: `token=${token}` })).toBe(401);
  expect(await asked("/overview", { authorization: `Basic ${encoded}` })).toBe(401);
  expect(await asked("/overview", { authorization: `Bearer ${token}x` })).toBe(401);
  expect(await asked("/overview", { authorization: `Bearer ${token} ${token}` })).toBe(401);
  expect(await asked("/overview", { ...bearer, origin: "https://evil.example" })).toBe(403);
  told.push(await upgrade("gearman", `/v1/ws?token=${token}`));
  expect(told.at(-1)).toContain("401");
  told.push(await upgrade(`gearman, gearman.bearer.${token}`));
  told.push(await upgrade(`gearman.bearer.${encoded}`));
  told.push(
    await rawAnswer(url, `GET /v1/overview?${token} HTTP/1.1\r\nAuthorization : Bearer ${token}\r\n\r\n`),
  );
  told.push(await rawAnswer(url, `${token} / HTTP/1.1\r\n\r\n`));
  const wrong = connect(server.port, "127.0.0.1");
  wrong.end(
    Buffer.concat([
      encodePacket(REQ, PacketType.OPTION_REQ, [`drover.auth:${token}x`]),
      Buffer.from(`${token}\n`),
    ]),
  );
  told.push(await text(wrong));

  await server.stop();
  told.push(server.output());
  // The secret is base64url: underscores are among its letters.
  const secret = token.split("_").slice(2).join("_");
  expect(secret.length).toBeGreaterThan(40);
  const all = told.join("\n");
  for (const shown of [
    secret,
    encoded,
    encoded.slice(-40),
    Buffer.from(secret).toString("base64").slice(0, 40),
  ]) {
    expect(all.indexOf(shown)).toBe(-1);
  }
  // The log is of this server, and tells what happened.
  expect(server.output()).toContain("UNAUTHENTICATED");
  expect(server.output()).toContain('"stopped"');
});
