import { setTimeout as after } from "node:timers/promises";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { describe, expect, it, vi } from "vitest";
import { listStatus, untilStatus } from "../../../test/integration/admin.ts";
import { until } from "../../../test/peers/until.ts";
import { type Cache, type CacheEvent, createCache, handleCached, joinRatio } from "../src/index.ts";
import { Memory } from "./memory.ts";
import { backend, cachedOf, cachesOf, closing, herd, server, work } from "./stage.ts";

/* What becomes of a stale value. */

/** Has `v0` stored for a key, stale by now. */
async function storeStale(cached: ReturnType<typeof cachedOf>, key = "k"): Promise<void> {
  const own = createCache(cached, { backend, compute: () => "v0" });
  await own.get(key);
  await after(2 * cached.freshMs);
}

const reads = (cache: Cache<string, string, string, string>, count = 50) =>
  Promise.all(Array.from({ length: count }, () => cache.get("k")));

describe("a stale value that is read again and again", () => {
  it("is asked for once in each process while no worker is there", async () => {
    const cached = cachedOf(1);
    await storeStale(cached);
    const caches = cachesOf(3, cached);
    for (let round = 0; round < 5; round++) {
      for (const cache of caches) expect(new Set(await reads(cache))).toEqual(new Set(["v0"]));
      await untilStatus(server, cached.name, "one job", ({ total }) => total === 1);
    }
    expect(caches.map(({ metrics }) => metrics.refreshes)).toEqual([1, 1, 1]);
    const figures = await work(cached, () => "v1");
    await until("it is computed anew", 10_000, async () => (await caches[0]!.get("k")) === "v1");
    expect(figures.computations).toBeGreaterThan(0);
  });

  it("is asked for again after a while that doubles when nobody computes, as each key for itself", async () => {
    const cached = cachedOf(100);
    let nowMs = 1_000_000;
    const now = () => nowMs;
    const client = new Client({ servers: "127.0.0.1:1", unreachableMs: 60_000 });
    closing.push(() => client.close());
    const own = createCache(cached, { backend, compute: () => "v0", now });
    const cache = createCache(cached, { client, backend, now, random: () => 0, jobServerTimeoutMs: 20 });
    await Promise.all([own.get("k"), own.get("other")]);
    nowMs += 100;
    const { metrics } = cache;
    const failed = (count: number) => until("it has failed", 10_000, () => metrics.failures === count);
    for (const [failures, restMs] of [1_000, 2_000, 4_000].entries()) {
      await reads(cache);
      await failed(failures + 1);
      nowMs += restMs - 1;
      expect(new Set(await reads(cache))).toEqual(new Set(["v0"]));
      expect(metrics.refreshes).toBe(failures + 1);
      nowMs += 1;
    }
    expect(await cache.get("other")).toBe("v0");
    await failed(4);
    // Who waits for a fresh one is not held back.
    await reads(cache);
    await failed(5);
    await expect(cache.get("k", { fresh: true })).rejects.toMatchObject({ code: "NOBODY_COMPUTES" });
  });

  it("has refresh submitted once at a time by a process, and once more for all who asked meanwhile", async () => {
    const cached = cachedOf();
    const client = new Client({ servers: server.address });
    const submitted = vi.spyOn(client, "background");
    closing.push(() => client.close());
    const cache = createCache(cached, { client, backend, maxFlights: 1 });
    const asked = Array.from({ length: 20 }, () => cache.refresh("k"));
    await expect(cache.refresh("other")).rejects.toMatchObject({ code: "TOO_MANY_FLIGHTS" });
    await Promise.all(asked);
    expect(submitted).toHaveBeenCalledTimes(2);
    await cache.refresh("k");
    await cache.refresh("other");
    expect(submitted).toHaveBeenCalledTimes(4);
    expect((await listStatus(server)).get(cached.name)!.total).toBe(2);
    const figures = await work(cached, (key) => key);
    await untilStatus(server, cached.name, "nothing left", ({ total }) => total === 0);
    expect(figures.computations + figures.spared).toBe(2);
  });

  it("leads to the fresh one, by lookup's result", async () => {
    const cached = cachedOf(500);
    await storeStale(cached);
    const go = Promise.withResolvers<string>();
    await work(cached, () => go.promise);
    const [cache] = cachesOf(1, cached);
    const found = await cache!.lookup("k");
    expect(found).toMatchObject({ value: "v0", stale: true });
    await expect(found.fresh({ deadlineMs: 20 })).rejects.toMatchObject({ code: "CACHE_TIMEOUT" });
    const fresh = found.fresh();
    go.resolve("v1");
    expect(await fresh).toMatchObject({ value: "v1", stale: false });
    expect(cache!.metrics.flights).toBe(1);
  });
});

