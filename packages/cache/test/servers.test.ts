import { setTimeout as after } from "node:timers/promises";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { expect, it, onTestFinished } from "vitest";
import { type ServerKind, startServer } from "../../../test/peers/servers.ts";
import { until } from "../../../test/peers/until.ts";
import { createCache, defineCached, handleCached } from "../src/index.ts";
import { Memory } from "./memory.ts";

const cached = defineCached<string, string, string, string>({ name: "f", freshMs: 60_000 });

/** A server, a worker of it, and five caches with a connection each that can compute for themselves. */
async function stage(kind: ServerKind, inWorker: () => Promise<string>, own: () => Promise<string>) {
  const backend = new Memory();
  const server = await startServer(kind);
  const worker = new Worker({ servers: server.address, concurrency: 10 });
  const figures = handleCached(worker, cached, inWorker, { backend });
  await worker.run();
  const clients = Array.from({ length: 5 }, () => new Client({ servers: server.address }));
  onTestFinished(async () => {
    for (const client of clients) await client.close();
    void worker.close();
    await server.stop();
  });
  const terms = { backend, compute: own, jobServerTimeoutMs: 200 };
  return { server, figures, caches: clients.map((client) => createCache(cached, { client, ...terms })) };
}

it("a herd is one computation on gearmand, too", async () => {
  const compute = async () => {
    await after(50);
    return "v";
  };
  const { caches, figures } = await stage("gearmand", compute, compute);
  const values = await Promise.all(caches.flatMap((cache) => [cache.get("k"), cache.get("k")]));
  expect(new Set(values)).toEqual(new Set(["v"]));
  expect(figures.computations).toBe(1);
  expect(caches.map(({ metrics }) => metrics.levels["job-server"])).toEqual([1, 1, 1, 1, 1]);
});

it("a herd whose job server is killed is one computation more, by election", async () => {
  let own = 0;
  const compute = async () => {
    own++;
    await after(50);
    return "own";
  };
  const { server, caches, figures } = await stage("drover", () => new Promise(() => {}), compute);
  const asked = Promise.all(caches.flatMap((cache) => [cache.get("k"), cache.get("k")]));
  await until("the worker computes", 10_000, () => figures.computations === 1);
  await server.stop("SIGKILL");
  expect(new Set(await asked)).toEqual(new Set(["own"]));
  expect(own).toBe(1);
});
