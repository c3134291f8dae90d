import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { startMemcached, startRedis, type TestStore } from "../../../test/peers/stores.ts";
import { memcachedBackend, memoryBackend, redisBackend } from "../src/index.ts";
import { backendConformance } from "./backend-conformance.ts";

backendConformance("memory", async () => memoryBackend());

describe("a memory backend's limits", () => {
  const value = (size: number) => () => ({ value: new Uint8Array(size), ttlMs: 60_000 });
  const present = async (backend: ReturnType<typeof memoryBackend>, keys: string[]) =>
    (await backend.get(keys)).map((entry) => !(entry instanceof Error) && entry.value !== undefined);

  test("beyond maxEntries, what was not read for longest goes", async () => {
    const backend = memoryBackend({ maxEntries: 2 });
    await backend.set("a", value(1));
    await backend.set("b", value(1));
    await backend.get(["a"]);
    await backend.set("c", value(1));
    expect(await present(backend, ["a", "b", "c"])).toEqual([true, false, true]);
  });

  test("beyond maxBytes as well, and a value larger than all is refused", async () => {
    const backend = memoryBackend({ maxBytes: 1_000 });
    await backend.set("a", value(400));
    await backend.set("b", value(400));
    await backend.set("c", value(100));
    expect(await present(backend, ["a", "b", "c"])).toEqual([false, true, true]);
    await expect(backend.set("d", value(1_000))).rejects.toMatchObject({ code: "BACKEND_VALUE_TOO_LARGE" });
  });
});

describeWith(["memcached"], "memcached", () => {
  let stores: TestStore[];
  beforeAll(async () => {
    stores = await Promise.all([startMemcached(), startMemcached()]);
  });
  afterAll(() => Promise.all(stores.map((store) => store.remove())));

  backendConformance("memcached", async () =>
    memcachedBackend({ servers: stores.map(({ address }) => address), commandTimeoutMs: 20_000 }),
  );

  test("keys of a node that is away are errors, the others answers, and it comes back by itself", async () => {
    const backend = memcachedBackend({
      servers: stores.map(({ address }) => address),
      retry: { maxMs: 100 },
    });
    const keys = Array.from({ length: 40 }, (_, i) => `spread:${i}`);
    await backend.get(keys);
    await stores[0]!.stop();
    const found = await backend.get(keys);
    const errors = found.filter((entry) => entry instanceof Error);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThan(40);
    await stores[0]!.start();
    await expect
      .poll(async () => (await backend.get(keys)).filter((entry) => entry instanceof Error).length, {
        timeout: 20_000,
      })
      .toBe(0);
    await backend.close();
  });
});

describeWith(["redis"], "Redis", () => {
  let store: TestStore;
  const after: (() => unknown)[] = [];
  beforeAll(async () => {
    store = await startRedis();
  });
  afterAll(async () => {
    for (const end of after) await end();
    await store.remove();
  });

  backendConformance("Redis (ioredis)", async () => {
    const client = new Redis(store.port, "127.0.0.1");
    client.on("error", () => {});
    after.push(() => client.disconnect());
    await client.flushall();
    return redisBackend(client, { commandTimeoutMs: 20_000 });
  });

  backendConformance("Redis (redis)", async () => {
    const client = createClient({ url: `redis://127.0.0.1:${store.port}` });
    client.on("error", () => {});
    await client.connect();
    await client.flushAll();
    after.push(() => client.destroy());
    return redisBackend(client, { commandTimeoutMs: 20_000 });
  });

  test("a Redis that hangs costs the time limit, and too many commands are refused", async () => {
    const client = new Redis(store.port, "127.0.0.1");
    client.on("error", () => {});
    await client.ping();
    const backend = redisBackend(client, { commandTimeoutMs: 50, maxPending: 2 });
    store.signal("SIGSTOP");
    const found = await backend.get(["a", "b", "c"]);
    store.signal("SIGCONT");
    expect(found.map((entry) => (entry as { code?: string }).code)).toEqual([
      "BACKEND_TIMEOUT",
      "BACKEND_TIMEOUT",
      "BACKEND_BUSY",
    ]);
    client.disconnect();
  });
});
