import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Connection, dial, type Listener, ListeningSockets, listen } from "../src/index.ts";

/* Sockets that outlive the process that made them. Handing them over needs two, which the tests of `drover serve` have. */

let folder: string;
const listeners: Listener[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-sockets-"));
});
afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function listenOn(address: string, sockets: ListeningSockets): Promise<Listener> {
  const listener = await listen(
    address,
    (connection: Connection) => {
      connection.attach({ data() {}, drain() {}, close() {} });
      connection.end();
    },
    { sockets },
  );
  listeners.push(listener);
  return listener;
}

describe("ListeningSockets", () => {
  it("knows what is listened on, by what was asked for", async () => {
    const sockets = new ListeningSockets();
    const path = join(folder, "s");
    const tcp = await listenOn("127.0.0.1:0", sockets);
    await listenOn(`unix:${path}`, sockets);
    expect(sockets.open.map(({ asked }) => asked)).toEqual(["127.0.0.1:0", `unix:${path}`]);
    expect(new Set(sockets.open.map(({ fd }) => fd)).size).toBe(2);
    await tcp.close();
    expect(sockets.open.map(({ asked }) => asked)).toEqual([`unix:${path}`]);
  });

  it("takes a Unix socket's file away with its listener, unless it is handed over", async () => {
    const path = join(folder, "s");
    const sockets = new ListeningSockets();
    const listener = await listenOn(`unix:${path}`, sockets);
    expect(readdirSync(folder)).toEqual(["s"]);
    const connection = await dial(`unix:${path}`);
    connection.attach({ data() {}, drain() {}, close() {} });
    connection.destroy();
    await listener.close();
    expect(existsSync(path)).toBe(false);
    const again = await listenOn(`unix:${path}`, sockets);
    sockets.handOver();
    await again.close();
    expect(existsSync(path)).toBe(true);
  });

  it("replaces the file of a dead server, not of a live one, nor a file of another kind", async () => {
    const path = join(folder, "s");
    const left = new ListeningSockets();
    const dead = await listenOn(`unix:${path}`, left);
    left.handOver();
    await dead.close();
    const sockets = new ListeningSockets();
    expect((await listenOn(`unix:${path}`, sockets)).addresses).toHaveLength(1);
    await expect(listenOn(`unix:${path}`, new ListeningSockets())).rejects.toThrow("ADDRESS_IN_USE");
    writeFileSync(join(folder, "file"), "");
    await expect(listenOn(`unix:${join(folder, "file")}`, sockets)).rejects.toThrow("ADDRESS_IN_USE");
    expect(readdirSync(folder).sort()).toEqual(["file", "s"]);
    expect(sockets.open).toHaveLength(1);
  });
});
