import { setTimeout as after } from "node:timers/promises";
import { PacketType } from "@drover/protocol";
import { gearbench, type Outcome, withFigures } from "./gearbench.ts";
import { jobsOn, Peer } from "./peer.ts";
import { type Options, type Step, settingsOf } from "./plan.ts";
import { GEARMAND, type RunningServer, type ServerCommand } from "./servers.ts";

const ROUNDS = 3;

/** Something whose memory is measured: the growth of the server's resident set, over as many of it as shown. */
export interface Probe {
  readonly name: string;
  readonly estimateS: number;
  /** The configurations of gearmand that can hold it within minutes. */
  readonly gearmand: readonly string[];
  readonly measure: (server: RunningServer, isShort: boolean) => Promise<Outcome>;
}

const CONNECTIONS = 500;
const JOBS = 1_000;
const QUEUED = 300_000;
const BURST = 1_000_000;
const IDLE_MS = 30_000;
const WORKLOAD = new Uint8Array(64);

export const PROBES: readonly Probe[] = [
  { name: "idle", estimateS: 4, gearmand: ["gearmand", "gearmand-1"], measure: idle },
  { name: "queued", estimateS: 25, gearmand: ["gearmand", "gearmand-1"], measure: queued },
  { name: "joined", estimateS: 10, gearmand: ["gearmand", "gearmand-1"], measure: joined },
  { name: "burst", estimateS: 75, gearmand: ["gearmand-tuned-1"], measure: burst },
];

export function memoryPlan(options: Options, servers: readonly ServerCommand[]): Step[] {
  const rounds = options.rounds ?? ROUNDS;
  const settings = settingsOf(options, rounds, false);
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const { name, estimateS, gearmand, measure } of PROBES) {
      if (options.only?.has(name) === false) continue;
      for (const server of servers) {
        if (server.name in GEARMAND && !gearmand.includes(server.name)) continue;
        steps.push({
          section: "memory",
          name,
          column: server.name,
          round,
          settings,
          server,
          estimateS,
          measure: (running) => measure(running, options.short),
        });
      }
    }
  }
  return steps;
}

async function idle(server: RunningServer, isShort: boolean): Promise<Outcome> {
  const clients = isShort ? 400 : 4000;
  const words = `idle --idle-clients ${clients} --idle-workers 500 --seconds 0.5 --warmup 0`;
  return withFigures(await gearbench(words.split(" "), server, false), [
    "rss_bytes_per_client",
    "rss_bytes_per_worker",
  ]);
}

async function queued(server: RunningServer, isShort: boolean): Promise<Outcome> {
  const jobs = isShort ? QUEUED / 10 : QUEUED;
  return withFigures(await gearbench(["submit", "--jobs", String(jobs)], server, false), [
    "rss_bytes_per_job",
  ]);
}

/** Connections of which each joins the same jobs, after one that created them. */
async function joined(server: RunningServer, isShort: boolean): Promise<Outcome> {
  const connections = isShort ? CONNECTIONS / 10 : CONNECTIONS;
  const peers: Peer[] = [];
  try {
    for (let at = 0; at <= connections; at++) {
      peers.push(await Peer.connect(server.port));
      await peers[at]!.settled();
    }
    const [first, ...others] = peers;
    await first!.submit(PacketType.SUBMIT_JOB, JOBS, WORKLOAD);
    const before = server.rssKiB();
    for (const peer of others) await peer.submit(PacketType.SUBMIT_JOB, JOBS, WORKLOAD);
    const bytes = (server.rssKiB() - before) * 1024;
    const jobs = await jobsOn(server.port);
    return {
      ok: jobs === JOBS,
      figures: { rss_bytes_per_joined: Math.round(bytes / (connections * JOBS)) },
      complaint: `${jobs} jobs instead of ${JOBS} that were joined`,
    };
  } finally {
    for (const peer of peers) peer.close();
  }
}

/** A long queue comes and goes: what the server gives back. */
async function burst(server: RunningServer, isShort: boolean): Promise<Outcome> {
  const start = server.rssKiB();
  const jobs = isShort ? BURST / 10 : BURST;
  const outcome = await gearbench(["submit", "--jobs", String(jobs)], server, false);
  if (!outcome.ok) return outcome;
  await after(IDLE_MS);
  const mib = (kib: number) => Math.round(kib / 102.4) / 10;
  return {
    ...outcome,
    figures: {
      after_mib: mib(server.rssKiB()),
      start_mib: mib(start),
      queued_mib: mib(outcome.figures.rss_queued_kb!),
    },
  };
}
