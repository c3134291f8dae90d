/** How a computation came about. Each level is tried when the one before cannot be had. */
export const LEVELS = ["job-server", "election", "process"] as const;
/**
 * - `job-server`: as a job, which everybody's equal submissions join.
 * - `election`: in this process, which the backend elected.
 * - `process`: in this process, for its own callers.
 */
export type Level = (typeof LEVELS)[number];

const HERD_BOUNDS = [0, 1, 2, 5, 10, 20, 50, 100, 1_000, 10_000] as const;

/** What a cache did since it was made. */
export interface CacheMetrics {
  /** Answered with a fresh value from the backend. */
  hits: number;
  /** Answered with a stale one at once. */
  stale: number;
  /** Had to wait for a computation, or for the failure of one. */
  misses: number;
  /** Computations begun to be waited for here: jobs submitted, elections and own ones. */
  flights: number;
  /** Of those, begun without anybody waiting: after stale values, and early. */
  refreshes: number;
  /** Calls that waited for one of them. */
  waits: number;
  /** Flights that ended, well or not. */
  ended: number;
  /** Calls that waited for those. */
  served: number;
  /** The most calls that one flight served. */
  largestHerd: number;
  /** Flights that ended, by the calls that they served, up to each bound, cumulative; 0: they were for the cache alone. */
  readonly herds: { readonly upTo: number; count: number }[];
  /** Flights by the level that ended them. */
  readonly levels: Record<Level, number>;
  /** Run in this process. */
  ownComputations: number;
  failures: number;
  timeouts: number;
  /** Reads that the backend did not answer. */
  backendErrors: number;
  /** Held bytes that were no value, or not one that the schema takes. */
  unreadable: number;
  invalidations: number;
}

export function noMetrics(): CacheMetrics {
  return {
    hits: 0,
    stale: 0,
    misses: 0,
    flights: 0,
    refreshes: 0,
    waits: 0,
    ended: 0,
    served: 0,
    largestHerd: 0,
    herds: HERD_BOUNDS.map((upTo) => ({ upTo, count: 0 })),
    levels: { "job-server": 0, election: 0, process: 0 },
    ownComputations: 0,
    failures: 0,
    timeouts: 0,
    backendErrors: 0,
    unreadable: 0,
    invalidations: 0,
  };
}

export function countHerd(metrics: CacheMetrics, herd: number): void {
  metrics.ended++;
  metrics.served += herd;
  metrics.largestHerd = Math.max(metrics.largestHerd, herd);
  for (const bucket of metrics.herds) if (herd <= bucket.upTo) bucket.count++;
}

/**
 * Calls for each computation that calls of this process waited for: its herds in the mean; 0 where there were none. Over
 * all processes: the sum of their `misses`, divided by the `computations` of the workers.
 */
export function joinRatio({ ended, served, herds }: CacheMetrics): number {
  const waitedFor = ended - herds[0]!.count;
  return waitedFor === 0 ? 0 : served / waitedFor;
}

const COUNTERS = [
  ["hits", "Answered with a fresh value from the backend."],
  ["stale", "Answered with a stale value at once."],
  ["misses", "Had to wait for a computation."],
  ["flights", "Computations begun to be waited for."],
  ["refreshes", "Of those, begun without anybody waiting."],
  ["waits", "Calls that waited for a computation."],
  ["ownComputations", "Computations run in this process."],
  ["failures", "Computations that failed."],
  ["timeouts", "Calls whose deadline passed."],
  ["backendErrors", "Reads that the backend did not answer."],
  ["unreadable", "Held bytes that were no value."],
  ["invalidations", "Invalidations."],
] as const;

/** What the caches of a process did, as Prometheus reads it. Keys of `caches` become the label `cache`. */
export function prometheusText(caches: Readonly<Record<string, { readonly metrics: CacheMetrics }>>): string {
  const of = Object.entries(caches).map(([name, { metrics }]) => ({
    label: `cache="${name.replace(/["\\\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
    metrics,
  }));
  const lines: string[] = [];
  for (const [field, help] of COUNTERS) {
    const name = `drover_cache_${field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}_total`;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} counter`);
    for (const { label, metrics } of of) lines.push(`${name}{${label}} ${metrics[field]}`);
  }
  lines.push(
    "# HELP drover_cache_levels_total Computations by the level of the ladder that ended them.",
    "# TYPE drover_cache_levels_total counter",
  );
  for (const { label, metrics } of of)
    for (const level of LEVELS)
      lines.push(`drover_cache_levels_total{${label},level="${level}"} ${metrics.levels[level]}`);
  lines.push(
    "# HELP drover_cache_herd Calls that one computation served.",
    "# TYPE drover_cache_herd histogram",
  );
  for (const { label, metrics } of of) {
    for (const { upTo, count } of metrics.herds)
      lines.push(`drover_cache_herd_bucket{${label},le="${upTo}"} ${count}`);
    const { ended, served } = metrics;
    lines.push(
      `drover_cache_herd_bucket{${label},le="+Inf"} ${ended}`,
      `drover_cache_herd_sum{${label}} ${served}`,
      `drover_cache_herd_count{${label}} ${ended}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
