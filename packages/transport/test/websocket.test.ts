import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { deflateRawSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { CertificateAuthority, type Issued } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import {
  type Admit,
  type DialOptions,
  dial,
  dialWebSocket,
  MESSAGE_BYTES,
  readSubprotocols,
  TlsFiles,
  type WebSocketConnection,
  type WebSocketUpgradeOptions,
  WebSocketUpgrades,
} from "../src/index.ts";
import { connectionConformance, pattern, Recorder } from "./conformance.ts";

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Served {
  readonly port: number;
  readonly address: string;
  readonly accepted: { readonly connection: WebSocketConnection; readonly told: Recorder }[];
  close(): Promise<void>;
}

interface Serving extends WebSocketUpgradeOptions {
  readonly admit?: Admit;
  readonly server?: http.Server | https.Server;
  readonly recorder?: () => Recorder;
}

async function serve({
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

async function serving(options: Serving = {}): Promise<Served> {
  const served = await serve(options);
  cleanups.push(() => served.close());
  return served;
}

async function dialled(
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

async function pairOver(
  options: Serving,
  tlsOptions: DialOptions["tls"],
  ...[nearHandlers, farHandlers]: Parameters<Parameters<typeof connectionConformance>[1]>
) {
  const served = await serve({ ...options, recorder: () => farHandlers as Recorder });
  const near = await dial(served.address, { ...(tlsOptions && { tls: tlsOptions }) });
  near.attach(nearHandlers);
  await until("the server has it", 5_000, () => served.accepted.length === 1);
  return { near, far: served.accepted[0]!.connection, dispose: () => served.close() };
}

connectionConformance("a WebSocket", (near, far) => pairOver({}, undefined, near, far), { halfOpen: false });

describeWith(["openssl"], "over TLS", () => {
  let authority: CertificateAuthority;
  let issued: Issued;
  beforeAll(async () => {
    authority = await CertificateAuthority.create();
    issued = await authority.issueForLocalhost();
  });
  afterAll(() => authority.dispose());

  const secureServer = async (clientCertificates: "none" | "optional" = "none") => {
    const files = await TlsFiles.load({
      certificates: [issued.files],
      clientCa: [authority.root.files.certificate],
      clientCertificates,
    });
    const server = https.createServer(files.serverOptions);
    files.follow(server);
    return server;
  };

  connectionConformance(
    "a WebSocket over TLS",
    async (near, far) => pairOver({ server: await secureServer() }, { ca: authority.root.cert }, near, far),
    { halfOpen: false },
  );

  it("says who the peers are", async () => {
    const served = await serving({ server: await secureServer("optional") });
    const { cert, key } = await authority.issue({ subject: "/CN=printer" });
    const { near } = await dialled(served, { tls: { ca: authority.root.cert, cert, key } });
    expect(near.peer).toMatchObject({
      transport: "websocket",
      address: "127.0.0.1",
      port: served.port,
      certificate: { names: ["localhost"] },
    });
    const { peer } = served.accepted[0]!.connection;
    expect(peer).toMatchObject({ transport: "websocket", address: "127.0.0.1" });
    expect(peer.certificate).toEqual({ subject: "CN=printer", names: ["printer"] });
  });

  it("tells what is wrong with the certificate, and what else is wrong as without TLS", async () => {
    const served = await serving({
      server: await secureServer(),
      admit: () => ({ status: 403, detail: "not you" }),
    });
    await expect(dial(served.address)).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
    const tls = { ca: authority.root.cert };
    await expect(dial(served.address, { tls })).rejects.toMatchObject({ code: "UPGRADE_REFUSED" });
    await expect(dial(served.address.replace("wss", "ws"))).rejects.toMatchObject({
      code: "UPGRADE_REFUSED",
    });
    const plain = await serving();
    await expect(dial(plain.address.replace("ws", "wss"), { tls })).rejects.toMatchObject({
      code: "TLS_FAILED",
    });
  });
});

describe("subprotocols", () => {
  const bearer = (text: string) => `gearman.bearer.${Buffer.from(text).toString("base64url")}`;

  it.each([
    [undefined, false, undefined],
    ["", false, undefined],
    ["mqtt", false, undefined],
    ["gearman.json", false, undefined],
    ["gearman", true, undefined],
    ["mqtt , gearman", true, undefined],
    [`gearman, ${bearer("s3cret ✓")}`, true, "s3cret ✓"],
    [`${bearer("a.b-c")},gearman`, true, "a.b-c"],
    [bearer("alone"), false, undefined],
    [`gearman,${bearer("one")},${bearer("two")}`, false, undefined],
    ["gearman,gearman.bearer.", false, undefined],
    ["gearman,gearman.bearer.a", false, undefined],
    ["gearman,gearman.bearer.YQ==", false, undefined],
    ["gearman,gearman.bearer.Y+", false, undefined],
    [`gearman,gearman.bearer.${Buffer.from([0xff]).toString("base64url")}`, false, undefined],
  ])("of %j", (header, isGearman, token) => {
    expect(readSubprotocols(header)).toEqual({ isGearman, token });
  });
});

/** A handshake by hand; resolves with the status line, headers and body, or once the upgrade is done. */
async function handshake(
  port: number,
  headers: Record<string, string> = {},
): Promise<{ socket: net.Socket; answer: string }> {
  const socket = net.connect(port, "127.0.0.1");
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
function frame(
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
async function closeCode(socket: net.Socket, send: () => void): Promise<number> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  send();
  await closed;
  const bytes = Buffer.concat(chunks);
  const at = bytes.lastIndexOf(0x88);
  return at === -1 ? 0 : bytes.readUInt16BE(at + 2);
}

describe("upgrades", () => {
  it("answer with the subprotocol alone, and never with the token", async () => {
    const tokens: (string | undefined)[] = [];
    const served = await serving({
      admit: (_request, token) => {
        tokens.push(token);
        return undefined;
      },
    });
    const token = Buffer.from("s3cret").toString("base64url");
    const { answer } = await handshake(served.port, {
      "Sec-WebSocket-Protocol": `gearman.bearer.${token}, gearman`,
    });
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    expect(answer).toMatch(/Sec-WebSocket-Protocol: gearman\r\n/);
    expect(answer).not.toContain(token);
    expect(tokens).toEqual(["s3cret"]);
  });

  it("refuse who does not speak gearman, with a problem that says so", async () => {
    const served = await serving();
    for (const offered of ["", "mqtt", "gearman,gearman.bearer.="]) {
      const { answer } = await handshake(served.port, { "Sec-WebSocket-Protocol": offered });
      expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(answer).toMatch(
        /application\/problem\+json[\s\S]*"status":400,"detail":"offer the subprotocol gearman"/,
      );
    }
    expect(served.accepted).toHaveLength(0);
  });

  it("refuse pages of origins that are not listed; who names none is let in", async () => {
    const served = await serving({ origins: ["https://jobs.example.com"] });
    for (const origin of [
      "https://evil.test",
      "null",
      "https://jobs.example.com.evil.test",
      "http://jobs.example.com",
    ]) {
      const { answer } = await handshake(served.port, { Origin: origin });
      expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    }
    expect((await handshake(served.port, { Origin: "https://JOBS.example.com" })).answer).toMatch(/ 101 /);
    expect((await handshake(served.port)).answer).toMatch(/ 101 /);
    const none = await serving();
    expect((await handshake(none.port, { Origin: `http://127.0.0.1:${none.port}` })).answer).toMatch(/ 403 /);
  });

  it("are refused as admit says, and with 500 when it fails; who left meanwhile does no harm", async () => {
    const errors: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const served = await serving({
      onError: (error) => errors.push(error),
      admit: async ({ headers }) => {
        asked++;
        if (headers.authorization === "Bearer slow") return promise;
        if (headers.authorization === "Bearer broken") throw new Error("no directory");
        return { status: 401, detail: "a token please", headers: { "WWW-Authenticate": "Bearer" } };
      },
    });
    const { answer } = await handshake(served.port);
    expect(answer).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n/);
    await expect(dial(served.address, { webSocket: { token: "wrong" } })).rejects.toMatchObject({
      code: "UPGRADE_REFUSED",
      message: expect.stringMatching(/401.*token/) as string,
    });
    const broken = dial(served.address, { webSocket: { token: "broken" } });
    await expect(broken).rejects.toMatchObject({ code: "UPGRADE_REFUSED" });
    expect(errors).toHaveLength(1);
    const controller = new AbortController();
    const leaving = dial(served.address, { webSocket: { token: "slow" }, signal: controller.signal });
    await until("the slow one is asked about", 5_000, () => asked === 4);
    controller.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    resolve(undefined);
    const { near } = await dialled({ ...(await serving()) });
    near.destroy();
    expect(served.accepted).toHaveLength(0);
  });

  it("want the rest of a handshake as well", async () => {
    const served = await serving();
    expect((await handshake(served.port, { "Sec-WebSocket-Key": "short" })).answer).toMatch(/ 400 /);
    expect((await handshake(served.port, { "Sec-WebSocket-Version": "7" })).answer).toMatch(/ 400 /);
    expect(served.accepted).toHaveLength(0);
  });
});

describe("what arrives", () => {
  it("is the same stream wherever messages and fragments are cut", async () => {
    const served = await serving();
    const bytes = pattern(48);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { socket } = await handshake(served.port);
      const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)];
      // As two messages, then as two fragments of one with a ping in between.
      socket.write(Buffer.concat([frame(2, head), frame(2, tail)]));
      socket.write(frame(2, head, { fin: false }));
      socket.write(Buffer.concat([frame(9, Buffer.from("?")), frame(0, tail)]));
      await until("the server has it", 5_000, () => served.accepted.length > cut);
      const { told } = served.accepted[cut]!;
      await told.until(() => told.bytes === 2 * bytes.length);
      expect(told.joined().equals(Buffer.concat([bytes, bytes]))).toBe(true);
      socket.destroy();
    }
  });

  it("is the same stream when the network cuts it at every byte", async () => {
    const served = await serving();
    const bytes = pattern(300);
    const { socket } = await handshake(served.port);
    socket.setNoDelay(true);
    for (const byte of Buffer.concat([frame(2, bytes.subarray(0, 200)), frame(2, bytes.subarray(200))])) {
      await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
    }
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { told } = served.accepted[0]!;
    await told.until(() => told.bytes === bytes.length);
    expect(told.joined().equals(bytes)).toBe(true);
  });

  it("may come with the handshake", async () => {
    const served = await serving({ admit: async () => undefined });
    const socket = net.connect(served.port, "127.0.0.1");
    cleanups.push(() => socket.destroy());
    socket.write(
      Buffer.concat([
        Buffer.from(
          "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: gearman\r\n\r\n",
        ),
        frame(2, Buffer.from("early")),
      ]),
    );
    await until("the server has it", 5_000, () => served.accepted[0]?.told.bytes === 5);
  });

  it("is held while paused, though it came in one read, and the end after it", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    told.onData = () => connection.pause();
    const messages = ["one", "two", "three"].map((text) => frame(2, Buffer.from(text)));
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.write(Buffer.concat([...messages, frame(8, Buffer.from([0x03, 0xe8]))]));
    await gone;
    expect(told.joined().toString()).toBe("one");
    expect(told.closes).toBe(0);
    connection.resume();
    await told.until(() => told.bytes === 6);
    told.onData = undefined;
    connection.resume();
    await told.until(() => told.closes > 0);
    expect(told.joined().toString()).toBe("onetwothree");
    expect(told.error).toBeUndefined();
  });

  it("that was held goes when the connection is destroyed, and the close is told", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    told.onData = () => connection.pause();
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.write(
      Buffer.concat([frame(2, Buffer.from("one")), frame(2, Buffer.from("two")), frame(8, Buffer.alloc(0))]),
    );
    await gone;
    connection.destroy();
    expect(told.closes).toBe(0);
    await told.until(() => told.closes > 0);
    expect([told.joined().toString(), told.closes, told.error]).toEqual(["one", 1, undefined]);
  });
});

