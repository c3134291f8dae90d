import { InvalidArgument } from "@drover/client";
import type { Handler } from "./job.ts";

/* What differs between Node and browsers, for browsers. */

export type EndPool = () => Promise<void>;

export function threadHandler(_options: unknown, _ends: readonly EndPool[]): Handler<unknown, unknown> {
  throw new InvalidArgument("browsers have no threads: give a function");
}

export function loadTracing() {
  return import("./tracing.ts").catch(() => undefined);
}

/** A page gets no signals. */
export function onSignals(_wanted: unknown, _run: () => void): () => void {
  return () => {};
}
