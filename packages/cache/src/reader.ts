import type { CacheBackend, CacheEntry } from "./backend.ts";
import { within } from "./computation.ts";

type Answer = CacheEntry | Error;

interface Reading {
  readonly promise: Promise<Answer>;
  readonly resolve: (answer: Answer) => void;
}

/**
 * Reads of one process. Those of one turn leave as one batch. Of each key one read is under way and one waits: who asks while
 * one is under way shares the next, since that one may have been answered before an invalidation that the asker knows of.
 */
export class Reader {
  readonly #backend: CacheBackend;
  readonly #timeoutMs: number;
  readonly #maxBatch: number;
  readonly #underWay = new Set<string>();
  readonly #waiting = new Map<string, Reading>();
  #ready: string[] = [];

  constructor(backend: CacheBackend, timeoutMs: number, maxBatch: number) {
    this.#backend = backend;
    this.#timeoutMs = timeoutMs;
    this.#maxBatch = maxBatch;
  }

  /** Never rejects. */
  read(key: string): Promise<Answer> {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting.promise;
    const reading = Promise.withResolvers<Answer>();
    this.#waiting.set(key, reading);
    if (!this.#underWay.has(key)) this.#begin(key);
    return reading.promise;
  }

  #begin(key: string): void {
    if (this.#ready.push(key) === 1) queueMicrotask(() => this.#leave());
  }

  #leave(): void {
    const keys = this.#ready;
    this.#ready = [];
    for (let from = 0; from < keys.length; from += this.#maxBatch)
      void this.#ask(keys.slice(from, from + this.#maxBatch));
  }

  async #ask(keys: readonly string[]): Promise<void> {
    const readings = keys.map((key) => {
      const reading = this.#waiting.get(key)!;
      this.#waiting.delete(key);
      this.#underWay.add(key);
      return reading;
    });
    let answers: readonly Answer[];
    try {
      answers = await within(this.#timeoutMs, this.#backend.get(keys));
    } catch (error) {
      answers = keys.map(() => error as Error);
    }
    keys.forEach((key, i) => {
      this.#underWay.delete(key);
      readings[i]!.resolve(answers[i] ?? new Error("the backend left an answer out"));
      if (this.#waiting.has(key)) this.#begin(key);
    });
  }
}
