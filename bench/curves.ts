import { PacketType } from "@drover/protocol";
import { gearbench, type Outcome } from "./gearbench.ts";
import { jobsOn, Peer } from "./peer.ts";
import { type Options, type Step, settingsOf } from "./plan.ts";
import { median } from "./ratios.ts";
import type { RunningServer, ServerCommand } from "./servers.ts";
import { canPin, maxOpenFiles } from "./tools.ts";

const ROUNDS = 3;
/** The load at which costs are compared. */
const JOBS_PER_S = 5_000;
const WORKLOAD = new Uint8Array(64);
/** The least warm-up at that load, in seconds: what thousands of workers say at first takes as long to be worked off. */
const LEAST_WARMUP = 8;
/** So many jobs have made a fresh server fast. */
const WARM_JOBS = 50_000;
/** Queues shorter than this are measured as often as makes up for it. */
const ENOUGH_JOBS = 20_000;

/** How the cost of a job changes with the number of something. */
export interface Curve {
  readonly name: string;
  readonly title: string;
  readonly sizes: readonly number[];
  /** A load of jobs among so many of it, in gearbench's words. */
  readonly words: (size: number) => string;
  /** Whether so many jobs of another function wait beside that load. */
  readonly isQueued?: true;
  /** Whether each of it is a connection, and so takes a file descriptor. */
  readonly isConnected?: true;
}

export const CURVES: readonly Curve[] = [
  {
    name: "functions-equal",
    title: "functions, all of them on each of 8 workers",
    sizes: [10, 1_000, 100_000],
    words: (size) => `functions --functions ${size} --workers 8`,
  },
  {
    name: "functions-distinct",
    title: "functions, each on one of 8 workers",
    sizes: [10, 1_000, 100_000],
    words: (size) => `functions --functions ${size} --workers 8 --function-split`,
  },
  {
    name: "workers",
    title: "workers",
    sizes: [10, 1_000, 10_000],
    words: (size) => `echo --workers ${size}`,
    isConnected: true,
  },
  {
    name: "queued",
    title: "queued jobs of another function",
    sizes: [1_000, 10_000, 100_000, 1_000_000],
    words: () => "echo",
    isQueued: true,
  },
];

/** Every size on servers of its own. Pinned where that is possible: less of the noise of two cores reaches them. */
export function curvesPlan(options: Options, server: ServerCommand): Step[] {
  const rounds = options.rounds ?? ROUNDS;
  const settings = settingsOf(options, rounds, canPin());
  const perRunS = options.seconds + options.warmup + 1;
  const steadyWarmup = options.short ? options.warmup : Math.max(options.warmup, LEAST_WARMUP);
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const curve of CURVES) {
      if (options.only?.has(curve.name) === false) continue;
      for (const size of curve.sizes) {
        if ((options.short && size > 100_000) || !fits(curve, size)) continue;
        steps.push({
          section: "curves",
          name: curve.name,
          column: String(size),
          round,
          settings,
          server,
          estimateS: 2 * perRunS + steadyWarmup - options.warmup + (curve.isQueued ? 5 + size / 12_000 : 0),
          measure: (running) => measure(curve, size, running, settings, steadyWarmup),
        });
      }
    }
  }
  return steps;
}

/** Descriptors that server and load generator need beside those of the size. */
const OTHER_FILES = 100;

function fits(curve: Curve, size: number): boolean {
  const limit = maxOpenFiles();
  if (curve.isConnected !== true || size + OTHER_FILES <= limit) return true;
  process.stderr.write(`bench: left out ${size} ${curve.title}: ${limit} file descriptors are allowed\n`);
  return false;
}

async function measure(
  curve: Curve,
  size: number,
  server: RunningServer,
  { seconds, warmup, pinned }: Step["settings"],
  steadyWarmup: number,
): Promise<Outcome> {
  const run = (words: string) => gearbench(words.split(" "), server, pinned);
  const throughput = curve.isQueued ? await queueThroughput(size, run) : undefined;
  if (throughput?.ok === false) return throughput;
  const filled = curve.isQueued ? await fill(server.port, size) : undefined;
  if (filled?.ok === false) return filled;
  const words = `${curve.words(size)} --seconds ${seconds}`;
  const steady = await run(`${words} --warmup ${steadyWarmup} --rate ${JOBS_PER_S}`);
  if (!steady.ok) return steady;
  const peak = await run(`${words} --warmup ${warmup}`);
  return {
    ...peak,
    figures: {
      p99_us: steady.figures.p99_us!,
      server_us_per_op: steady.figures.server_us_per_op!,
      ops_per_s: peak.figures.ops_per_s!,
      ...throughput?.figures,
    },
  };
}

/** Submits and drains a queue of this length, on a server that has served one before. */
async function queueThroughput(jobs: number, run: (words: string) => Promise<Outcome>): Promise<Outcome> {
  let outcome = await run(`submit --jobs ${WARM_JOBS}`);
  const submits: number[] = [];
  const drains: number[] = [];
  const times = Math.max(1, Math.min(9, Math.ceil(ENOUGH_JOBS / jobs)));
  for (let time = 0; time < times && outcome.ok; time++) {
    outcome = await run(`submit --jobs ${jobs}`);
    submits.push(outcome.figures.ops_per_s!);
    drains.push(outcome.figures.drain_per_s!);
  }
  return { ...outcome, figures: { submit_per_s: median(submits), drain_per_s: median(drains) } };
}

async function fill(port: number, jobs: number): Promise<Outcome> {
  const peer = await Peer.connect(port);
  await peer.submit(PacketType.SUBMIT_JOB_BG, jobs, WORKLOAD);
  peer.close();
  const found = await jobsOn(port);
  return { ok: found === jobs, figures: {}, complaint: `${found} jobs are queued instead of ${jobs}` };
}
