interface Waiter {
  readonly isIdle: () => boolean;
  readonly resolve: () => void;
}

/** Those who wait until something of a server is idle. */
export class IdleWaiters {
  #waiters: Waiter[] = [];

  /** @param limitMs After so long it resolves all the same. Default: never. */
  until(isIdle: () => boolean, limitMs?: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const waiter = {
        isIdle,
        resolve: () => {
          // Else it would keep the process alive.
          clearTimeout(timer);
          resolve();
        },
      };
      this.#waiters.push(waiter);
      if (limitMs === undefined) return;
      timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve();
      }, limitMs);
    });
  }

  /** Lets those go whose time has come. */
  look(): void {
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter(({ isIdle }) => isIdle());
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }
}
