import type { Slots } from "@drover/protocol";

/** The slots of all connections of one worker. One that is given back is offered to each of them in turn. */
export class SharedSlots implements Slots {
  #free: number;
  readonly #takers: (() => void)[] = [];
  #turn = 0;

  constructor(count: number) {
    this.#free = count;
  }

  /** Who wants to know when there may be a free slot again. */
  onFreed(taker: () => void): () => void {
    this.#takers.push(taker);
    return () => {
      const index = this.#takers.indexOf(taker);
      if (index >= 0) this.#takers.splice(index, 1);
    };
  }

  take(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  give(): void {
    this.#free++;
    const takers = [...this.#takers];
    // Another one first each time, so that a busy server does not keep all slots from the others.
    this.#turn++;
    for (let i = 0; i < takers.length && this.#free > 0; i++) takers[(this.#turn + i) % takers.length]!();
  }
}
