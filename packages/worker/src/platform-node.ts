import type { Handler } from "./job.ts";
import { type ThreadOptions, ThreadPool } from "./threads.ts";
import * as tracing from "./tracing.ts";

/* What differs between Node and browsers, for Node, as the client's `platform-node.ts`. */

/** Ends the threads that have nothing to do. */
export type EndPool = () => Promise<void>;

/** A handler that runs in threads; what ends them is added to `ends`. */
export function threadHandler(options: ThreadOptions, ends: EndPool[]): Handler<unknown, unknown> {
  const pool = new ThreadPool(options);
  ends.push(() => pool.close());
  return (job) => pool.run(job);
}

/** What makes spans; undefined where it could not be loaded. */
export function loadTracing(): typeof tracing | Promise<typeof tracing | undefined> {
  return tracing;
}

/**
 * Calls `run` at the first of each of these signals; true stands for those by which a process is asked to end.
 * @returns what takes that back.
 */
export function onSignals(wanted: boolean | readonly NodeJS.Signals[], run: () => void): () => void {
  const signals: readonly NodeJS.Signals[] =
    typeof wanted === "boolean" ? (wanted ? ["SIGTERM", "SIGINT"] : []) : wanted;
  for (const signal of signals) process.once(signal, run);
  return () => {
    for (const signal of signals) process.removeListener(signal, run);
  };
}
