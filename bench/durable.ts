import { fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PacketType } from "@drover/protocol";
import { Worker } from "@drover/worker";
import { findPostgres, startPostgres } from "../test/peers/postgres.ts";
import { makeFolder, removeFolder } from "./children.ts";
import { gearbench, type Outcome, withFigures } from "./gearbench.ts";
import { jobsOn, Peer } from "./peer.ts";
import { type Options, type Step, settingsOf } from "./plan.ts";
import { droverCommand, type RunningServer, type ServerCommand, startServer } from "./servers.ts";
import { need } from "./tools.ts";

/* What it costs that a background job is on disk before its submission is answered. */

const ROUNDS = 3;
/** As the jobs of gearmand's own users are: an address, a few ids. */
const BYTES = 200;
const JOBS = 300_000;
/** Gearmand commits each job by itself, and would take many minutes for as many. */
const GEARMAND_JOBS = 5_000;
const RECOVERED_JOBS = 1_000_000;
const FOREGROUND_PER_S = 1_000;
/** Durable jobs that are run at a time. */
const WORKERS = 16;
const RECOVERY_DEADLINE_MS = 120_000;
export const DURABLE_PER_S = 5_000;

/** The names of what this part measures, for the command line. */
export const DURABLE = [
  { name: "durable-submit" },
  { name: "durable-beside" },
  { name: "durable-recovery" },
] as const;

export const SQLITE = "drover-sqlite";
export const POSTGRES = "drover-postgres";
export const GEARMAND_SQLITE = "gearmand-sqlite";
/** The columns of `durable-beside`. */
export const ALONE = "alone";
export const IN_MEMORY = "submitted, not durable";
export const SUBMITTED = "submitted";
export const RUN = "submitted and run";

export async function durablePlan(options: Options): Promise<Step[]> {
  const rounds = options.rounds ?? ROUNDS;
  const settings = settingsOf(options, rounds, false);
  const wanted = (name: string): boolean => options.only?.has(name) !== false;
  const drover = withStore(SQLITE, "sqlite:jobs.db");
  const gearmand = await gearmandWithSqlite();
  const steps: Step[] = [];
  const add = (
    name: string,
    column: string,
    round: number,
    server: ServerCommand,
    estimateS: number,
    measure: Step["measure"],
  ) => steps.push({ section: "durable", name, column, round, settings, server, estimateS, measure });

  for (let round = 0; round < rounds; round++) {
    if (wanted("durable-submit")) {
      const jobs = options.short ? JOBS / 10 : JOBS;
      add("durable-submit", SQLITE, round, drover, 15, (server) => submitted(server, jobs));
      add("durable-submit", POSTGRES, round, droverCommand(), 30, () => onPostgres(jobs));
      add("durable-submit", GEARMAND_SQLITE, round, gearmand, 15, (server) =>
        submitted(server, GEARMAND_JOBS),
      );
    }
    if (wanted("durable-beside")) {
      const times = ["--seconds", String(options.seconds), "--warmup", String(Math.max(8, options.warmup))];
      const estimateS = options.seconds + Math.max(8, options.warmup) + 2;
      for (const load of [ALONE, IN_MEMORY, SUBMITTED, RUN]) {
        const server = load === IN_MEMORY ? droverCommand() : drover;
        add("durable-beside", load, round, server, estimateS, (running) => beside(running, load, times));
      }
    }
    if (wanted("durable-recovery")) {
      const jobs = options.short ? RECOVERED_JOBS / 10 : RECOVERED_JOBS;
      const folder = makeFolder();
      const server = withStore(SQLITE, `sqlite:${join(folder, "jobs.db")}`);
      add("durable-recovery", SQLITE, round, server, 60, async (running) => {
        try {
          return await recovered(running, server, jobs);
        } finally {
          removeFolder(folder);
        }
      });
    }
  }
  return steps;
}

function withStore(name: string, store: string): ServerCommand {
  return { name, command: `${droverCommand().command} --store '${store}'` };
}

async function gearmandWithSqlite(): Promise<ServerCommand> {
  const program = await need("gearmand", ["gearman-job-server"]);
  const queue = "-q libsqlite3 --libsqlite3-db jobs.db";
  const command = `${program} --listen=127.0.0.1 --port=$PORT --log-file=none --pid-file=pid ${queue}`;
  return { name: GEARMAND_SQLITE, command };
}

async function submitted(server: RunningServer, jobs: number): Promise<Outcome> {
  const fsyncs = fsyncsPerSecond();
  const words = `submit --jobs ${jobs} --size ${BYTES} --timeout 300 --max-seconds 3600`;
  const outcome = await gearbench(words.split(" "), server, false);
  if (!outcome.ok) return outcome;
  const { figures } = withFigures(outcome, ["ops_per_s", "drain_per_s"]);
  return { ...outcome, figures: { ...figures, fsyncs_per_s: fsyncs } };
}

async function onPostgres(jobs: number): Promise<Outcome> {
  await need("initdb", ["postgresql"], findPostgres);
  const postgres = await startPostgres();
  try {
    const server = await startServer(withStore(POSTGRES, postgres.url), false);
    try {
      return await submitted(server, jobs);
    } finally {
      await server.stop();
    }
  } finally {
    await postgres.remove();
  }
}

/** Small writes that are each waited for, on the disk that the stores are on. */
function fsyncsPerSecond(): number {
  const folder = makeFolder();
  const file = openSync(join(folder, "fsync"), "w");
  const page = new Uint8Array(4096);
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < 1000) {
    writeSync(file, page);
    fsyncSync(file);
    count++;
  }
  const perSecond = Math.round((count * 1000) / (performance.now() - begun));
  removeFolder(folder);
  return perSecond;
}

/** Foreground jobs at a fixed pace, beside durable ones at theirs. */
async function beside(server: RunningServer, load: string, times: readonly string[]): Promise<Outcome> {
  const words = ["echo", "--rate", String(FOREGROUND_PER_S), ...times];
  const measured = gearbench(words, server, false);
  if (load === ALONE) return withFigures(await measured, ["p99_us", "p50_us", "server_us_per_op"]);
  const submitter = await Peer.connect(server.port);
  const worker = load === RUN ? working(server) : undefined;
  try {
    const stop = submitter.pace(DURABLE_PER_S, new Uint8Array(BYTES));
    const outcome = await measured;
    await stop();
    return withFigures(outcome, ["p99_us", "p50_us", "server_us_per_op"]);
  } finally {
    submitter.close();
    await worker?.close();
  }
}

function working(server: RunningServer): Worker {
  const worker = new Worker({ servers: `127.0.0.1:${server.port}`, concurrency: WORKERS });
  worker.handle("waiting", () => new Uint8Array(0));
  void worker.run();
  return worker;
}

/** A long queue, a crash, and the time until the server that is started again listens. */
async function recovered(server: RunningServer, command: ServerCommand, jobs: number): Promise<Outcome> {
  const peer = await Peer.connect(server.port);
  await peer.submit(PacketType.SUBMIT_JOB_BG, jobs, new Uint8Array(BYTES));
  peer.close();
  process.kill(server.pid, "SIGKILL");
  const again = await startServer(command, false, RECOVERY_DEADLINE_MS);
  try {
    const found = await jobsOn(again.port);
    return {
      ok: found === jobs,
      figures: { recovery_s: Math.round(again.startMs / 10) / 100 },
      complaint: `${found} jobs instead of ${jobs} were there after a crash`,
    };
  } finally {
    await again.stop();
  }
}