describe("what is sent", () => {
  it("leaves as one message for each send, and in several of 64 KiB when it is larger", async () => {
    const served = await serving();
    const browser = new WebSocket(served.address, "gearman");
    cleanups.push(() => browser.terminate());
    const sizes: number[] = [];
    browser.on("message", (message: Buffer, isBinary) => sizes.push(isBinary ? message.length : -1));
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection } = served.accepted[0]!;
    connection.send([Buffer.from("a"), Buffer.from("b"), Buffer.from("c")]);
    connection.send([]);
    connection.send([pattern(MESSAGE_BYTES)]);
    connection.send([Buffer.alloc(10), pattern(2 * MESSAGE_BYTES), Buffer.alloc(10)]);
    await until("all arrived", 5_000, () => sizes.length === 5);
    expect(sizes).toEqual([3, MESSAGE_BYTES, MESSAGE_BYTES, MESSAGE_BYTES, 20]);
  });

  it("is compressed when both want it, and arrives", async () => {
    const served = await serving({ perMessageDeflate: true });
    const { near } = await dialled(served, { webSocket: { perMessageDeflate: true } });
    const { connection, told } = served.accepted[0]!;
    const bytes = pattern(2_000_000);
    near.send([bytes]);
    near.send([Buffer.from("end")]);
    await told.until(() => told.bytes === bytes.length + 3);
    expect(told.joined().subarray(0, bytes.length).equals(bytes)).toBe(true);
    connection.end();
    await told.until(() => told.closes > 0);
  });

  it("closeWith tells code and reason, after what was sent", async () => {
    const served = await serving();
    const { told } = await dialled(served);
    served.accepted[0]!.connection.send([Buffer.from("last")]);
    served.accepted[0]!.connection.closeWith(4401, "the token ended");
    await told.until(() => told.closes > 0);
    expect(told.joined().toString()).toBe("last");
    expect(told.error).toMatchObject({
      code: "WEBSOCKET_CLOSED",
      message: expect.stringMatching(/4401 "the token ended"/) as string,
    });
    const { told: other } = await dialled(served);
    served.accepted[1]!.connection.closeWith(1001, "draining");
    await other.until(() => other.closes > 0);
    expect(other.error).toBeUndefined();
    expect(served.accepted.map(({ told: { error } }) => error)).toEqual([undefined, undefined]);
  });

  it("end cuts a peer that does not read, after the grace", async () => {
    const served = await serving({ endGraceMs: 20 });
    const { socket } = await handshake(served.port);
    socket.pause();
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    expect(connection.send([pattern(64 * 1_048_576)])).toBe(false);
    connection.end();
    await told.until(() => told.closes > 0);
    expect(told.error).toBeUndefined();
  });

  it("end cuts a peer that does not answer the close, after the grace", async () => {
    const served = await serving({ endGraceMs: 20 });
    const { socket } = await handshake(served.port);
    socket.resume();
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    connection.end();
    await told.until(() => told.closes > 0);
    expect(told.error).toBeUndefined();
  });
});

