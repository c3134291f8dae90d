import { type CacheBackend, createCache, defineCached, handleCached, memcachedBackend } from "@drover/cache";
import { Client } from "@drover/client";
import type { Worker } from "@drover/worker";
import { compute } from "./backend.ts";
import type { Reader, Told } from "./cache-aside.ts";
import type { Places } from "./places.ts";

/* @drover/cache on Drover and memcached, as the other schemes are used. */

const FRESH_MS = 60_000;
const STALE_MS = 600_000;

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
    this.#backend = backendAt(places.memcached);
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
  const backend = backendAt(places.memcached);
  handleCached(worker, CACHED, (key) => compute(places.backend, key), { backend });
}

const backendAt = (ports: readonly number[]): CacheBackend =>
  memcachedBackend({ servers: ports.map((port) => `127.0.0.1:${port}`) });