/** A backend that the worker reaches, and the caller does not. */
function cutOff(): Memory {
  const away = new Memory();
  away.mode = "away";
  return away;
}

describe("a stale value that the caller cannot read", () => {
  it("is sent by the worker before it computes, to all who wait, late ones too", async () => {
    const cached = cachedOf(1);
    await storeStale(cached);
    const go = Promise.withResolvers<string>();
    const figures = await work(cached, async (_key, { data }) => {
      await data("half");
      return go.promise;
    });
    const [first, late] = cachesOf(2, cached, { backend: cutOff() });
    expect(await first!.lookup("k")).toMatchObject({ value: "v0", stale: true });
    const events: CacheEvent<string>[] = [];
    const streamed = (async () => {
      for await (const event of late!.stream("k")) events.push(event);
    })();
    expect(await late!.get("k")).toBe("v0");
    const fresh = late!.get("k", { fresh: true });
    await until("the part has come", 10_000, () => events.length === 2);
    go.resolve("v1");
    await streamed;
    expect(await fresh).toBe("v1");
    expect(events).toMatchObject([
      { type: "value", value: "v0", stale: true },
      { type: "data", data: new Uint8Array(Buffer.from("half")) },
      { type: "value", value: "v1", stale: false },
    ]);
    expect(figures.computations).toBe(1);
  });

  it("comes with a failure that is in force, too", async () => {
    const cached = cachedOf(1);
    await storeStale(cached);
    let broken = 0;
    await work(cached, () => {
      broken++;
      throw new Error("broken");
    });
    const [well] = cachesOf(1, cached);
    await expect(well!.get("k", { fresh: true })).rejects.toMatchObject({ code: "COMPUTATION_FAILED" });
    const [cache] = cachesOf(1, cached, { backend: cutOff() });
    expect(await cache!.get("k")).toBe("v0");
    expect(broken).toBe(1);
  });

  it("is not taken from what a computation sends ahead", async () => {
    const cached = cachedOf(1);
    await storeStale(cached);
    const [stored] = backend.values.values();
    backend.values.clear();
    await work(cached, async (_key, { data }) => {
      await data(stored!.value);
      return "v1";
    });
    const [cache] = cachesOf(1, cached);
    const parts: Uint8Array[] = [];
    let last: unknown;
    for await (const event of cache!.stream("k"))
      if (event.type === "data") parts.push(event.data);
      else last = event;
    expect(Buffer.concat(parts)).toEqual(Buffer.from(stored!.value));
    expect(last).toMatchObject({ type: "value", value: "v1", stale: false });
  });
});

it("the join ratio is calls for each computation that was waited for", async () => {
  const cached = cachedOf(1);
  const worker = new Worker({ servers: server.address });
  closing.push(() => worker.close());
  handleCached(worker, cached, (key) => key, { backend });
  const [cache] = cachesOf(1, cached);
  expect(joinRatio(cache!.metrics)).toBe(0);
  const asked = [herd([cache!], 30, "a"), herd([cache!], 10, "b")];
  await until("all wait", 10_000, () => cache!.metrics.waits === 40);
  await worker.run();
  await Promise.all(asked);
  await after(5);
  // Stale, so one more for the cache alone.
  expect(await cache!.get("a")).toBe("a");
  await until("it is computed anew", 10_000, () => cache!.metrics.ended === 3);
  expect(joinRatio(cache!.metrics)).toBe(20);
  expect(cache!.metrics.herds.map(({ count }) => count)).toEqual([1, 1, 1, 1, 2, 2, 3, 3, 3, 3]);
});
