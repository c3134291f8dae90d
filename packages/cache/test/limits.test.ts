import { describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import type { CacheEvent } from "../src/index.ts";
import { backend, cachedOf, cachesOf, herd, work } from "./stage.ts";

/* What happens beyond limits that make nobody fail. */

describe("maxOwnComputations", () => {
  it("lets further computations of the process wait, in order, and one that is left free its place", async () => {
    const begun: string[] = [];
    const gates = new Map<string, PromiseWithResolvers<string>>();
    const compute = (key: string) => {
      begun.push(key);
      const gate = Promise.withResolvers<string>();
      gates.set(key, gate);
      return gate.promise;
    };
    const [cache] = cachesOf(1, cachedOf(), { client: undefined, compute, maxOwnComputations: 2 });
    const abort = new AbortController();
    const asked = ["a", "b", "c", "d", "e"].map((key) =>
      cache!.get(key, key === "c" ? { signal: abort.signal, whenLeft: "abandon" } : {}),
    );
    asked[2]!.catch(() => {});
    await until(
      "two compute and three wait",
      10_000,
      () => begun.length === 2 && cache!.metrics.flights === 5,
    );
    abort.abort(new Error("no longer"));
    await expect(asked[2]).rejects.toThrow("no longer");
    gates.get("a")!.resolve("value of a");
    expect(await asked[0]).toBe("value of a");
    await until("the next one computes", 10_000, () => begun.length === 3);
    expect(begun).toEqual(["a", "b", "d"]);
    gates.get("b")!.reject(new Error("broken"));
    await expect(asked[1]).rejects.toMatchObject({ code: "COMPUTATION_FAILED" });
    await until("a failure frees its place as well", 10_000, () => begun.length === 4);
    for (const key of ["d", "e"]) gates.get(key)!.resolve(`value of ${key}`);
    expect(await Promise.all(asked.slice(3))).toEqual(["value of d", "value of e"]);
    expect(cache!.metrics.ownComputations).toBe(4);
  });
});

describe("maxPartBytes", () => {
  it("leaves parts out for who is slow or late, and nobody's value", async () => {
    const cached = cachedOf();
    const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    await work(cached, async (_key, { data }) => {
      for (const [i, part] of ["1234", "5678", "90"].entries()) {
        await data(part);
        await gates[i]!.promise;
      }
      return "value";
    });
    const [cache] = cachesOf(1, cached, { maxPartBytes: 8 });
    const told = (events: readonly CacheEvent<string>[]) =>
      events.map((event) => (event.type === "data" ? Buffer.from(event.data).toString() : event.type));
    const prompt: CacheEvent<string>[] = [];
    const reading = (async () => {
      for await (const event of cache!.stream("k")) prompt.push(event);
    })();
    for (const count of [1, 2, 3]) {
      await until("a part is told", 10_000, () => prompt.length === count);
      if (count < 3) gates[count - 1]!.resolve();
    }
    const late: CacheEvent<string>[] = [];
    const readingLate = (async () => {
      for await (const event of cache!.stream("k")) late.push(event);
    })();
    await until("who came late has caught up", 10_000, () => late.length === 3);
    const waiting = cache!.get("k");
    gates[2]!.resolve();
    await Promise.all([reading, readingLate]);
    expect(told(prompt)).toEqual(["1234", "5678", "90", "value"]);
    expect(told(late)).toEqual(["1234", "5678", "gap", "value"]);
    expect(await waiting).toBe("value");
  });
});

describe("maxRemembered", () => {
  it("forgets the oldest failure, which is then met again, and no other", async () => {
    const asked: string[] = [];
    const compute = (key: string) => {
      asked.push(key);
      throw new Error("broken");
    };
    backend.mode = "away";
    const [cache] = cachesOf(1, cachedOf(), { client: undefined, compute, maxRemembered: 2 });
    const fails = (key: string) =>
      expect(cache!.get(key)).rejects.toMatchObject({ message: "COMPUTATION_FAILED: broken" });
    for (const key of ["a", "b", "c"]) await fails(key);
    for (const key of ["b", "c"]) await fails(key);
    expect(asked).toEqual(["a", "b", "c"]);
    await fails("a");
    expect(asked).toEqual(["a", "b", "c", "a"]);
  });

  it("forgets the oldest invalidation, which the backend still knows", async () => {
    const cached = cachedOf();
    const figures = await work(cached, (key) => `value of ${key}`);
    const [cache] = cachesOf(1, cached, { maxRemembered: 1 });
    for (const key of ["a", "b"]) {
      await cache!.get(key);
      await cache!.invalidate(key);
    }
    expect(await herd([cache!], 2, "a")).toEqual(["value of a", "value of a"]);
    expect(figures.computations).toBe(3);
  });
});
