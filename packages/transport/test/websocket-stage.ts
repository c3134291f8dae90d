import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { afterEach } from "vitest";
import { until } from "../../../test/peers/until.ts";
import {
  type Admit,
  type DialOptions,
  dialWebSocket,
  type WebSocketConnection,
  type WebSocketUpgradeOptions,
  WebSocketUpgrades,
} from "../src/index.ts";
import { Recorder } from "./conformance.ts";

/** Run after each test, the last first. */
export const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export interface Served {
  readonly port: number;
  readonly address: string;
  readonly accepted: { readonly connection: WebSocketConnection; readonly told: Recorder }[];
  close(): Promise<void>;
}

export interface Serving extends WebSocketUpgradeOptions {
  readonly admit?: Admit;
  readonly server?: http.Server | https.Server;
  readonly recorder?: () => Recorder;
}

export async function serve({
  admit,
  server = http.createServer(),
  recorder,
  ...options
}: Serving = {}): Promise<Served> {
  const upgrades = await WebSocketUpgrades.create(options);
  const accepted: Served["accepted"] = [];
  const open = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.on("upgrade", (request, socket, head) => {
    upgrades.handleUpgrade(
      request,
      socket,
      head,
      (connection) => {
        const told = recorder?.() ?? new Recorder();
        connection.attach(told);
        accepted.push({ connection, told });
      },
      admit,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const scheme = server instanceof https.Server ? "wss" : "ws";
  return {
    port,
    address: `${scheme}://127.0.0.1:${port}`,
    accepted,
    close: async () => {
      for (const { connection } of accepted) connection.destroy();
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function serving(options: Serving = {}): Promise<Served> {
  const served = await serve(options);
  cleanups.push(() => served.close());
  return served;
}

export async function dialled(
  served: Served,
  options: DialOptions = {},
): Promise<{ near: WebSocketConnection; told: Recorder }> {
  const before = served.accepted.length;
  const near = await dialWebSocket(served.address, options);
  cleanups.push(() => near.destroy());
  const told = new Recorder();
  near.attach(told);
  await until("the server has it", 5_000, () => served.accepted.length > before);
  return { near, told };
}

/** A handshake by hand; resolves with the status line, headers and body, or once the upgrade is done. */
export async function handshake(
  port: number,
  headers: Record<string, string> = {},
): Promise<{ socket: net.Socket; answer: string }> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  cleanups.push(() => socket.destroy());
  socket.on("error", () => {});
  const lines = Object.entries({
    Host: `127.0.0.1:${port}`,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Protocol": "gearman",
    ...headers,
  })
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /v1/ws HTTP/1.1\r\n${lines.join("")}\r\n`);
  let answer = "";
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (answer.startsWith("HTTP/1.1 101") && answer.includes("\r\n\r\n")) resolve();
    });
    socket.once("close", () => resolve());
  });
  return { socket, answer };
}

/** A frame as a client sends it, masked with zeros unless told otherwise. */
export function frame(
  opcode: number,
  payload: Uint8Array,
  { fin = true, masked = true, reserved = 0 } = {},
): Buffer {
  const { length } = payload;
  const head = length < 126 ? Buffer.alloc(2) : Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | Math.min(length, length < 65_536 ? 126 : 127);
  if (length < 126) head[1] = (masked ? 0x80 : 0) | length;
  else if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

/** The code of the close frame that the server sent last. */
export async function closeCode(socket: net.Socket, send: () => void): Promise<number> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  send();
  await closed;
  const bytes = Buffer.concat(chunks);
  const at = bytes.lastIndexOf(0x88);
  return at === -1 ? 0 : bytes.readUInt16BE(at + 2);
}
