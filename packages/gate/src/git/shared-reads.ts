/**
 * Reads of what may change meanwhile: those that are asked for while one is under way share the one after it, so that nobody
 * is told what was so before it asked, and a hundred that ask at once cost two.
 */
export class SharedReads<T> {
  readonly #reads = new Map<string, Read<T>>();

  /** @param key Of what is read: `act` must be the same for the same key. */
  read(key: string, act: () => Promise<T>): Promise<T> {
    const read = this.#reads.get(key);
    if (read === undefined) return this.#start(key, act);
    const next = () => this.#start(key, act);
    read.next ??= read.now.then(next, next);
    return read.next;
  }

  #start(key: string, act: () => Promise<T>): Promise<T> {
    const read: Read<T> = { now: act(), next: undefined };
    this.#reads.set(key, read);
    const over = () => {
      if (read.next === undefined) this.#reads.delete(key);
    };
    read.now.then(over, over);
    return read.now;
  }
}

interface Read<T> {
  readonly now: Promise<T>;
  /** Begins when `now` has ended. */
  next: Promise<T> | undefined;
}
