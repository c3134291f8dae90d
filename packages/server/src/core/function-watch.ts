import type { JobFunction } from "./function.ts";
import { type FunctionView, functionView } from "./listings.ts";
import type { ServerState } from "./state.ts";

/** What has changed of the functions since the last look. */
export interface FunctionChanges {
  readonly changed: readonly FunctionView[];
  /** Names of those that are not known any more. */
  readonly gone: readonly string[];
}

/**
 * Tells which functions have changed, by comparing what their counts were: the jobs of those whom nobody watches pay nothing
 * for it, and a look costs O(functions).
 */
export class FunctionWatch {
  readonly #state: ServerState;
  readonly #most: number;
  readonly #seen = new Map<JobFunction, FunctionView>();

  /** @param most Functions that are looked at: those known longest. */
  constructor(state: ServerState, most: number) {
    this.#state = state;
    this.#most = most;
  }

  /** All that the last look has seen. */
  get all(): Iterable<FunctionView> {
    return this.#seen.values();
  }

  look(): FunctionChanges {
    const { functions } = this.#state;
    const gone: string[] = [];
    for (const fn of this.#seen.keys()) {
      if (!fn.forgotten) continue;
      this.#seen.delete(fn);
      // Another may be known under its name by now.
      if (!functions.has(fn.name)) gone.push(fn.name);
    }
    const changed: FunctionView[] = [];
    let looked = 0;
    for (const fn of functions.values()) {
      if (++looked > this.#most) break;
      const before = this.#seen.get(fn);
      if (before !== undefined && isSame(before, fn)) continue;
      const view = functionView(fn, this.#state.nowMs);
      this.#seen.set(fn, view);
      changed.push(view);
    }
    return { changed, gone };
  }
}

function isSame(view: FunctionView, fn: JobFunction): boolean {
  return (
    view.submissions === fn.submissions &&
    view.runs === fn.runs &&
    view.completed === fn.completed &&
    view.queued === fn.queued &&
    view.running === fn.running &&
    view.delayed === fn.delayed &&
    view.workers === fn.workers &&
    view.joins === fn.joins &&
    view.failed === fn.failed &&
    view.lost === fn.lost &&
    view.paused === fn.paused
  );
}
