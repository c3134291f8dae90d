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

/** How background jobs ended, for a while and up to a number, by handle and by unique. */
export class Outcomes {
  /**
   * All of them, oldest first. Not the order of the map, which finds its first entry only behind all those that were
   * deleted since it last grew.
   */
  readonly #order = new Fifo<Outcome>();
  readonly #byNumber = new Map<number, Outcome>();
  readonly #byKey = new Map<JobFunction, Map<string, Outcome>>();
  readonly #keepMs: number;
  readonly #max: number;

  constructor(limits: Pick<Limits, "outcomeMs" | "maxOutcomes">) {
    this.#keepMs = limits.outcomeMs;
    this.#max = limits.maxOutcomes;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  add(outcome: Outcome): void {
    if (this.#max === 0) return;
    if (this.#byNumber.size >= this.#max) this.#removeOldest();
    this.#order.push(outcome);
    this.#byNumber.set(outcome.number, outcome);
    if (outcome.key === "") return;
    const keys = this.#byKey.get(outcome.fn) ?? new Map<string, Outcome>();
    this.#byKey.set(outcome.fn, keys);
    keys.set(outcome.key, outcome);
  }

  ofNumber(number: number, wallMs: number): Outcome | undefined {
    return this.#fresh(this.#byNumber.get(number), wallMs);
  }

  ofUnique(fn: JobFunction, key: string, wallMs: number): Outcome | undefined {
    return this.#fresh(this.#byKey.get(fn)?.get(key), wallMs);
  }

  expire(wallMs: number): void {
    for (let oldest = this.#order.peek(); oldest !== undefined; oldest = this.#order.peek()) {
      if (oldest.endedMs + this.#keepMs > wallMs) break;
      this.#removeOldest();
    }
  }

  #fresh(outcome: Outcome | undefined, wallMs: number): Outcome | undefined {
    return outcome !== undefined && outcome.endedMs + this.#keepMs > wallMs ? outcome : undefined;
  }

  #removeOldest(): void {
    const outcome = this.#order.shift()!;
    this.#byNumber.delete(outcome.number);
    const keys = this.#byKey.get(outcome.fn);
    if (keys?.get(outcome.key) !== outcome) return;
    keys.delete(outcome.key);
    if (keys.size === 0) this.#byKey.delete(outcome.fn);
  }
}
