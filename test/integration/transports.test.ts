import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { Client } from "@drover/client";
import { JobServer, type Log } from "@drover/server";
import { type DialOptions, dial, listenTls, TlsFiles, WebSocketUpgrades } from "@drover/transport";
import { Worker } from "@drover/worker";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CertificateAuthority } from "../peers/certificates.ts";
import { describeWith } from "../peers/needs.ts";
import { startProgram } from "./programs.ts";

const DROVER = resolve(import.meta.dirname, "../../packages/cli/bin/drover.js");
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

describeWith(["openssl"], "a job server behind TLS and WebSockets", () => {
  let authority: CertificateAuthority;
  let server: JobServer;
  const cleanups: (() => unknown)[] = [];
  beforeEach(async () => {
    authority = await CertificateAuthority.create();
    server = await JobServer.start({ listen: [], log: silent, version: "test", maxConnectionsPerAddress: 3 });
  });
  afterEach(async () => {
    await server.stop(0);
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    await authority.dispose();
  });

  async function listening(scheme: "tls" | "ws" | "wss"): Promise<string> {
    const { files: pair } = await authority.issueForLocalhost();
    const files = await TlsFiles.load({ certificates: [pair] });
    if (scheme === "tls") {
      const listener = await listenTls("127.0.0.1:0", files, (connection) => server.accept(connection));
      cleanups.push(() => listener.close());
      return `tls://127.0.0.1:${listener.address.port}`;
    }
    const upgrades = await WebSocketUpgrades.create();
    const web = scheme === "ws" ? http.createServer() : https.createServer(files.serverOptions);
    web.on("upgrade", (request, socket, head) => {
      upgrades.handleUpgrade(request, socket, head, (connection) => server.accept(connection));
    });
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    cleanups.push(() => web.close());
    return `${scheme}://127.0.0.1:${(web.address() as AddressInfo).port}`;
  }

  for (const scheme of ["tls", "ws", "wss"] as const) {
    test(`jobs of every size go through ${scheme}, and both ways at once`, async () => {
      const servers = await listening(scheme);
      const options: DialOptions = { tls: { ca: authority.root.cert } };
      const ends = {
        servers,
        dial: (name: string, signal: AbortSignal) => dial(name, { ...options, signal }),
      };
      const worker = new Worker({ ...ends, concurrency: 8 });
      worker.handle("echo", (job) => job.workload);
      cleanups.push(() => worker.close());
      await worker.run();
      await using client = new Client(ends);
      const workloads = [0, 1, 65_535, 65_536, 3_000_000, ...Array<number>(500).fill(100)].map((bytes) =>
        randomBytes(bytes),
      );
      const results = await Promise.all(
        workloads.map((workload) => client.submit("echo", workload).result()),
      );
      for (const [i, result] of results.entries()) expect(workloads[i]!.equals(result)).toBe(true);
    });
  }

  test("the command line dials what others dial", async () => {
    const address = await listening("ws");
    const { code, stdout, stderr } = await startProgram(process.execPath, [
      DROVER,
      "admin",
      "-h",
      address,
      "--server-version",
    ]).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "test\n", stderr: "" });
  });

  test("connections of all transports count under the address they come from", async () => {
    const address = await listening("ws");
    const secure = await listening("tls");
    const tls = { ca: authority.root.cert };
    const ends: Promise<void>[] = [];
    for (const where of [address, secure, address, secure]) {
      const connection = await dial(where, { tls });
      ends.push(new Promise((end) => connection.attach({ data() {}, drain() {}, close: () => end() })));
      cleanups.push(() => connection.destroy());
    }
    await ends[3];
  });
});
