import type { Envelope } from "./core/value.ts";

/** What this process knows of a key, whatever the backend says. */
interface Known {
  version: number;
  failure: { readonly untilMs: number; readonly text: string } | undefined;
}

/** Computations of a key that failed in a row, for whatever reason. */
interface Failing {
  readonly times: number;
  /** Until when a stale value does not ask for another. */
  readonly restUntilMs: number;
}

/**
 * Versions and failures that a backend may have lost, or could not be told: so that this process joins no job whose inputs
 * it knows to be outdated, and asks a broken function, or for what nobody computes, not more often than with a backend.
 * Bounded: the oldest goes.
 */
export class Remembered {
  readonly #limit: number;
  readonly #known = new Map<string, Known>();
  /** Apart, so that a job server that is away does not push out what is known of invalidations. */
  readonly #failing = new Map<string, Failing>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  versionOf(key: string): number {
    return this.#known.get(key)?.version ?? 0;
  }

  failureOf(key: string, nowMs: number): string | undefined {
    const failure = this.#known.get(key)?.failure;
    return failure !== undefined && nowMs < failure.untilMs ? failure.text : undefined;
  }

  /** Whether a stale value is not to be computed anew yet, since that has failed. */
  rests(key: string, nowMs: number): boolean {
    return nowMs < (this.#failing.get(key)?.restUntilMs ?? 0);
  }

  /** A computation ended badly. @param restMs For how long to rest after so many failures in a row. */
  endedBadly(key: string, nowMs: number, restMs: (times: number) => number): void {
    const times = (this.#failing.get(key)?.times ?? 0) + 1;
    put(this.#failing, key, { times, restUntilMs: nowMs + restMs(times) }, this.#limit);
  }

  endedWell(key: string): void {
    this.#failing.delete(key);
  }

  /** The backend told. */
  told(key: string, held: Envelope): void {
    if (held.version > 0) this.#raise(key, held.version);
  }

  invalidated(key: string, version: number): void {
    this.#raise(key, version).failure = undefined;
    this.#failing.delete(key);
  }

  failed(key: string, text: string, untilMs: number): void {
    this.#raise(key, 0).failure = { untilMs, text };
  }

  #raise(key: string, version: number): Known {
    const known = this.#known.get(key) ?? { version: 0, failure: undefined };
    known.version = Math.max(known.version, version);
    put(this.#known, key, known, this.#limit);
    return known;
  }
}

/** As the newest; beyond the limit the oldest goes. */
function put<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value!);
}
