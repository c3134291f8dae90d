import { setTimeout as after } from "node:timers/promises";
import { Client, type StandardSchema } from "@drover/client";
import { Worker } from "@drover/worker";
import { describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { type CacheEvent, createCache, defineCached, handleCached } from "../src/index.ts";
import { backend, cachedOf, cachesOf, closing, herd, newName, server, work } from "./stage.ts";

describe("a herd", () => {
  it("is one computation when nothing is cached", async () => {
    const cached = cachedOf();
    const figures = await work(cached, async (key) => {
      await after(50);
      return `value of ${key}`;
    });
    const caches = cachesOf(5, cached);
    expect(new Set(await herd(caches))).toEqual(new Set(["value of k"]));
    expect(figures.computations).toBe(1);
    expect(figures.stored).toBe(1);
    expect(caches.map(({ metrics }) => metrics.largestHerd)).toEqual([10, 10, 10, 10, 10]);
    expect(await caches[0]!.get("k")).toBe("value of k");
    expect(caches[0]!.metrics.hits).toBe(1);
  });

  it.each(["away", "hangs"] as const)("is one computation when the backend %s", async (mode) => {
    const cached = cachedOf();
    backend.mode = mode;
    const worker = new Worker({ servers: server.address, concurrency: 10 });
    closing.push(() => worker.close());
    const compute = async () => {
      await after(50);
      return "v";
    };
    const figures = handleCached(worker, cached, compute, { backend, backendTimeoutMs: 50 });
    await worker.run();
    const caches = cachesOf(5, cached, { backendTimeoutMs: 50 });
    expect(new Set(await herd(caches))).toEqual(new Set(["v"]));
    expect(figures).toMatchObject({ computations: 1, notStored: 1 });
  });

  it("is one computation by election when the job server is away, and one for each process without backend", async () => {
    const cached = cachedOf();
    let computations = 0;
    const compute = async () => {
      computations++;
      await after(50);
      return "v";
    };
    const caches = cachesOf(5, cached, { client: undefined, compute });
    await herd(caches);
    expect(computations).toBe(1);
    expect(caches.map(({ metrics }) => metrics.levels.election)).toEqual([1, 1, 1, 1, 1]);
    backend.mode = "away";
    await herd(caches);
    expect(computations).toBe(6);
    expect(caches.map(({ metrics }) => metrics.levels.process)).toEqual([1, 1, 1, 1, 1]);
  });

  it("goes down the ladder when the job server does not answer, and fails where nobody computes", async () => {
    const cached = cachedOf();
    const client = new Client({ servers: "127.0.0.1:1", unreachableMs: 60_000 });
    closing.push(() => client.close());
    const terms = { client, backend, jobServerTimeoutMs: 20 };
    const cache = createCache(cached, { ...terms, compute: () => "v" });
    expect(await cache.get("k")).toBe("v");
    expect(cache.metrics.levels).toEqual({ "job-server": 0, election: 1, process: 0 });
    await expect(createCache(cached, terms).get("other")).rejects.toMatchObject({ code: "NOBODY_COMPUTES" });
  });

  it("is told a failure once, which is then remembered", async () => {
    const cached = cachedOf();
    const figures = await work(cached, async () => {
      await after(50);
      throw new Error("the database is down");
    });
    const caches = cachesOf(5, cached);
    const ends = await Promise.allSettled(caches.flatMap((cache) => [cache.get("k"), cache.get("k")]));
    for (const end of ends)
      expect(end).toMatchObject({
        status: "rejected",
        reason: { message: "COMPUTATION_FAILED: the database is down" },
      });
    await expect(caches[0]!.get("k")).rejects.toMatchObject({ code: "COMPUTATION_FAILED" });
    expect(figures.computations).toBe(1);
  });

  it("has the value of another worker when the first is lost", async () => {
    const cached = cachedOf();
    const first = new Worker({ servers: server.address });
    let begun = false;
    const never = () => {
      begun = true;
      return new Promise<string>(() => {});
    };
    handleCached(first, cached, never, { backend });
    await first.run();
    const asked = herd(cachesOf(3, cached));
    await until("the first worker computes", 10_000, () => begun);
    const figures = await work(cached, () => "v");
    void first.close();
    expect(new Set(await asked)).toEqual(new Set(["v"]));
    expect(figures.computations).toBe(1);
  });
});

describe("a value", () => {
  it("that is stale is served at once and computed anew once, and a stream tells both", async () => {
    const cached = cachedOf(1);
    let n = 0;
    const go = Promise.withResolvers<void>();
    const figures = await work(cached, async (_key, { status, data }) => {
      if (n > 0) {
        status(1, 2);
        await data("half");
        await go.promise;
      }
      return `v${n++}`;
    });
    const caches = cachesOf(3, cached);
    await caches[0]!.get("k");
    await after(5);
    const events: CacheEvent<string>[] = [];
    const streamed = (async () => {
      for await (const event of caches[0]!.stream("k")) events.push(event);
    })();
    expect(new Set(await herd(caches))).toEqual(new Set(["v0"]));
    await until("the part has come", 10_000, () => events.length === 3);
    expect(figures.computations).toBe(2);
    go.resolve();
    await streamed;
    expect(events).toMatchObject([
      { type: "value", value: "v0", stale: true },
      { type: "status", numerator: 1, denominator: 2 },
      { type: "data", data: new Uint8Array(Buffer.from("half")) },
      { type: "value", value: "v1", stale: false },
    ]);
  });

  it("that is stale stays when it cannot be computed anew, with the error", async () => {
    const cached = cachedOf(1);
    let broken = false;
    await work(cached, () => {
      if (broken) throw new Error("broken");
      return "v";
    });
    const [cache] = cachesOf(1, cached);
    await cache!.get("k");
    await after(5);
    broken = true;
    await expect(cache!.get("k", { fresh: true })).rejects.toMatchObject({ code: "COMPUTATION_FAILED" });
    expect(await cache!.lookup("k")).toMatchObject({
      value: "v",
      stale: true,
      error: { message: "COMPUTATION_FAILED: broken" },
    });
  });

  it("computed from what was before an invalidation is given to nobody after it, and does not replace the new one", async () => {
    const cached = cachedOf();
    const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    let run = 0;
    const figures = await work(cached, () => gates[run++]!.promise);
    const [one, other] = cachesOf(2, cached);
    const before = one!.get("k");
    await until("it runs", 10_000, () => figures.computations === 1);
    await other!.invalidate("k");
    const later = [one!.get("k"), other!.get("k")];
    await until("the second runs", 10_000, () => figures.computations === 2);
    gates[1]!.resolve("new");
    expect(await Promise.all(later)).toEqual(["new", "new"]);
    gates[0]!.resolve("old");
    expect(await before).toBe("old");
    expect(await one!.get("k")).toBe("new");
  });

  it("is computed once more after the run under way, however often it is refreshed", async () => {
    const cached = cachedOf();
    const go = Promise.withResolvers<void>();
    let run = 0;
    const figures = await work(cached, async () => {
      await go.promise;
      return `v${run++}`;
    });
    const [cache] = cachesOf(1, cached);
    const first = cache!.get("k");
    await until("it runs", 10_000, () => figures.computations === 1);
    for (let i = 0; i < 5; i++) await cache!.refresh("k");
    go.resolve();
    expect(await first).toBe("v0");
    await until("it ran again", 10_000, async () => (await cache!.get("k")) === "v1");
    expect(figures.computations).toBe(2);
  });

  it("is in the backend when the job completes, and comes all the same when it cannot be stored", async () => {
    const cached = cachedOf();
    const figures = await work(cached, (key) => key);
    const [cache] = cachesOf(1, cached);
    await cache!.get("a");
    expect(backend.values.size).toBe(1);
    backend.refusesWrites = true;
    expect(await cache!.get("b")).toBe("b");
    expect(figures).toMatchObject({ stored: 1, notStored: 1 });
  });

  it("that is no value is a miss", async () => {
    const cached = cachedOf();
    await work(cached, () => "v");
    backend.values.set(`${cached.name}:1:k`, { value: Buffer.from("garbage"), untilMs: Number.MAX_VALUE });
    const [cache] = cachesOf(1, cached);
    expect(await cache!.get("k")).toBe("v");
    expect(cache!.metrics.unreadable).toBe(1);
  });

  it("goes through the schemas on its way, and is a miss where it does not fit", async () => {
    const schema = <In, Out>(parse: (value: unknown) => Out | undefined): StandardSchema<In, Out> => ({
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => {
          const parsed = parse(value);
          return parsed === undefined ? { issues: [{ message: "does not fit" }] } : { value: parsed };
        },
      },
    });
    const counts = defineCached({
      name: newName(),
      freshMs: 60_000,
      input: schema<string, number>((text) => Number(text)),
      output: schema<{ day: string }, Date>((value) => {
        const { day } = value as { day?: string };
        return day === undefined ? undefined : new Date(day);
      }),
    });
    const asked: unknown[] = [];
    const compute = (day: number) => {
      asked.push(day);
      return { day: new Date(day).toISOString() };
    };
    const cache = createCache(counts, { backend, compute });
    expect(await cache.get("86400000")).toEqual(new Date("1970-01-02"));
    expect(await cache.get("86400000")).toEqual(new Date("1970-01-02"));
    expect(asked).toEqual([86_400_000]);
    // What another program stored under the same name and version.
    const other = defineCached<string, string, string, string>({ name: counts.name, freshMs: 60_000 });
    await createCache(other, { backend, compute: () => "tomorrow" }).get("0");
    expect(await cache.get("0")).toEqual(new Date(0));
    expect(cache.metrics.unreadable).toBe(1);
  });
});

