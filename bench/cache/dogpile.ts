import { setTimeout as after } from "node:timers/promises";
import { compute } from "./backend.ts";
import { type Reader, type Told, Values } from "./cache-aside.ts";
import { MemcachedDown } from "./memcached.ts";
import type { Places } from "./places.ts";

const POLL_MS = 50;

/**
 * The lock of dogpile.cache on memcached: who adds a key of its own computes; where there is a stale value the others
 * take it, else they try to add it again and look once more. With `back-off` they wait as its MemcachedLock does;
 * with `poll` they look for the value every 50 ms, and only then for the lock.
 */
export class DogpileLock implements Reader {
  readonly #places: Places;
  readonly #values: Values;
  readonly #waiting: "back-off" | "poll";

  constructor(places: Places, waiting: "back-off" | "poll") {
    this.#places = places;
    this.#values = new Values(places);
    this.#waiting = waiting;
  }

  async ready(): Promise<void> {
    await this.#values.tryGet("ready");
  }

  async read(key: string, told: Told, signal: AbortSignal): Promise<void> {
    try {
      await this.#locked(key, told, signal);
    } catch (error) {
      if (!(error instanceof MemcachedDown)) throw error;
      told(await compute(this.#places.backend, key, signal), false);
    }
  }

  put(key: string, value: string, isStale: boolean): Promise<void> {
    return this.#values.set(key, value, isStale);
  }

  async close(): Promise<void> {
    this.#values.memcached.close();
  }

  async #locked(key: string, told: Told, signal: AbortSignal): Promise<void> {
    const found = await this.#values.get(key);
    if (found !== undefined && !found.isStale) return told(found.value, false);
    for (let attempt = 0; !signal.aborted; attempt++) {
      if (await this.#lock(key)) return told(await this.#computed(key), false);
      if (found !== undefined) return told(found.value, true);
      await after(this.#pauseMs(attempt));
      if (this.#waiting === "back-off") continue;
      const now = await this.#values.get(key);
      if (now !== undefined) return told(now.value, now.isStale);
    }
  }

  /** Who has waited for the lock finds the value of its last holder. */
  async #computed(key: string): Promise<string> {
    try {
      const found = await this.#values.get(key);
      if (found !== undefined && !found.isStale) return found.value;
      const value = await compute(this.#places.backend, key);
      await this.#values.set(key, value);
      return value;
    } finally {
      await this.#values.memcached.delete(`${key}.lock`).catch(() => {});
    }
  }

  async #lock(key: string): Promise<boolean> {
    const lease = `T${this.#places.leaseS}`;
    return (await this.#values.memcached.set(`${key}.lock`, "1", "ME", lease)).code === "HD";
  }

  #pauseMs(attempt: number): number {
    if (this.#waiting === "poll") return POLL_MS;
    const i = Math.min(attempt, 15);
    return (((i + 1) * Math.random() + 2 ** i) / 2.5) * 1000;
  }
}
