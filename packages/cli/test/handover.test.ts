import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { Client, type ClientOptions } from "@drover/client";
import { dial } from "@drover/transport";
import { Worker } from "@drover/worker";
import { describe, expect, onTestFinished, test } from "vitest";
import { CertificateAuthority } from "../../../test/peers/certificates.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { stage, until } from "./running.ts";

/* A server hands its listening sockets and its store over to a new process, while clients come all the time. */

// Those that follow have the streams of the first server, whose end the stage waits for.
const at = stage({ withFollowers: true });

interface Ready {
  readonly pid: number;
  readonly listeners: readonly { readonly transport: string; readonly port: number }[];
  /** As `host:port`. */
  readonly http: readonly string[];
}

function readyIn(file: string): Ready | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Ready) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Asks the server to hand over, and waits until another one serves and it is gone. */
async function handOver(readyFile: string): Promise<Ready> {
  const before = readyIn(readyFile)!;
  process.kill(before.pid, "SIGUSR2");
  const after = await until("another process serves", () => {
    const ready = readyIn(readyFile);
    return ready?.pid === before.pid ? undefined : ready;
  });
  await until("the one before is gone", () => !isAlive(before.pid));
  return after;
}

/** Does something again and again until told to stop; what it throws is kept. */
function again(act: () => Promise<void>) {
  const problems = new Set<string>();
  let goesOn = true;
  let times = 0;
  const ended = (async () => {
    while (goesOn) {
      try {
        await act();
        times++;
      } catch (error) {
        problems.add(String(error));
      }
    }
  })();
  return {
    problems,
    times: () => times,
    stop: () => {
      goesOn = false;
      return ended;
    },
  };
}

/** Makes a connection, asks for something and waits for the answer or the end; throws when it is not let in. */
function knock(to: { port: number; host: string } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    let isIn = false;
    const socket = connect(to, () => {
      isIn = true;
      socket.write("version\r\n\r\n");
    });
    socket.once("data", () => socket.destroy());
    socket.on("error", (error) => isIn || reject(error));
    socket.once("close", () => resolve());
  });
}

/** As `knock`, with a handshake: throws when the port is closed, or shows a certificate that `ca` does not vouch for. */
function knockSecurely(to: { port: number; host: string; ca: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    let isIn = false;
    const socket = connectTls(to, () => socket.write("version\r\n\r\n"));
    socket.once("connect", () => {
      isIn = true;
    });
    socket.once("data", () => socket.destroy());
    // The old server ends connections, whether their handshakes have ended or not.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const isEnded = isIn && (error.code === "ECONNRESET" || error.code === "EPIPE");
      if (!isEnded) reject(error);
    });
    socket.once("close", () => resolve());
  });
}

/** The ports of `--tls` and `--https`. */
function securePorts(readyFile: string): [tls: number, web: number] {
  const { listeners, http } = readyIn(readyFile)!;
  const { port } = listeners.find(({ transport }) => transport === "tls")!;
  return [port, Number(http[0]!.split(":").at(-1))];
}

/** A request on a connection of its own, and the certificate that it was shown. */
function request(url: string, options: { ca: string }): Promise<{ status?: number; serialNumber: string }> {
  return new Promise((resolve, reject) => {
    https
      .get(url, { ...options, agent: false }, (response) => {
        const { serialNumber } = (response.socket as TLSSocket).getPeerX509Certificate()!;
        resolve({ status: response.statusCode!, serialNumber });
        response.resume();
      })
      .on("error", reject);
  });
}

/** A foreground job that ends when it is told to. */
async function aJobThatRuns(servers: string, more: Omit<ClientOptions, "servers"> = {}) {
  const [started, finished] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const worker = new Worker({ servers, ...more });
  worker.handle("slow", async () => {
    started.resolve();
    await finished.promise;
    return "done";
  });
  await worker.run();
  const client = new Client({ servers, ...more });
  const result = client.submit("slow", "").result();
  result.catch(() => {});
  await started.promise;
  return {
    result,
    finish: () => finished.resolve(),
    async [Symbol.asyncDispose]() {
      finished.resolve();
      await Promise.all([client.close(), worker.close()]);
    },
  };
}

