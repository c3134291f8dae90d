import { setImmediate as nextRound } from "node:timers/promises";

/** Milliseconds after which others have their turn. */
export const SLICE_MS = 10;

/** Lets many small things be done one after the other, and everything else of the process between them. */
export class Pace {
  readonly #sliceMs: number;
  #waiting: (() => void)[] = [];
  #isGoing = false;

  constructor(sliceMs = SLICE_MS) {
    this.#sliceMs = sliceMs;
  }

  /** Resolves when it is the caller's turn, in the order of asking. What it does until it waits again is its turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isGoing) void this.#go();
    });
  }

  async #go(): Promise<void> {
    this.#isGoing = true;
    let beganMs = performance.now();
    while (this.#waiting.length > 0) {
      for (const begin of this.#waiting.splice(0)) {
        begin();
        // What waits for it goes on before this does.
        await undefined;
        if (performance.now() - beganMs < this.#sliceMs) continue;
        await nextRound();
        beganMs = performance.now();
      }
    }
    this.#isGoing = false;
  }
}