describe("a peer that breaks the rules", () => {
  const small = Buffer.from("x");
  it.each<[string, Buffer | Buffer[], number]>([
    ["a text message", frame(1, small), 1003],
    ["a message beyond the limit", frame(2, Buffer.alloc(1_048_577)), 1009],
    [
      "fragments beyond the limit",
      [frame(2, Buffer.alloc(600_000), { fin: false }), frame(0, Buffer.alloc(600_000))],
      1009,
    ],
    ["a length of 2^63", Buffer.from("82ff7fffffffffffffff00000000", "hex"), 1009],
    [
      "too many fragments",
      [frame(2, small, { fin: false }), ...Array<Buffer>(300).fill(frame(0, small, { fin: false }))],
      1008,
    ],
    ["no mask", frame(2, small, { masked: false }), 1002],
    ["a reserved opcode", frame(3, small), 1002],
    ["a reserved bit", frame(2, small, { reserved: 4 }), 1002],
    ["a continuation without a start", frame(0, small), 1002],
    ["a start within a message", [frame(2, small, { fin: false }), frame(2, small)], 1002],
    ["a ping in fragments", frame(9, small, { fin: false }), 1002],
    ["a ping of 126 bytes", frame(9, Buffer.alloc(126)), 1002],
    ["a close of one byte", frame(8, small), 1002],
    ["a close code that cannot be", frame(8, Buffer.from([0x03, 0xee])), 1002],
  ])("%s closes its connection and no other", async (_name, frames, code) => {
    const served = await serving();
    const { near, told: bystander } = await dialled(served);
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 2);
    const { told } = served.accepted[1]!;
    expect(await closeCode(socket, () => socket.write(Buffer.concat([frames].flat())))).toBe(code);
    await told.until(() => told.closes > 0);
    expect(told.bytes).toBe(0);
    expect(told.error).toMatchObject({ code: "WEBSOCKET_VIOLATION" });
    near.send([Buffer.from("still here")]);
    await served.accepted[0]!.told.until(() => served.accepted[0]!.told.bytes === 10);
    expect(bystander.closes).toBe(0);
  });

  it("by pinging without reading is cut", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    socket.pause();
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const pings = Buffer.concat(Array<Buffer>(5_000).fill(frame(9, Buffer.alloc(125))));
    const flood = () => {
      if (!socket.destroyed) socket.write(pings, flood);
    };
    flood();
    const { told } = served.accepted[0]!;
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "CONNECTION_LOST" });
  });

  it("by compressing far more than fits while nobody reads is cut", async () => {
    const served = await serving({ perMessageDeflate: true });
    const { socket, answer } = await handshake(served.port, {
      "Sec-WebSocket-Extensions": "permessage-deflate",
    });
    expect(answer).toContain("permessage-deflate");
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    told.onData = () => connection.pause();
    const bomb = deflateRawSync(Buffer.alloc(1_000_000), { finishFlush: 2 }).subarray(0, -4);
    const code = closeCode(socket, () => {
      socket.write(Buffer.concat(Array<Buffer>(40).fill(frame(2, bomb, { reserved: 4 }))));
    });
    expect(await code).toBe(1008);
    await told.until(() => told.closes > 0);
    expect(told.bytes).toBe(1_000_000);
    expect(told.error).toMatchObject({ code: "WEBSOCKET_VIOLATION" });
  });

  it("by vanishing without a close frame is lost", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { told } = served.accepted[0]!;
    socket.resetAndDestroy();
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "CONNECTION_LOST" });
  });
});

