import type { Flight } from "./flight.ts";

/** One call that waits, with its own deadline and signal. */
export class Waiter {
  /** What it waits for, once that is known. */
  flight: Flight | undefined;
  left = false;
  readonly #failed = Promise.withResolvers<never>();
  readonly #signal: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #onAbort = () => this.fail(this.#signal!.reason);

  constructor(signal: AbortSignal | undefined, deadlineMs: number | undefined, timedOut: () => Error) {
    this.#signal = signal;
    this.#failed.promise.catch(() => {});
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadlineMs !== undefined) this.#timer = setTimeout(() => this.fail(timedOut()), deadlineMs);
  }

  fail(error: unknown): void {
    this.#failed.reject(error);
  }

  /** Waits for it as long as this call may wait at all. */
  until<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#failed.promise]);
  }

  leave(): void {
    if (this.left) return;
    this.left = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.flight?.leave();
  }
}
