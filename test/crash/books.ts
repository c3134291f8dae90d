/** One thing that the server must not have done. */
export class Broken extends Error {
  override readonly name = "Broken";
}

interface Run {
  readonly grabbedMs: number;
  completedMs: number | undefined;
}

export interface Totals {
  readonly kills: number;
  readonly acknowledged: number;
  /** Submissions whose server was killed before it answered. */
  readonly unanswered: number;
  readonly refused: number;
  readonly runs: number;
  /** Runs beyond the first of each job. */
  readonly again: number;
  readonly deadLetters: number;
}

/**
 * What can be seen of the server from outside, over all its lives: what it acknowledged, and what it let run. Times are of
 * one clock that only goes forward.
 */
export class Books {
  /** Function of each acknowledged job, by handle. */
  readonly #acknowledged = new Map<string, string>();
  readonly #submitted = new Set<string>();
  readonly #runs = new Map<string, Run[]>();
  /** From the signal until everybody knew: what arrived in between was sent before. */
  readonly #kills: { readonly fromMs: number; toMs: number }[] = [];
  #refused = 0;
  #deadLetters = 0;

  /** Acknowledged jobs that have not begun yet. */
  get backlog(): number {
    return this.#acknowledged.size - this.#runs.size;
  }

  submitted(unique: string): void {
    this.#submitted.add(unique);
  }

  /** @throws Broken when the handle is another job's. */
  acknowledged(handle: string, fn: string): void {
    if (this.#acknowledged.has(handle)) throw new Broken(`handle ${handle} was given to two jobs`);
    this.#acknowledged.set(handle, fn);
  }

  refused(): void {
    this.#refused++;
  }

  /** The server is being killed. @returns to be called when all connections are over. */
  killed(): () => void {
    const kill = { fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY };
    this.#kills.push(kill);
    return () => {
      kill.toMs = performance.now();
    };
  }

  /** @returns to be called when the worker has told of the end. */
  grabbed(handle: string, unique: string): () => void {
    if (!this.#submitted.has(unique))
      throw new Broken(`${handle} was given out, and nobody submitted ${unique}`);
    const run: Run = { grabbedMs: performance.now(), completedMs: undefined };
    const runs = this.#runs.get(handle);
    if (runs === undefined) this.#runs.set(handle, [run]);
    else runs.push(run);
    return () => {
      run.completedMs = performance.now();
    };
  }

  /**
   * The end: everything is done.
   * @param deadLetters Handles of the dead letters.
   * @throws Broken
   */
  check(deadLetters: ReadonlySet<string>): void {
    this.#deadLetters = deadLetters.size;
    for (const [handle, fn] of this.#acknowledged) {
      const runs = this.#runs.get(handle) ?? [];
      if (runs.length === 0) throw new Broken(`${handle} (${fn}) was acknowledged and never ran`);
      if (fn === "dies") {
        if (!deadLetters.has(handle))
          throw new Broken(`${handle} was acknowledged, fails, and is no dead letter`);
      } else {
        if (deadLetters.has(handle)) throw new Broken(`${handle} was done and is a dead letter`);
        this.#checkRuns(handle, runs, 1);
      }
      if (fn === "dies") this.#checkRuns(handle, runs, 2);
    }
    for (const handle of deadLetters) {
      if (!this.#runs.has(handle)) throw new Broken(`${handle} is a dead letter and never ran`);
    }
  }

  totals(): Totals {
    const runs = [...this.#runs.values()].reduce((sum, { length }) => sum + length, 0);
    return {
      kills: this.#kills.length,
      acknowledged: this.#acknowledged.size,
      unanswered: this.#submitted.size - this.#acknowledged.size - this.#refused,
      refused: this.#refused,
      runs,
      again: runs - this.#runs.size,
      deadLetters: this.#deadLetters,
    };
  }

  /**
   * Each run that another one followed must have a kill as its reason, between its grab and a second after its end: what the
   * worker told then may not have arrived. `wanted` runs need none.
   */
  #checkRuns(handle: string, runs: readonly Run[], wanted: number): void {
    if (runs.at(-1)!.completedMs === undefined) throw new Broken(`${handle} was begun and never ended`);
    const unexplained = runs.slice(0, -1).filter(({ grabbedMs, completedMs = Number.POSITIVE_INFINITY }) => {
      return !this.#kills.some(({ fromMs, toMs }) => toMs >= grabbedMs && fromMs <= completedMs + 1000);
    });
    if (unexplained.length <= wanted - 1) return;
    const shown = runs.map(
      ({ grabbedMs, completedMs }) => `${grabbedMs.toFixed(0)} to ${completedMs?.toFixed(0)} ms`,
    );
    throw new Broken(
      `${handle} ran ${runs.length} times (${shown.join(", ")}), ${unexplained.length} of them without a kill`,
    );
  }
}
