import { JobFunction } from "./function.ts";
import { FunctionTimes } from "./function-times.ts";
import type { FunctionSettings } from "./limits.ts";

/** Counts of a function since the start. */
export type FunctionCounts = Pick<
  JobFunction,
  "submissions" | "joins" | "runs" | "completed" | "failed" | "lost"
>;

/**
 * Which functions have figures of their own: up to a number, those that came to be known first. The others share one
 * `FunctionTimes`, so that peers who make up names make nothing grow.
 */
export class OwnTimes {
  /** Those that have. */
  readonly functions = new Set<JobFunction>();
  /** The times of all others. */
  readonly others = new FunctionTimes();
  /** What functions had counted that had figures of their own and are forgotten. */
  readonly forgotten: { -readonly [Name in keyof FunctionCounts]: number } = {
    submissions: 0,
    joins: 0,
    runs: 0,
    completed: 0,
    failed: 0,
    lost: 0,
  };
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** Makes a function, with figures of its own if there is room. */
  make(name: string, settings: FunctionSettings): JobFunction {
    if (this.functions.size >= this.#max) return new JobFunction(name, settings, this.others);
    const fn = new JobFunction(name, settings);
    this.functions.add(fn);
    return fn;
  }

  /** The function is forgotten: another one may have its place. */
  forget(fn: JobFunction): void {
    if (!this.functions.delete(fn)) return;
    const { forgotten } = this;
    forgotten.submissions += fn.submissions;
    forgotten.joins += fn.joins;
    forgotten.runs += fn.runs;
    forgotten.completed += fn.completed;
    forgotten.failed += fn.failed;
    forgotten.lost += fn.lost;
  }
}
