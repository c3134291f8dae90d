import type { Envelope } from "./core/value.ts";

/** What this process knows of a key, whatever the backend says. */
interface Known {
  version: number;
  failure: { readonly untilMs: number; readonly text: string } | undefined;
  /** Computations that failed in a row, for whatever reason, and until when a stale value does not ask for another. */
  failed: { readonly times: number; readonly restUntilMs: number } | undefined;
}

/**
 * Versions and failures that a backend may have lost, or could not be told: so that this process joins no job whose inputs
 * it knows to be outdated, and asks a broken function, or for what nobody computes, not more often than with a backend.
 * Bounded: the oldest goes.
 */
export class Remembered {
  readonly #limit: number;
  readonly #known = new Map<string, Known>();

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
    return nowMs < (this.#known.get(key)?.failed?.restUntilMs ?? 0);
  }

  /** A computation ended badly. @param restMs For how long to rest after so many failures in a row. */
  endedBadly(key: string, nowMs: number, restMs: (times: number) => number): void {
    const known = this.#raise(key, 0);
    const times = (known.failed?.times ?? 0) + 1;
    known.failed = { times, restUntilMs: nowMs + restMs(times) };
  }

  endedWell(key: string): void {
    const known = this.#known.get(key);
    if (known !== undefined) known.failed = undefined;
  }

  /** The backend told. */
  told(key: string, held: Envelope): void {
    if (held.version > 0) this.#raise(key, held.version);
  }

  invalidated(key: string, version: number): void {
    const known = this.#raise(key, version);
    known.failure = undefined;
    known.failed = undefined;
  }

  failed(key: string, text: string, untilMs: number): void {
    this.#raise(key, 0).failure = { untilMs, text };
  }

  #raise(key: string, version: number): Known {
    const known = this.#known.get(key) ?? { version: 0, failure: undefined, failed: undefined };
    known.version = Math.max(known.version, version);
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size > this.#limit) this.#known.delete(this.#known.keys().next().value!);
    return known;
  }
}
