import { Memcached } from "./memcached.ts";
import type { Places } from "./places.ts";

/** What a request hears: perhaps a stale value, and a fresh one. */
export type Told = (value: string, isStale: boolean) => void;

/** A client of one scheme. */
export interface Reader {
  /** Before the first request; connections that are made on demand are made now. */
  ready(): Promise<void>;
  /** Resolves when nothing more will be told. */
  read(key: string, told: Told, signal: AbortSignal): Promise<void>;
  /** Stores a value, which is stale at once or fresh for long. */
  put(key: string, value: string, isStale: boolean): Promise<void>;
  close(): Promise<void>;
}

/** A value that is not stale is fresh for so long. */
const FRESH_MS = 60_000;
const KEPT_S = 600;

/** Values with the time until which they are fresh, as the schemes of this folder store them. */
export class Values {
  readonly memcached: Memcached;

  constructor({ memcached }: Places) {
    this.memcached = new Memcached(memcached);
  }

  /** The value and whether it is stale, or undefined where there is none or no memcached. */
  async get(key: string): Promise<{ value: string; isStale: boolean } | undefined> {
    const { code, value } = await this.memcached.get(key, "v");
    if (code !== "VA") return undefined;
    const at = value.indexOf(":");
    return { value: value.slice(at + 1), isStale: Number(value.slice(0, at)) < Date.now() };
  }

  async set(key: string, value: string, isStale = false): Promise<void> {
    const freshUntil = isStale ? 0 : Date.now() + FRESH_MS;
    await this.memcached.set(key, `${freshUntil}:${value}`, `T${KEPT_S}`, "F1");
  }

  /** Stores it if memcached is there. */
  async trySet(key: string, value: string): Promise<void> {
    await this.set(key, value).catch(() => {});
  }

  /** As `get`, and as if there was none when memcached is away. */
  async tryGet(key: string): Promise<{ value: string; isStale: boolean } | undefined> {
    return this.get(key).catch(() => undefined);
  }
}

/** What the least costs that any scheme can do for a value that is stored: asks memcached and tells it as it is. */
export class PlainRead implements Reader {
  readonly #values: Values;

  constructor(places: Places) {
    this.#values = new Values(places);
  }

  async ready(): Promise<void> {
    await this.#values.tryGet("ready");
  }

  async read(key: string, told: Told): Promise<void> {
    const found = await this.#values.get(key);
    if (found !== undefined) told(found.value, found.isStale);
  }

  put(key: string, value: string, isStale: boolean): Promise<void> {
    return this.#values.set(key, value, isStale);
  }

  async close(): Promise<void> {
    this.#values.memcached.close();
  }
}

interface Loading {
  readonly load: (key: string, signal: AbortSignal) => Promise<string>;
  /** Whether this client stores what it loaded; else the worker has. */
  readonly isStored: boolean;
  /** Whether requests of this process for the same key share one load. */
  readonly isJoined?: boolean;
  readonly ready?: () => Promise<void>;
  readonly close?: () => Promise<void>;
}

/** Looks into the cache, loads what is missing or stale, and stores it. */
export class CacheAside implements Reader {
  readonly #values: Values;
  readonly #loading: Loading;
  readonly #flights = new Map<string, Promise<string>>();

  constructor(places: Places, loading: Loading) {
    this.#values = new Values(places);
    this.#loading = loading;
  }

  async ready(): Promise<void> {
    await this.#loading.ready?.();
    await this.#values.tryGet("ready");
  }

  async read(key: string, told: Told, signal: AbortSignal): Promise<void> {
    told(await this.#joined(key, signal), false);
  }

  put(key: string, value: string, isStale: boolean): Promise<void> {
    return this.#values.set(key, value, isStale);
  }

  async close(): Promise<void> {
    await this.#loading.close?.();
    this.#values.memcached.close();
  }

  #joined(key: string, signal: AbortSignal): Promise<string> {
    if (!this.#loading.isJoined) return this.#found(key, signal);
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = this.#found(key, signal).finally(() => this.#flights.delete(key));
      this.#flights.set(key, flight);
    }
    return flight;
  }

  async #found(key: string, signal: AbortSignal): Promise<string> {
    const found = await this.#values.tryGet(key);
    if (found !== undefined && !found.isStale) return found.value;
    const value = await this.#loading.load(key, signal);
    if (this.#loading.isStored) await this.#values.trySet(key, value);
    return value;
  }
}
