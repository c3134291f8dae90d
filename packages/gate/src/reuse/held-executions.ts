import type { BuildId } from "../core/index.ts";

/**
 * How long an execution goes on that nobody wants any more. A reset takes builds back and asks for others at once, often of
 * equal content, which can only join what still runs.
 */
export const HOLD_MS = 5_000;

interface Held {
  readonly build: BuildId;
  readonly timer: NodeJS.Timeout;
}

/** Executions whose builds were taken back, for as long as an equal build may come for them. */
export class HeldExecutions {
  readonly #byUnique = new Map<string, Held>();
  readonly #holdMs: number;

  constructor(holdMs = HOLD_MS) {
    this.#holdMs = holdMs;
  }

  /** @param letGo Called when nobody has come in time; not when it is released. */
  hold(unique: string, build: BuildId, letGo: () => void): void {
    const before = this.#byUnique.get(unique);
    const timer = setTimeout(() => {
      if (this.#byUnique.get(unique)?.timer === timer) this.#byUnique.delete(unique);
      letGo();
    }, this.#holdMs);
    timer.unref();
    // The first keeps its place, but the last one stays longest.
    this.#byUnique.set(unique, { build: before?.build ?? build, timer });
  }

  /** The build whose execution is held under this unique. */
  buildOf(unique: string): BuildId | null {
    return this.#byUnique.get(unique)?.build ?? null;
  }

  /** It has ended. */
  release(unique: string): void {
    clearTimeout(this.#byUnique.get(unique)?.timer);
    this.#byUnique.delete(unique);
  }
}