describe("SIGUSR2", () => {
  test("another process follows: no connection is refused, and every acknowledged job runs", async () => {
    const path = at.folder.file("drover.sock");
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    const listen = ["--listen", "localhost:0", "--listen", `unix:${path}`, "--http", "localhost:0"];
    const pidFile = at.folder.file("pid");
    const server = await at.serve("--store", store, ...listen, "--pid-file", pidFile, "--warm-up-ms", "0");
    const exit = new Promise((resolve) => server.child.once("exit", resolve));
    const http = Number(readyIn(server.readyFile)!.http[0]!.split(":").at(-1));
    const servers = `127.0.0.1:${server.port}`;
    const backoff = { initialMs: 5, maxMs: 20 };

    const ran = new Set<string>();
    const worker = new Worker({ servers, backoff });
    worker.handle("f", ({ unique }) => void ran.add(unique));
    await worker.run();
    onTestFinished(() => worker.close());

    const refusals: unknown[] = [];
    const onNotice: ClientOptions["onNotice"] = (notice) => {
      const code = notice.type === "unreachable" && "code" in notice.error ? notice.error.code : undefined;
      if (code === "CONNECTION_REFUSED") refusals.push(notice);
    };
    const acknowledged: string[] = [];
    let serial = 0;
    const submits = () =>
      again(async () => {
        await using client = new Client({ servers, backoff, onNotice });
        const unique = `job ${serial++}`;
        await client.background("f", "w", { unique });
        acknowledged.push(unique);
      });
    const load = [
      submits(),
      submits(),
      again(() => knock({ host: "127.0.0.1", port: server.port })),
      again(() => knock({ host: "127.0.0.1", port: http })),
      again(() => knock({ path })),
    ];

    for (let i = 0; i < 3; i++) {
      const enough = load.map((each) => each.times() + 20);
      await until("there is load", () => load.every((each, n) => each.times() >= enough[n]!));
      const { pid } = await handOver(server.readyFile);
      expect(readFileSync(pidFile, "utf8")).toBe(`${pid}\n`);
    }
    await Promise.all(load.map((each) => each.stop()));
    expect(await exit).toBe(0);
    expect(load.map((each) => [...each.problems])).toEqual([[], [], [], [], []]);
    expect(refusals).toEqual([]);
    await until("all ran", () => acknowledged.every((unique) => ran.has(unique)));

    const { pid } = readyIn(server.readyFile)!;
    process.kill(pid, "SIGTERM");
    await until("the last one is gone", () => !isAlive(pid));
    expect([existsSync(path), existsSync(pidFile), existsSync(server.readyFile)]).toEqual([
      false,
      false,
      false,
    ]);
  });

  test("a process that cannot follow changes nothing: the old one goes on", async () => {
    const config = at.folder.file("drover.yaml");
    writeFileSync(config, "server:\n  grace: 1\n");
    const server = await at.serve("--config", config, "--warm-up-ms", "0");
    writeFileSync(config, "server:\n  gracious: 1\n");
    process.kill(server.child.pid!, "SIGUSR2");
    await until("it says so", () => server.stderr().includes("could not hand over"));
    expect(server.stderr()).toContain("gracious");
    await using client = new Client({ servers: `127.0.0.1:${server.port}` });
    expect(Buffer.from(await client.echo("here")).toString()).toBe("here");
    writeFileSync(config, "server:\n  grace: 1\n");
    const { pid } = await handOver(server.readyFile);
    process.kill(pid, "SIGTERM");
    await until("it is gone", () => !isAlive(pid));
  });

  test("a server that is asked to end meanwhile ends, and so does the one that was to follow", async () => {
    const server = await at.serve("--warm-up-ms", "1500");
    process.kill(server.child.pid!, "SIGUSR2");
    await until("it starts another", () => server.stderr().includes("starting a process that takes over"));
    process.kill(server.child.pid!, "SIGTERM");
    // Both had the pipe of its standard error.
    expect(await server.ended).toBe(0);
    expect(server.stderr()).not.toContain('"handing over"');
  });

  test("a server that is asked to end while it hands over lets jobs end, and nobody serves after it", async () => {
    const server = await at.serve("--warm-up-ms", "0", "--grace", "20");
    const exit = new Promise((resolve) => server.child.once("exit", resolve));
    await using busy = await aJobThatRuns(`127.0.0.1:${server.port}`);
    process.kill(server.child.pid!, "SIGUSR2");
    await until("it hands over", () => server.stderr().includes('"handing over"'));
    process.kill(server.child.pid!, "SIGTERM");
    await until("it says so", () => server.stderr().includes("so does the process that takes over"));
    busy.finish();
    expect(Buffer.from(await busy.result).toString()).toBe("done");
    expect(await exit).toBe(0);
    // Both had the pipe of its standard error.
    await server.ended;
    expect(existsSync(server.readyFile)).toBe(false);
  });
});

describeWith(["openssl"], "SIGUSR2 with TLS", () => {
  test("the ports of Gearman and HTTPS are handed over: no connection is refused, and a running job ends", async () => {
    const authority = await CertificateAuthority.create();
    onTestFinished(() => authority.dispose());
    const issued = await authority.issueForLocalhost();
    const files = ["--tls-certificate", issued.files.certificate, "--tls-key", issued.files.key];
    const server = await at.serve(
      "--tls",
      "localhost:0",
      "--https",
      "localhost:0",
      ...files,
      "--grace",
      "20",
    );
    const exit = new Promise((resolve) => server.child.once("exit", resolve));
    const [tls, web] = securePorts(server.readyFile);
    const secure = { ca: authority.root.cert };
    const servers = `tls://localhost:${tls}`;
    const toServer = (server: string, signal: AbortSignal) => dial(server, { signal, tls: secure });
    await using busy = await aJobThatRuns(servers, { dial: toServer });

    const load = [tls, web].map((port) => again(() => knockSecurely({ host: "localhost", port, ...secure })));
    const shown = () => load.map((each) => each.times());
    const more = async (what: string) => {
      const before = shown();
      await until(what, () => shown().every((times, n) => times >= before[n]! + 20));
    };
    await more("there is load");
    const { pid } = readyIn(server.readyFile)!;
    process.kill(pid, "SIGUSR2");
    await until("it hands over", () => server.stderr().includes('"handing over"'));
    busy.finish();
    expect(Buffer.from(await busy.result).toString()).toBe("done");
    await until("another process serves", () => readyIn(server.readyFile)?.pid !== pid);
    expect(await exit).toBe(0);
    await more("the follower has the load");
    await Promise.all(load.map((each) => each.stop()));
    expect(load.map((each) => [...each.problems])).toEqual([[], []]);

    expect(securePorts(server.readyFile)).toEqual([tls, web]);
    await using client = new Client({ servers, dial: toServer });
    expect(Buffer.from(await client.echo("here")).toString()).toBe("here");
    const answer = await request(`https://localhost:${web}/readyz`, secure);
    expect(answer).toEqual({ status: 200, serialNumber: new X509Certificate(issued.cert).serialNumber });
  });
});