describe("a call", () => {
  it("ends at its own deadline or signal, while others wait on", async () => {
    const cached = cachedOf();
    const go = Promise.withResolvers<string>();
    await work(cached, () => go.promise);
    const [cache] = cachesOf(1, cached);
    const others = [cache!.get("k"), cache!.get("k")];
    const abort = new AbortController();
    const aborted = cache!.get("k", { signal: abort.signal });
    await expect(cache!.get("k", { deadlineMs: 20 })).rejects.toMatchObject({ code: "CACHE_TIMEOUT" });
    abort.abort(new Error("no longer"));
    await expect(aborted).rejects.toThrow("no longer");
    go.resolve("v");
    expect(await Promise.all(others)).toEqual(["v", "v"]);
  });

  it("that is the last to leave fills the cache, or abandons what nobody has begun", async () => {
    const cached = cachedOf();
    const [cache] = cachesOf(1, cached);
    const left = { deadlineMs: 100 };
    await Promise.allSettled([
      cache!.get("kept", left),
      cache!.get("dropped", { ...left, whenLeft: "abandon" }),
    ]);
    const figures = await work(cached, (key) => key);
    await until("the kept one is there", 10_000, () => figures.stored === 1);
    await cache!.get("last");
    expect([...backend.values.keys()]).toEqual([`${cached.name}:1:kept`, `${cached.name}:1:last`]);
  });

  it("for many keys reads them in one batch, and each ends for itself", async () => {
    const cached = cachedOf();
    const compute = (key: string) => {
      if (key === "bad") throw new Error("bad");
      return key;
    };
    const [cache] = cachesOf(1, cached, { client: undefined, compute, maxKeys: 3, maxBatch: 2 });
    const ends = await cache!.getMany(["a", "bad", "b"]);
    expect(ends.map((end) => (end.status === "fulfilled" ? end.value : end.reason.code))).toEqual([
      "a",
      "COMPUTATION_FAILED",
      "b",
    ]);
    expect(backend.reads.slice(0, 2).map((keys) => keys.length)).toEqual([2, 1]);
    await expect(cache!.getMany(["a", "b", "c", "d"])).rejects.toMatchObject({ code: "BATCH_TOO_LARGE" });
  });

  it("beyond a limit fails with its code", async () => {
    const cached = cachedOf();
    const compute = () => new Promise<string>(() => {});
    const options = { client: undefined, compute };
    const [few, single] = [{ maxWaiters: 1 }, { maxFlights: 1 }].map(
      (limit) => cachesOf(1, cached, { ...options, ...limit })[0]!,
    );
    void few!.get("a").catch(() => {});
    await expect(few!.get("a")).rejects.toMatchObject({ code: "TOO_MANY_WAITERS" });
    void single!.get("a").catch(() => {});
    await expect(single!.get("b")).rejects.toMatchObject({ code: "TOO_MANY_FLIGHTS" });
    await expect(single!.get("x".repeat(1_025))).rejects.toMatchObject({ code: "KEY_INVALID" });
    await Promise.all([few!.close(), single!.close()]);
    await expect(few!.get("a")).rejects.toMatchObject({ code: "CACHE_CLOSED" });
  });

  it("gets a value that is too large for the backend, which is not kept", async () => {
    const name = newName();
    const cached = defineCached<string, string, string, string>({ name, freshMs: 60_000, maxValueBytes: 10 });
    const [cache] = cachesOf(1, cached, { client: undefined, compute: () => "x".repeat(20) });
    expect(await cache!.get("k")).toHaveLength(20);
    expect(backend.values.size).toBe(0);
  });
});
