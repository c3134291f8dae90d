import { setTimeout as after } from "node:timers/promises";
import { compute } from "./backend.ts";
import type { Reader, Told } from "./cache-aside.ts";
import { Memcached, MemcachedDown, type Reply } from "./memcached.ts";
import type { Places } from "./places.ts";

const FIRST_POLL_MS = 10;
const LONGEST_POLL_MS = 100;
const KEPT = "T600";

/**
 * memcached elects: the first reader of a missing or stale value wins (W) and computes, and has the lease of `N` for
 * it; others get the stale value, or ask again.
 */
export class MetaToken implements Reader {
  readonly #places: Places;
  readonly #memcached: Memcached;

  constructor(places: Places) {
    this.#places = places;
    this.#memcached = new Memcached(places.memcached);
  }

  async ready(): Promise<void> {
    await this.#memcached.get("ready", "v").catch(() => {});
  }

  async read(key: string, told: Told, signal: AbortSignal): Promise<void> {
    try {
      await this.#elected(key, told, signal);
    } catch (error) {
      if (!(error instanceof MemcachedDown)) throw error;
      told(await compute(this.#places.backend, key, signal), false);
    }
  }

  async put(key: string, value: string, isStale: boolean): Promise<void> {
    await this.#memcached.set(key, value, KEPT, "F1");
    if (isStale) await this.#memcached.delete(key, "I", KEPT);
  }

  async close(): Promise<void> {
    this.#memcached.close();
  }

  async #elected(key: string, told: Told, signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_POLL_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_POLL_MS)) {
      const reply = await this.#memcached.get(key, "v", "c", "f", `N${this.#places.leaseS}`);
      // A placeholder has flags 0, a value 1.
      const isThere = reply.flags.includes("f1");
      if (reply.flags.includes("W")) return told(await this.#computed(key, reply), false);
      if (isThere) return told(reply.value, reply.flags.includes("X"));
      await after(pauseMs);
    }
  }

  async #computed(key: string, { flags }: Reply): Promise<string> {
    try {
      const value = await compute(this.#places.backend, key);
      const cas = flags.find((flag) => flag.startsWith("c"))!.slice(1);
      await this.#memcached.set(key, value, KEPT, "F1", `C${cas}`).catch(() => {});
      return value;
    } catch (error) {
      await this.#memcached.delete(key).catch(() => {});
      throw error;
    }
  }
}
