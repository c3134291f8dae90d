import { collectDefaultMetrics, Registry } from "prom-client";

let registry: Registry | undefined;

/**
 * What prom-client tells of the process: processor, memory, collections of garbage, delay of the event loop. It watches from
 * the first call on, once for the process, so that a server that nobody scrapes pays nothing.
 */
export function processMetrics(): Promise<string> {
  if (registry === undefined) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
  }
  return registry.metrics();
}
