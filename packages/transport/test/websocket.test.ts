import { spawn } from "node:child_process";
import type http from "node:http";
import https from "node:https";
import net from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { CertificateAuthority, type Issued } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { type DialOptions, dial, dialWebSocket, MESSAGE_BYTES, TlsFiles } from "../src/index.ts";
import { connectionConformance, pattern, type Recorder } from "./conformance.ts";
import { cleanups, dialled, frame, handshake, type Serving, serve, serving } from "./websocket-stage.ts";

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
