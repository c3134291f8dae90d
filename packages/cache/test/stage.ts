import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { startServer, type TestServer } from "../../../test/peers/servers.ts";
import {
  type Cache,
  type CacheOptions,
  type ComputationFigures,
  type Compute,
  createCache,
  defineCached,
  handleCached,
} from "../src/index.ts";
import { Memory } from "./memory.ts";

/* A job server for all tests of a file, and for each test a backend that begins empty. */

export let server: TestServer;
beforeAll(async () => {
  server = await startServer("drover");
});
afterAll(() => server?.stop());

export let backend: Memory;
/** Done after the test, the last one first. */
export let closing: (() => Promise<unknown>)[];
let names = 0;
export const newName = () => `f${names++}`;
beforeEach(() => {
  backend = new Memory();
  closing = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
});

/** A function of a name of its own, that is fresh for a minute unless told otherwise. */
export const cachedOf = (freshMs = 60_000) =>
  defineCached<string, string, string, string>({
    name: newName(),
    freshMs,
    staleMs: 60_000,
    earlyRefresh: 0,
  });
type Text = ReturnType<typeof cachedOf>;

export async function work(
  cached: Text,
  compute: Compute<string, string>,
): Promise<Readonly<ComputationFigures>> {
  const worker = new Worker({ servers: server.address, concurrency: 10 });
  closing.push(() => worker.close());
  const figures = handleCached(worker, cached, compute, { backend });
  await worker.run();
  return figures;
}

/** As many processes would: each with a connection of its own. */
export function cachesOf(
  count: number,
  cached: Text,
  options: Partial<CacheOptions<string, string>> = {},
): Cache<string, string, string, string>[] {
  return Array.from({ length: count }, () => {
    const client = new Client({ servers: server.address });
    closing.push(() => client.close());
    return createCache(cached, { client, backend, ...options });
  });
}

export const herd = (caches: ReturnType<typeof cachesOf>, each = 10, key = "k") =>
  Promise.all(caches.flatMap((cache) => Array.from({ length: each }, () => cache.get(key))));
