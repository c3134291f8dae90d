import {
  type CacheBackend,
  type CacheEntry,
  type Change,
  createCache,
  defineCached,
  handleCached,
} from "@drover/cache";
import { Client } from "@drover/client";
import type { Worker } from "@drover/worker";
import { compute } from "./backend.ts";
import type { Reader, Told } from "./cache-aside.ts";
import { Memcached } from "./memcached.ts";
import type { Places } from "./schemes.ts";

/* @drover/cache on Drover and memcached, as the other schemes are used. */

const FRESH_MS = 60_000;
const STALE_MS = 600_000;
const TRIES = 10;

const cachedFor = (freshMs: number) =>
  defineCached<string, string, string, string>({ name: "value", freshMs, staleMs: STALE_MS });

const CACHED = cachedFor(FRESH_MS);

export class DroverCache implements Reader {
  readonly #places: Places;
  readonly #client: Client;
  readonly #backend: CacheBackend;
  readonly #cache;

  constructor(places: Places) {
    this.#places = places;
    this.#client = new Client({ servers: `127.0.0.1:${places.drover}` });
    this.#backend = new MemcachedBackend(places.memcached);
    this.#cache = createCache(CACHED, {
      client: this.#client,
      backend: this.#backend,
      compute: (key) => compute(places.backend, key),
    });
  }

  async ready(): Promise<void> {
    await this.#client.submit("ready", "").result();
    await this.#backend.get(["ready"]);
  }

  async read(key: string, told: Told, signal: AbortSignal): Promise<void> {
    const { deadlineMs } = this.#places;
    for await (const event of this.#cache.stream(key, { deadlineMs, signal }))
      if (event.type === "value") told(event.value, event.stale);
  }

  async put(key: string, value: string, isStale: boolean): Promise<void> {
    const cache = createCache(cachedFor(isStale ? 1 : FRESH_MS), {
      backend: this.#backend,
      compute: () => value,
    });
    await cache.get(key);
    await cache.close();
  }

  async close(): Promise<void> {
    await this.#cache.close();
    await Promise.all([this.#client.close(), this.#backend.close()]);
  }
}

/** Lets a worker compute values. */
export function handleValues(worker: Worker, places: Places): void {
  const backend = new MemcachedBackend(places.memcached);
  handleCached(worker, CACHED, (key) => compute(places.backend, key), { backend });
}

/** The port of the cache, over the same client as the other schemes use. An election has a key of its own. */
class MemcachedBackend implements CacheBackend {
  readonly #memcached: Memcached;

  constructor(ports: readonly number[]) {
    this.#memcached = new Memcached(ports);
  }

  get(
    keys: readonly string[],
    { electMs }: { electMs?: number | undefined } = {},
  ): Promise<(CacheEntry | Error)[]> {
    return Promise.all(keys.map((key) => this.#read(key, electMs).catch((error: Error) => error)));
  }

  async set(key: string, change: Change): Promise<boolean> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const { code, value, flags } = await this.#memcached.get(key, "v", "c");
      const next = change(code === "VA" ? bytesOf(value) : undefined);
      if (next === undefined) return false;
      const cas = flags.find((flag) => flag.startsWith("c"))?.slice(1);
      const guard = cas === undefined ? "ME" : `C${cas}`;
      const ttl = `T${Math.ceil(next.ttlMs / 1000)}`;
      const stored = await this.#memcached.set(key, textOf(next.value), ttl, "F1", guard);
      if (stored.code !== "HD") continue;
      await this.#memcached.delete(electionOf(key));
      return true;
    }
    throw new Error("others came between too often");
  }

  async invalidate(key: string, change: Change): Promise<void> {
    await this.set(key, change).catch(() => this.#memcached.delete(key));
  }

  async close(): Promise<void> {
    this.#memcached.close();
  }

  async #read(key: string, electMs: number | undefined): Promise<CacheEntry> {
    const { code, value } = await this.#memcached.get(key, "v");
    const elected = electMs !== undefined && (await this.#elect(key, electMs));
    return { value: code === "VA" ? bytesOf(value) : undefined, elected };
  }

  async #elect(key: string, electMs: number): Promise<boolean> {
    const lease = `T${Math.ceil(electMs / 1000)}`;
    return (await this.#memcached.set(electionOf(key), "1", "ME", lease)).code === "HD";
  }
}

const electionOf = (key: string): string => `${key}.elect`;
const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
