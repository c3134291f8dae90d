import type { Mode } from "./report.ts";
import type { GearmandName } from "./servers.ts";

/** Which configurations of gearmand Drover is held against: the better one of those that are named. */
export type Against = "best" | "tuned" | "untuned" | "default";

export const AGAINST: Readonly<Record<Against, readonly GearmandName[]>> = {
  best: ["gearmand", "gearmand-1", "gearmand-tuned", "gearmand-tuned-1"],
  tuned: ["gearmand-tuned", "gearmand-tuned-1"],
  untuned: ["gearmand", "gearmand-1"],
  default: ["gearmand"],
};

/** What Drover's ratio to gearmand must reach (floor) and is to reach (goal). */
export interface Target {
  readonly scenarios: readonly string[];
  readonly figure: string;
  readonly against: Against;
  readonly floor: number;
  readonly goal?: number;
  /** A difference to gearmand, in the figure's unit, that is small enough whatever the ratio is. */
  readonly orWithin?: number;
  /** Where the floor of one mode differs. */
  readonly floorIn?: Partial<Record<Mode, number>>;
}

const best = (scenarios: string, figure: string, floor: number, goal?: number): Target => {
  return { scenarios: scenarios.split(" "), figure, against: "best", floor, ...(goal && { goal }) };
};

/** README.md of this folder explains them. */
export const TARGETS: readonly Target[] = [
  best("ping", "ops_per_s", 1, 1.2),
  best("echo echo-16 echo-4k echo-64k", "ops_per_s", 0.9, 1.1),
  best("echo-wide", "ops_per_s", 0.9, 1.2),
  { scenarios: ["submit-100k"], figure: "ops_per_s", against: "default", floor: 3 },
  { scenarios: ["submit-300k"], figure: "ops_per_s", against: "default", floor: 10 },
  { scenarios: ["submit-1m"], figure: "ops_per_s", against: "default", floor: 50 },
  { scenarios: ["submit-1m"], figure: "ops_per_s", against: "tuned", floor: 0.85, goal: 1.2 },
  { scenarios: ["submit-1m"], figure: "drain_per_s", against: "tuned", floor: 0.85, goal: 1.2 },
  {
    scenarios: ["submit-100k", "submit-300k"],
    figure: "drain_per_s",
    against: "untuned",
    floor: 1.3,
    goal: 1.7,
  },
  best("submit-300k submit-1m queued", "rss_bytes_per_job", 0.65, 0.45),
  best("herd", "fanout_packets_per_s", 1.2, 2),
  best("herd", "p99_us", 1, 0.5),
  { ...best("herd-wide", "fanout_packets_per_s", 0.9, 1.3), floorIn: { free: 0.7 } },
  best("idle", "rss_bytes_per_client", 1, 0.5),
  best("idle", "rss_bytes_per_worker", 0.6, 0.4),
  best("wakeup", "ops_per_s", 0.8, 1.2),
  best("functions functions-split", "ops_per_s", 1.5, 5),
  best("functions functions-split", "max_us", 0.1, 0.02),
  best("priority", "drain_per_s", 1, 1.2),
  best("rate", "p50_us", 1.2, 0.9),
  { ...best("rate", "p99_us", 2, 1), orWithin: 500 },
];

/** Memory after a burst, idle again: at most this much of what it was at the start, and a fixed part. */
export const AFTER_BURST = { floor: 1.5, floorMiB: 64, goal: 1.2 } as const;

/** What durability may cost. README.md of this folder explains it. */
export const DURABLE_TARGETS = {
  /** Submissions a second, or this many times the disk's synchronous writes, whichever is lower. */
  submissionsPerS: 30_000,
  perFsync: 50,
  timesGearmand: 20,
  /** p99 of foreground jobs beside durable ones, against that without. */
  besideRatio: 2,
  recoveryS: 15,
} as const;

/** What HTTP and WebSocket may cost. README.md of this folder explains it. */
export const TRANSPORT_TARGETS = {
  /** Jobs over HTTP, against answers of a bare server of the same stack. */
  ofBare: 0.5,
  webSocketPerS: 100_000,
  idleEventsMiB: 1024,
} as const;

/** How far a cost may grow over a curve's whole range, and how far throughput may fall. */
export const FLAT_COST = 2;
export const FLAT_RATE = 3;
