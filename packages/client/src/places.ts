import { TooManyCalls } from "./errors.ts";

/** A limited number of places, given out in the order of asking. */
export class Places {
  readonly #limit: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number, maxWaiting: number) {
    this.#limit = limit;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Calls `run` once there is a place, maybe at once. Whoever got one gives it back by `release`.
   * @throws TooManyCalls when too many wait.
   */
  take(run: () => void): void {
    if (this.#taken < this.#limit) {
      this.#taken++;
      run();
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) throw new TooManyCalls(this.#maxWaiting);
    this.#waiting.add(run);
  }

  /** @returns true when `run` was waiting, and will not be called. */
  cancel(run: () => void): boolean {
    return this.#waiting.delete(run);
  }

  release(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#taken--;
  }
}
