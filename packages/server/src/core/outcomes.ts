import { Fifo } from "./fifo.ts";
import type { JobFunction } from "./function.ts";
import type { Limits } from "./limits.ts";

/** How a background job ended. */
export type OutcomeState = "done" | "failed" | "dead";

export interface Outcome {
  readonly fn: JobFunction;
  readonly key: string;
  readonly number: number;
  readonly state: OutcomeState;
  /** On the wall clock. */
  readonly endedMs: number;
}

/**
 * How background jobs ended, for a while and up to a number, by handle and by unique. They are looked through when
 * somebody asks, which is rare; a table to look them up in would be kept up to date for every job.
 */
export class Outcomes {
  /** Oldest first. */
  readonly #all = new Fifo<Outcome>();
  readonly #keepMs: number;
  readonly #max: number;

  constructor(limits: Pick<Limits, "outcomeMs" | "maxOutcomes">) {
    this.#keepMs = limits.outcomeMs;
    this.#max = limits.maxOutcomes;
  }

  get size(): number {
    return this.#all.length;
  }

  add(outcome: Outcome): void {
    if (this.#max === 0) return;
    if (this.#all.length >= this.#max) this.#all.shift();
    this.#all.push(outcome);
  }

  ofNumber(number: number, wallMs: number): Outcome | undefined {
    const found = this.#all.findLast((outcome) => outcome.number === number);
    return found !== undefined && this.#isFresh(found, wallMs) ? found : undefined;
  }

  ofUnique(fn: JobFunction, key: string, wallMs: number): Outcome | undefined {
    if (key === "") return undefined;
    const newest = this.#all.findLast((outcome) => outcome.fn === fn && outcome.key === key);
    return newest !== undefined && this.#isFresh(newest, wallMs) ? newest : undefined;
  }

  /** The newest `most` of a key, of all functions. */
  ofKey(key: string, wallMs: number, most: number): Outcome[] {
    const found: Outcome[] = [];
    this.#all.findLast((outcome) => {
      if (outcome.key === key && this.#isFresh(outcome, wallMs)) found.push(outcome);
      return found.length === most;
    });
    return found;
  }

  expire(wallMs: number): void {
    for (let oldest = this.#all.peek(); oldest !== undefined; oldest = this.#all.peek()) {
      if (this.#isFresh(oldest, wallMs)) break;
      this.#all.shift();
    }
  }

  #isFresh({ endedMs }: Outcome, wallMs: number): boolean {
    return endedMs + this.#keepMs > wallMs;
  }
}
