import { Histogram } from "./histogram.ts";

/** In milliseconds: from what is over at once to what takes an hour. */
const BOUNDS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000, 600_000, 3_600_000];

/** How long the jobs of a function take, in milliseconds. */
export class FunctionTimes {
  /** From a foreground submission to its job's end. */
  readonly waits = new Histogram(BOUNDS_MS);
  /** From when a job could first run to its grab; a run that was lost on the way counts in. */
  readonly queued = new Histogram(BOUNDS_MS);
  /** From the grab to the worker's last report. */
  readonly runs = new Histogram(BOUNDS_MS);
}