describe("pings", () => {
  it("that bring nothing back close the connection; whoever answers, or sends, stays", async () => {
    const served = await serving({ pingIntervalMs: 20 });
    const { socket: silent } = await handshake(served.port);
    const { socket: talking } = await handshake(served.port);
    const { told: answering } = await dialled(served, { webSocket: { pingIntervalMs: 0 } });
    let pings = 0;
    silent.on("data", (chunk) => {
      pings += chunk.length / 2;
    });
    talking.resume();
    const talk = setInterval(() => talking.write(frame(2, Buffer.from("x"))), 5);
    cleanups.push(() => clearInterval(talk));
    const [first, second] = served.accepted;
    await first!.told.until(() => first!.told.closes > 0);
    expect(first!.told.error).toMatchObject({
      code: "CONNECTION_LOST",
      message: expect.stringContaining("2 pings") as string,
    });
    await until("the silent one is closed", 5_000, () => silent.destroyed || silent.readableEnded);
    expect(pings).toBe(2);
    const before = second!.told.bytes;
    await second!.told.until(() => second!.told.bytes > before + 20);
    expect([second!.told.closes, answering.closes]).toEqual([0, 0]);
  });

  it("spare a connection that is paused, since it is not heard", async () => {
    const served = await serving({ pingIntervalMs: 5 });
    const { near } = await dialled(served, { webSocket: { pingIntervalMs: 0 } });
    const { connection, told } = served.accepted[0]!;
    connection.pause();
    const { socket: silent } = await handshake(served.port);
    silent.resume();
    await until("the server has it", 5_000, () => served.accepted.length === 2);
    // As long as the others take to be found.
    await served.accepted[1]!.told.until(() => served.accepted[1]!.told.closes > 0);
    expect(told.closes).toBe(0);
    connection.resume();
    near.send([Buffer.from("x")]);
    await told.until(() => told.bytes === 1);
  });
});

