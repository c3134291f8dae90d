import { TooManyCalls } from "./errors.ts";

/** Something that needs a place. */
export interface Placed {
  /** The places' to set. */
  hasPlace: boolean;
  /** It has one now. */
  placed(): void;
}

/** A limited number of places, given out in the order of asking. */
export class Places {
  readonly #limit: number;
  readonly #maxWaiting: number;
  /** Who waits, in order, from `#head` on; `undefined` for who gave up. */
  #queue: (Placed | undefined)[] = [];
  #head = 0;
  #waiting = 0;
  #taken = 0;

  constructor(limit: number, maxWaiting: number) {
    this.#limit = limit;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Gives it a place once there is one, maybe at once. It has to `leave`.
   * @throws TooManyCalls when too many wait.
   */
  take(taker: Placed): void {
    if (this.#taken < this.#limit) {
      this.#taken++;
      taker.hasPlace = true;
      taker.placed();
      return;
    }
    if (this.#waiting >= this.#maxWaiting) throw new TooManyCalls(this.#maxWaiting);
    this.#queue.push(taker);
    this.#waiting++;
  }

  /** It gives its place back, or waits for one no more. */
  leave(taker: Placed): void {
    if (taker.hasPlace) {
      taker.hasPlace = false;
      this.#taken--;
      this.#giveNext();
      return;
    }
    const index = this.#queue.indexOf(taker, this.#head);
    if (index < 0) return;
    this.#queue[index] = undefined;
    this.#waiting--;
  }

  #giveNext(): void {
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head++];
      // By halves, so that each entry is moved once in the mean.
      if (this.#head * 2 > this.#queue.length) {
        this.#queue.splice(0, this.#head);
        this.#head = 0;
      }
      if (next === undefined) continue;
      this.#waiting--;
      this.take(next);
      return;
    }
  }
}
