import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Connection, dial, type Listener, type ListenOptions, listen } from "../src/index.ts";
import { connectionConformance, HalfOpenRecorder, pattern, Recorder } from "./conformance.ts";

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "drover-transport-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function listening(
  address: string,
  onConnection: (connection: Connection) => void = (connection) => connection.attach(new Recorder()),
  options?: ListenOptions,
): Promise<Listener> {
  const listener = await listen(address, onConnection, options);
  cleanups.push(() => listener.close());
  return listener;
}

const hasIPv6 = await new Promise<boolean>((resolve) => {
  const probe = net.createServer();
  probe.once("error", () => resolve(false));
  probe.listen(0, "::1", () => probe.close(() => resolve(true)));
});

for (const [name, address] of [
  ["TCP over IPv4", "127.0.0.1:0"],
  ...(hasIPv6 ? [["TCP over IPv6", "[::1]:0"] as const] : []),
  ["a Unix socket", "unix"],
] as const) {
  connectionConformance(name, async (nearHandlers, farHandlers) => {
    const folder = await mkdtemp(join(tmpdir(), "drover-transport-"));
    const where = address === "unix" ? `unix:${join(folder, "s")}` : address;
    const { promise: accepted, resolve: accept } = Promise.withResolvers<Connection>();
    const listener = await listen(where, (connection) => {
      connection.attach(farHandlers);
      accept(connection);
    });
    const { address: host, port } = listener.address;
    const near = await dial(
      address === "unix" ? where : `${host.includes(":") ? `[${host}]` : host}:${port}`,
    );
    near.attach(nearHandlers);
    const far = await accepted;
    return {
      near,
      far,
      dispose: async () => {
        await listener.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}

describe("reading", () => {
  it("lends the same memory to the connections of both sides, so that no read makes garbage", async () => {
    const memory: ArrayBufferLike[] = [];
    const reader = () => {
      const recorder = new Recorder();
      recorder.onData = (chunk) => memory.push(chunk.buffer);
      return recorder;
    };
    const accepted = [reader(), reader()];
    let next = 0;
    const listener = await listening("127.0.0.1:0", (connection) => {
      connection.attach(accepted[next++]!);
      connection.send([Buffer.from("to the one who dialled")]);
    });
    for (let i = 0; i < 2; i++) {
      const near = await dial(`127.0.0.1:${listener.address.port}`);
      cleanups.push(() => near.destroy());
      const told = reader();
      near.attach(told);
      near.send([Buffer.from("to the one who listened")]);
      await told.until(() => told.bytes > 0);
    }
    await accepted[1]!.until(() => accepted[1]!.bytes > 0);
    expect(memory).toHaveLength(4);
    expect(new Set(memory).size).toBe(1);
  });
});

describe("listen", () => {
  it("chooses a port when asked for 0 and tells it; peers know each other's addresses", async () => {
    const peers: Connection[] = [];
    const listener = await listening("127.0.0.1:0", (connection) => {
      peers.push(connection);
      connection.attach(new Recorder());
    });
    expect(listener.address.port).toBeGreaterThan(0);
    const near = await dial(`127.0.0.1:${listener.address.port}`);
    const told = new Recorder();
    near.attach(told);
    near.send([Buffer.from("x")]);
    expect(near.peer).toEqual({ transport: "tcp", address: "127.0.0.1", port: listener.address.port });
    near.end();
    await told.until(() => told.closes > 0);
    expect(peers[0]!.peer.address).toBe("127.0.0.1");
    expect(peers[0]!.peer.port).toBeGreaterThan(0);
  });

  it.runIf(hasIPv6)("takes localhost as both address families on one port", async () => {
    const listener = await listening("localhost:0");
    const { port } = listener.address;
    expect(listener.addresses).toEqual([
      { transport: "tcp", address: "127.0.0.1", port },
      { transport: "tcp", address: "::1", port },
    ]);
    for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
      const near = await dial(`${host}:${port}`);
      near.attach(new Recorder());
      near.destroy();
    }
  });

  it("shows an IPv4 peer of a socket for both families as IPv4", async () => {
    const seen = new Promise<string>((resolve) => {
      void listening("*:0", (connection) => {
        connection.attach(new Recorder());
        resolve(connection.peer.address);
      }).then(async (listener) => {
        const near = await dial(`127.0.0.1:${listener.address.port}`);
        near.attach(new Recorder());
        cleanups.push(() => near.destroy());
      });
    });
    expect(await seen).toBe("127.0.0.1");
  });

  it("names the address, the cause and the remedy when the port is taken", async () => {
    const first = await listening("127.0.0.1:0");
    const address = `127.0.0.1:${first.address.port}`;
    await expect(listen(address, () => {})).rejects.toMatchObject({
      name: "TransportError",
      code: "ADDRESS_IN_USE",
      message: expect.stringMatching(new RegExp(`${address}.*EADDRINUSE.*choose`)) as string,
    });
  });

  it("leaves nothing listening when the second family of localhost is taken", async () => {
    if (!hasIPv6) return;
    const taken = await listening("[::1]:0");
    const { port } = taken.address;
    await expect(listen(`localhost:${port}`, () => {})).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    const again = await listening(`127.0.0.1:${port}`);
    expect(again.address.port).toBe(port);
  });

  it("refuses an address of another machine", async () => {
    await expect(listen("192.0.2.1:0", () => {})).rejects.toMatchObject({ code: "ADDRESS_NOT_AVAILABLE" });
  });

  it("stops accepting on close while established connections stay", async () => {
    let far!: Connection;
    const listener = await listening("127.0.0.1:0", (connection) => {
      far = connection;
      connection.attach(new Recorder());
    });
    const address = `127.0.0.1:${listener.address.port}`;
    const near = await dial(address);
    const told = new Recorder();
    near.attach(told);
    await listener.close();
    await expect(dial(address)).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    far.send([Buffer.from("still here")]);
    await told.until(() => told.bytes === 10);
    near.destroy();
  });

  it("replaces a Unix socket's file that nobody answers at", async () => {
    const path = join(await temporaryFolder(), "s");
    // Killed, a server leaves its file: so does this one, whose handle is closed behind Node's back.
    const { spawn } = await import("node:child_process");
    const child = spawn(process.execPath, [
      "-e",
      `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`,
    ]);
    await new Promise((resolve) => child.once("exit", resolve));
    expect((await stat(path)).isSocket()).toBe(true);
    const listener = await listening(`unix:${path}`);
    const near = await dial(`unix:${path}`);
    near.attach(new Recorder());
    expect(near.peer).toEqual({ transport: "unix", address: path, port: 0 });
    near.destroy();
    await listener.close();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("does not replace a Unix socket that answers, nor a file of another kind", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "s");
    await listening(`unix:${path}`);
    await expect(listen(`unix:${path}`, () => {})).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    const file = join(folder, "notes.txt");
    await writeFile(file, "keep me");
    await expect(listen(`unix:${file}`, () => {})).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    expect((await stat(file)).size).toBe(7);
  });
});

describe("dial", () => {
  it("says who does not listen", async () => {
    const listener = await listening("127.0.0.1:0");
    const address = `127.0.0.1:${listener.address.port}`;
    await listener.close();
    await expect(dial(address)).rejects.toMatchObject({
      code: "CONNECTION_REFUSED",
      message: expect.stringContaining(address) as string,
    });
    await expect(dial("unix:/nonexistent/s")).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    await expect(dial("nobody.invalid:1")).rejects.toMatchObject({ code: "HOST_NOT_FOUND" });
    await expect(dial("::1:1")).rejects.toMatchObject({ code: "ADDRESS_INVALID" });
  });

  it("gives up when its signal aborts, with the signal's reason", async () => {
    const listener = await listening("127.0.0.1:0");
    const address = `127.0.0.1:${listener.address.port}`;
    const reason = new Error("enough");
    await expect(dial(address, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const dialling = dial(address, { signal: controller.signal });
    controller.abort(reason);
    await expect(dialling).rejects.toBe(reason);
  });
});

describe("socket connections", () => {
  it("end cuts a peer that keeps its half open, after the grace", async () => {
    const farTold = new HalfOpenRecorder();
    const listener = await listening("127.0.0.1:0", (connection) => {
      connection.attach(farTold);
      cleanups.push(() => connection.destroy());
    });
    const near = await dial(`127.0.0.1:${listener.address.port}`, { endGraceMs: 20 });
    const told = new Recorder();
    near.attach(told);
    near.send([Buffer.from("bye")]);
    near.end();
    await told.until(() => told.closes > 0);
    expect(told.error).toBeUndefined();
    await farTold.until(() => farTold.count("ended") === 1);
    expect(farTold.joined().toString()).toBe("bye");
  });

  it("end cuts a peer that does not read, after the grace", async () => {
    const listener = await listening("127.0.0.1:0", (connection) => {
      connection.attach(new Recorder());
      connection.pause();
      cleanups.push(() => connection.destroy());
    });
    const near = await dial(`127.0.0.1:${listener.address.port}`, { endGraceMs: 20 });
    const told = new Recorder();
    near.attach(told);
    expect(near.send([pattern(64 * 1_048_576)])).toBe(false);
    near.end();
    await told.until(() => told.closes > 0);
    expect(told.closes).toBe(1);
  });

  it("a reset is told as CONNECTION_LOST with the peer's address", async () => {
    let raw!: net.Socket;
    const server = net.createServer((socket) => {
      raw = socket;
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    const near = await dial(`127.0.0.1:${port}`);
    const told = new Recorder();
    near.attach(told);
    near.send([Buffer.from("x")]);
    while (raw === undefined) await new Promise((resolve) => setImmediate(resolve));
    raw.resetAndDestroy();
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({
      code: "CONNECTION_LOST",
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
  });

  it("keepalive and delay options are taken", async () => {
    const listener = await listening("127.0.0.1:0", undefined, {
      noDelay: false,
      keepAlive: { idleMs: 5_000, intervalMs: 1_000, count: 3 },
    });
    const near = await dial(`127.0.0.1:${listener.address.port}`, { keepAlive: { idleMs: 1_000 } });
    const told = new Recorder();
    near.attach(told);
    near.end();
    await told.until(() => told.closes > 0);
    expect(told.error).toBeUndefined();
  });
});