describe("dialling", () => {
  it("sends token and headers, and names the peer", async () => {
    let seen: http.IncomingHttpHeaders = {};
    const served = await serving({
      admit: ({ headers }) => {
        seen = headers;
        return undefined;
      },
    });
    const { near } = await dialled(served, { webSocket: { token: "s3cret", headers: { "X-Team": "a" } } });
    expect(seen).toMatchObject({
      authorization: "Bearer s3cret",
      "x-team": "a",
      "sec-websocket-protocol": "gearman",
    });
    expect(seen["sec-websocket-extensions"]).toBeUndefined();
    expect(near.peer).toEqual({ transport: "websocket", address: "127.0.0.1", port: served.port });
  });

  it("says who is not there, or is no WebSocket for Gearman", async () => {
    const served = await serve();
    await served.close();
    await expect(dial(served.address)).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    await expect(dial("ws://nobody.invalid")).rejects.toMatchObject({ code: "HOST_NOT_FOUND" });
    await expect(dialWebSocket("127.0.0.1:1")).rejects.toMatchObject({ code: "ADDRESS_INVALID" });
    for (const answer of [
      "",
      "ERR unknown_command Unknown+server+command\r\n",
      "HTTP/1.1 404 Not Found\r\n\r\n",
    ]) {
      const other = net.createServer((socket) => socket.on("error", () => {}).end(answer));
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      cleanups.push(() => other.close());
      const { port } = other.address() as net.AddressInfo;
      await expect(dial(`ws://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "UPGRADE_REFUSED" });
    }
  });

  it("gives up at its deadline, or when its signal aborts", async () => {
    const silent = net.createServer((socket) => cleanups.push(() => socket.destroy()));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => silent.close());
    const address = `ws://127.0.0.1:${(silent.address() as net.AddressInfo).port}`;
    await expect(dial(address, { connectTimeoutMs: 30 })).rejects.toMatchObject({ code: "CONNECT_TIMEOUT" });
    const reason = new Error("enough");
    await expect(dial(address, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("loads TLS, HTTP and ws only when they are needed", async () => {
    const script = `
      const t = await import(${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)});
      const loaded = () => ["tls", "http", "zlib"].filter((name) => process.moduleLoadList.includes("NativeModule " + name));
      await t.dial("127.0.0.1:1").catch(() => {});
      const before = loaded();
      await t.dial("ws://127.0.0.1:1").catch(() => {});
      console.log(JSON.stringify([before, loaded()]));
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    await new Promise((resolve) => child.once("close", resolve));
    expect(JSON.parse(out)).toEqual([[], ["tls", "http", "zlib"]]);
  });
});
