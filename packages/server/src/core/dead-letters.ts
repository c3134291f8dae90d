import type { Priority } from "./job.ts";
import type { Limits } from "./limits.ts";

/** A background job whose attempts are spent, kept to be looked at, requeued or deleted. */
export interface DeadLetter {
  readonly number: number;
  readonly fn: string;
  readonly key: string;
  readonly workload: Uint8Array;
  readonly priority: Priority;
  readonly reducer: string;
  readonly reason: string;
  readonly attempts: number;
  /** On the wall clock. */
  readonly diedMs: number;
}

/** Dead letters by job number, oldest first, within a count and a size. */
export class DeadLetters {
  readonly #letters = new Map<number, DeadLetter>();
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(limits: Pick<Limits, "maxDeadLetters" | "deadLetterBytes">) {
    this.#maxCount = limits.maxDeadLetters;
    this.#maxBytes = limits.deadLetterBytes;
  }

  get size(): number {
    return this.#letters.size;
  }

  /** Adds one and returns those that had to go for it; the one itself when it alone is too large. */
  add(letter: DeadLetter): DeadLetter[] {
    this.#letters.set(letter.number, letter);
    this.#bytes += letter.workload.length;
    const evicted: DeadLetter[] = [];
    for (const oldest of this.#letters.values()) {
      if (this.#letters.size <= this.#maxCount && this.#bytes <= this.#maxBytes) break;
      evicted.push(oldest);
      this.delete(oldest.number);
    }
    return evicted;
  }

  get(number: number): DeadLetter | undefined {
    return this.#letters.get(number);
  }

  delete(number: number): boolean {
    const letter = this.#letters.get(number);
    if (letter === undefined) return false;
    this.#bytes -= letter.workload.length;
    return this.#letters.delete(number);
  }

  values(): IterableIterator<DeadLetter> {
    return this.#letters.values();
  }
}
