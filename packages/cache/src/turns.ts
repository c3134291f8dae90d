interface Turn {
  readonly now: Promise<void>;
  next: Promise<void> | undefined;
}

/** What is done for a key is done once at a time. Who asks while it is under way shares the next turn, which begins after. */
export class Turns {
  readonly #turns = new Map<string, Turn>();

  /** Keys with a turn under way. */
  get size(): number {
    return this.#turns.size;
  }

  has(key: string): boolean {
    return this.#turns.has(key);
  }

  /** Resolves or rejects as the turn does that begins after this was called. */
  take(key: string, run: () => Promise<void>): Promise<void> {
    const turn = this.#turns.get(key);
    if (turn === undefined) return this.#begin(key, run);
    turn.next ??= turn.now.catch(() => {}).then(() => this.#begin(key, run));
    return turn.next;
  }

  #begin(key: string, run: () => Promise<void>): Promise<void> {
    const turn: Turn = { now: run(), next: undefined };
    this.#turns.set(key, turn);
    const over = () => {
      if (turn.next === undefined) this.#turns.delete(key);
    };
    turn.now.then(over, over);
    return turn.now;
  }
}
