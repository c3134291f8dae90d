import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { untilWaiting } from "../../../test/integration/admin.ts";
import { describeWith } from "../../../test/peers/needs.ts";
import { startServer, type TestServer } from "../../../test/peers/servers.ts";
import { startMemcached, type TestStore } from "../../../test/peers/stores.ts";
import { until } from "../../../test/peers/until.ts";
import { uniqueOf } from "../src/cached.ts";
import { cached, type Places } from "./herd/cached.ts";
import type { Herd, HerdReport } from "./herd/client.ts";

/* Many processes, of which any may be killed. */

const PROCESSES = 8;
const EACH = 50;
const CALLS_MS = 60_000;

describeWith(["memcached"], `a herd of ${PROCESSES} processes with ${EACH} calls each for a key`, () => {
  let server: TestServer;
  let store: TestStore;
  let places: Places;
  let clients: ChildProcess[] = [];
  const workers: ChildProcess[] = [];
  let keys: string[] = [];
  let tests = 0;

  const start = async (program: string) => {
    const child = fork(join(import.meta.dirname, "herd", program), [JSON.stringify(places)]);
    const [message] = await Promise.race([once(child, "message"), once(child, "exit")]);
    expect(message).toBe("ready");
    return child;
  };
  const startWorker = async () => {
    const worker = await start("worker.ts");
    workers.push(worker);
    return worker;
  };
  const kill = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };

  beforeAll(async () => {
    [server, store] = await Promise.all([startServer("drover"), startMemcached()]);
    places = {
      server: server.address,
      memcached: store.address,
      begun: join(store.folder, "begun"),
    };
    clients = await Promise.all(Array.from({ length: PROCESSES }, () => start("client.ts")));
  });
  beforeEach(async () => {
    keys = ["a", "b", "c"].map((name) => `${name}${tests}`);
    tests++;
    await store.stop();
    await store.start();
    rmSync(places.begun, { force: true });
    for (const worker of workers.splice(0)) await kill(worker);
  });
  afterAll(async () => {
    await Promise.all([...clients, ...workers].map(kill));
    await Promise.all([server?.stop(), store?.remove()]);
  });

  /** How often each key began to be computed. */
  const begun = () => {
    const lines = existsSync(places.begun) ? readFileSync(places.begun, "utf8").trim().split("\n") : [];
    return keys.map((key) => lines.filter((line) => line === key).length);
  };
  const untilBegun = (times: number) =>
    until(`each key begins ${times} times`, CALLS_MS, () => begun().every((count) => count >= times));

  /** All processes at once. */
  const ask = (options: Partial<Herd> = {}): Promise<HerdReport[]> => {
    const herd: Herd = { keys, each: EACH, jobServerTimeoutMs: CALLS_MS, computes: false, ...options };
    return Promise.all(
      clients.map(async (client) => {
        const reported = once(client, "message");
        client.send(herd);
        return (await reported)[0];
      }),
    );
  };
  /** Until every process waits for the job of every key. */
  const untilAllWait = async () => {
    for (const key of keys) await untilWaiting(server, uniqueOf(cached, key, 0), PROCESSES);
  };
  const allRight = (reports: readonly HerdReport[]) => {
    expect(reports.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(reports.map(({ right }) => right)).toEqual(clients.map(() => EACH * keys.length));
  };

  test("is one computation for each key, and none afterwards", async () => {
    const worker = await startWorker();
    const asked = ask();
    await untilAllWait();
    worker.send("open");
    const reports = await asked;
    allRight(reports);
    expect(reports.map(({ flights }) => flights)).toEqual(clients.map(() => keys.length));
    expect(begun()).toEqual([1, 1, 1]);
    const again = await ask();
    allRight(again);
    expect(again.map(({ hits }) => hits)).toEqual(clients.map(() => EACH * keys.length));
    expect(begun()).toEqual([1, 1, 1]);
  });

  test("is one computation for each key when memcached is killed in its midst, and one when it is away", async () => {
    const worker = await startWorker();
    const asked = ask();
    await untilAllWait();
    await store.stop();
    worker.send("open");
    allRight(await asked);
    expect(begun()).toEqual([1, 1, 1]);
    keys = keys.map((key) => `${key} without memcached`);
    await kill(worker);
    const other = await startWorker();
    const without = ask();
    await untilAllWait();
    other.send("open");
    allRight(await without);
    expect(begun()).toEqual([1, 1, 1]);
  });

  test("is one computation more for each key that a worker had when it was killed", async () => {
    const first = await startWorker();
    const asked = ask();
    await untilAllWait();
    await untilBegun(1);
    const second = await startWorker();
    await kill(first);
    await untilBegun(2);
    second.send("open");
    allRight(await asked);
    expect(begun()).toEqual([2, 2, 2]);
  });

  test("is one computation more for each key, by election, when the job server is killed, also with the worker", async () => {
    const worker = await startWorker();
    const asked = ask({ computes: true, jobServerTimeoutMs: 500 });
    await untilAllWait();
    await untilBegun(1);
    await server.stop("SIGKILL");
    await kill(worker);
    const reports = await asked;
    allRight(reports);
    expect(reports.map(({ levels }) => levels.election)).toEqual(clients.map(() => keys.length));
    expect(begun()).toEqual([2, 2, 2]);
  });
});
