import { TooManyCalls } from "./errors.ts";

/** A limited number of places, given out in the order of asking. */
export class Places {
  readonly #limit: number;
  readonly #maxWaiting: number;
  /** Who waits, in order, from `#head` on; `undefined` for who gave up. */
  #queue: ((() => void) | undefined)[] = [];
  #head = 0;
  #waiting = 0;
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
    if (this.#waiting >= this.#maxWaiting) throw new TooManyCalls(this.#maxWaiting);
    this.#queue.push(run);
    this.#waiting++;
  }

  /** `run` waits no more, and will not be called. */
  cancel(run: () => void): void {
    const index = this.#queue.indexOf(run, this.#head);
    if (index < 0) return;
    this.#queue[index] = undefined;
    this.#waiting--;
  }

  release(): void {
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head++];
      // By halves, so that each entry is moved once in the mean.
      if (this.#head * 2 > this.#queue.length) {
        this.#queue.splice(0, this.#head);
        this.#head = 0;
      }
      if (next === undefined) continue;
      this.#waiting--;
      next();
      return;
    }
    this.#taken--;
  }
}
