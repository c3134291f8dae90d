/** One of the loads that servers are compared under. */
export interface Scenario {
  readonly name: string;
  /** Words for gearbench, but for the times. */
  readonly words: string;
  /** What of gearbench's report is kept. */
  readonly figures: readonly string[];
  /** Whether gearmand's tuning can make a difference. */
  readonly tunable: boolean;
  /** Gearmand without its tuning takes so many minutes that its default runs once, and with one thread not at all. */
  readonly untunedOnce: boolean;
  /** The least warm-up in seconds: a load that is no more than a trickle takes long to be compiled for. */
  readonly leastWarmup: number;
}

const ECHO = ["ops_per_s", "server_us_per_op"];
const QUEUE = ["ops_per_s", "drain_per_s", "rss_bytes_per_job", "server_us_per_op", "drain_server_us_per_op"];
const HERD = ["fanout_packets_per_s", "p99_us", "ops_per_s", "submit_per_s"];
const FUNCTIONS = ["ops_per_s", "max_us", "p99_us"];
const IDLE = ["ops_per_s", "p50_us", "p99_us", "rss_bytes_per_client", "rss_bytes_per_worker"];
const RATE = ["p50_us", "p99_us", "p999_us", "server_us_per_op"];

const fixed = (name: string, words: string, figures: readonly string[]): Scenario => {
  return { name, words, figures, tunable: false, untunedOnce: false, leastWarmup: 0 };
};
const tunable = (name: string, words: string, figures: readonly string[]): Scenario => {
  return { name, words, figures, tunable: true, untunedOnce: false, leastWarmup: 0 };
};

export const SCENARIOS: readonly Scenario[] = [
  fixed("ping", "ping", ECHO),
  fixed("echo", "echo", ECHO),
  fixed("echo-16", "echo --size 16", ECHO),
  fixed("echo-wide", "echo --clients 16 --workers 64 --depth 32", ECHO),
  fixed("echo-4k", "echo --size 4096", ECHO),
  fixed("echo-64k", "echo --size 65536", ECHO),
  tunable("submit-100k", "submit --jobs 100000 --size 16", QUEUE),
  tunable("submit-300k", "submit --jobs 300000", QUEUE),
  tunable("submit-1k", "submit --jobs 300000 --size 1024", QUEUE),
  {
    ...tunable("submit-1m", "submit --jobs 1000000 --timeout 300 --max-seconds 3600", QUEUE),
    untunedOnce: true,
  },
  fixed("herd", "herd", HERD),
  fixed("herd-wide", "herd --clients 2000 --uniques 2 --hold-ms 0", HERD),
  fixed("herd-64k", "herd --clients 100 --size 65536", HERD),
  fixed("idle", "idle --idle-clients 4000 --idle-workers 500", IDLE),
  tunable("wakeup", "echo --clients 1 --workers 500 --depth 1", ECHO),
  tunable("functions", "functions --functions 10000", FUNCTIONS),
  tunable("functions-split", "functions --functions 10000 --function-split --workers 16", FUNCTIONS),
  tunable("priority", "priority --jobs 30000", ["drain_per_s", "ops_per_s"]),
  { ...fixed("rate", "echo --rate 5000", RATE), leastWarmup: 8 },
];

const SIZES = new Set(["--jobs", "--functions", "--idle-clients"]);

/** The words for gearbench with a tenth of the jobs, functions and idle connections. */
export function shrunk(words: string): string {
  const all = words.split(" ");
  return all.map((word, at) => (SIZES.has(all[at - 1] ?? "") ? String(Number(word) / 10) : word)).join(" ");
}

/** Jobs in its queue, with which it ends; nothing where the load is measured for a time. */
export function jobsOf(scenario: Scenario): number {
  return Number(/--jobs (\d+)/.exec(scenario.words)?.[1] ?? 0);
}
