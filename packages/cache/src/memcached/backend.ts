import type { CacheBackend, CacheEntry, Change, GetOptions } from "../backend.ts";
import { BackendError } from "../backend-errors.ts";
import { MemcachedClient, type MemcachedClientOptions, type Written } from "./client.ts";

/** Tries to come between other writers. */
const MAX_TRIES = 16;

/** Of a batch's keys, how many are on their way at one time. */
const BATCH_KEYS = 500;

/** On the values' keys, none of which ends so: an election is a key of its own, so that no reader takes it for a value. */
const ELECTION = "#elect";

/** Keeps the values of a cache in memcached. Closing it closes the client, also one that was handed over. */
export function memcachedBackend(client: MemcachedClient | MemcachedClientOptions = {}): CacheBackend {
  return new MemcachedBackend(client instanceof MemcachedClient ? client : new MemcachedClient(client));
}

class MemcachedBackend implements CacheBackend {
  readonly #client: MemcachedClient;
  #closed = false;

  constructor(client: MemcachedClient) {
    this.#client = client;
  }

  async get(keys: readonly string[], options: GetOptions = {}): Promise<readonly (CacheEntry | Error)[]> {
    this.#check();
    const found: (CacheEntry | Error)[] = [];
    for (let at = 0; at < keys.length; at += BATCH_KEYS) {
      const batch = keys.slice(at, at + BATCH_KEYS);
      found.push(
        ...(await Promise.all(batch.map((key) => this.#get(key, options).catch((error: Error) => error)))),
      );
      this.#check();
    }
    return found;
  }

  async set(key: string, change: Change): Promise<boolean> {
    this.#check();
    for (let tried = 0; tried < MAX_TRIES; tried++) {
      const item = await this.#client.get(key);
      const replacement = change(item?.placeholder === false ? item.value : undefined);
      if (replacement === undefined) return false;
      const { value, ttlMs } = replacement;
      const ttlS = Math.max(1, Math.ceil(ttlMs / 1_000));
      // Never `evenIfOlder`: a late write would spoil that of whoever was elected since.
      const terms = item === undefined ? { mode: "add" as const } : { cas: item.cas };
      const [result]: [Written, unknown] = await Promise.all([
        this.#client.set(key, value, { ...terms, ttlS }),
        // Goes along: if the value is refused, somebody else has just set the key, which ends the election too.
        this.#client.delete(key + ELECTION, { routedBy: key }),
      ]);
      if (result === "stored") return true;
    }
    throw new BackendError("BACKEND_CONTENDED", `others wrote ${MAX_TRIES} times in between`);
  }

  async invalidate(key: string, change: Change): Promise<void> {
    try {
      await this.set(key, change);
    } catch (error) {
      this.#check();
      // What cannot be replaced is removed; if that fails as well, its own reason is told.
      if (!(error instanceof BackendError)) throw error;
      await Promise.all([this.#client.delete(key), this.#client.delete(key + ELECTION, { routedBy: key })]);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.close();
  }

  async #get(key: string, { electMs }: GetOptions): Promise<CacheEntry> {
    const [item, elected] = await Promise.all([
      this.#client.get(key),
      electMs !== undefined && this.#elect(key, electMs),
    ]);
    return { value: item?.placeholder === false ? item.value : undefined, elected };
  }

  async #elect(key: string, electMs: number): Promise<boolean> {
    // One more, since memcached's seconds begin before ours.
    const ttlS = Math.ceil(electMs / 1_000) + 1;
    const election = { mode: "add", ttlS, routedBy: key } as const;
    return (await this.#client.set(key + ELECTION, new Uint8Array(0), election)) === "stored";
  }

  #check(): void {
    if (this.#closed) throw new BackendError("BACKEND_CLOSED", "the backend is closed");
  }
}
