import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { startDrover, type TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { Random } from "../sim/random.ts";
import { askOnce } from "./ask.ts";
import { Books, type Totals } from "./books.ts";
import { Submitter, Worker } from "./peers.ts";

/*
 * A real server with a real store under load, killed at random moments and started again, and at the end a look at the
 * books. What is checked is what everybody outside can see.
 */

const SUBMITTERS = 4;
const WORKERS = 6;
/** Longest life of a server in milliseconds. */
const LIFE_MS = 900;
const DRAIN_DEADLINE_MS = 120_000;

const CONFIG = `server:
  limits: { maxDeadLetters: 10000000, deadLetterBytes: 4GiB }
functions:
  dies: { retry: { maxAttempts: 2, backoff: { initialMs: 20, maxMs: 50 } } }
`;

export interface CrashOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Path of gearbench, which adds load of its own; none without. */
  readonly generator?: string | undefined;
  readonly progress?: (round: number, totals: Totals) => void;
}

/**
 * @returns what was done, when nothing was lost.
 * @throws Broken
 */
export async function playCrashes(options: CrashOptions): Promise<Totals> {
  const folder = mkdtempSync(join(tmpdir(), "drover-crash-"));
  const config = join(folder, "drover.yaml");
  writeFileSync(config, CONFIG);
  const args = ["--config", config, "--store", `sqlite:${join(folder, "jobs.db")}`, "--warm-up-ms", "0"];
  const books = new Books();
  const random = new Random(options.seed);
  try {
    for (let round = 1; round <= options.rounds; round++) {
      await life(await startDrover(...args), books, random, options.generator);
      options.progress?.(round, books.totals());
    }
    const last = await startDrover(...args);
    try {
      await drain(last, books);
    } finally {
      await last.stop();
    }
    return books.totals();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One life of the server, from its start to a moment at which it is killed. */
async function life(server: TestServer, books: Books, random: Random, generator?: string): Promise<void> {
  const seed = random.uint32();
  const submitters = Array.from(
    { length: SUBMITTERS },
    (_, i) => new Submitter(server.port, books, seed + i),
  );
  const workers = Array.from({ length: WORKERS }, (_, i) => new Worker(server.port, books, seed + i));
  const load = generator === undefined ? undefined : startLoad(generator, server.port);
  await after(random.below(LIFE_MS));
  const dead = books.killed();
  await server.stop("SIGKILL");
  await Promise.all([...submitters, ...workers].map(({ ended }) => ended));
  dead();
  load?.kill("SIGKILL");
  if (load !== undefined && load.exitCode === null && load.signalCode === null) await once(load, "exit");
  for (const { failure } of [...submitters, ...workers]) if (failure !== undefined) throw failure;
}

/** Foreground jobs of others, all the time. */
function startLoad(generator: string, port: number): ChildProcess {
  const args = [
    "echo",
    "--clients",
    "4",
    "--workers",
    "4",
    "--depth",
    "4",
    "--seconds",
    "60",
    "--port",
    String(port),
  ];
  return spawn(generator, args, { stdio: "ignore" });
}

/** Everything is done, and the books are checked. */
async function drain(server: TestServer, books: Books): Promise<void> {
  const workers = Array.from({ length: WORKERS }, (_, i) => new Worker(server.port, books, i));
  try {
    await until("no job is left", DRAIN_DEADLINE_MS, async () => {
      const lines = (await askOnce(server.port, "status")).filter((line) => /^(works|dies)\t/.test(line));
      return lines.every((line) => line.split("\t")[1] === "0");
    });
    const letters = await askOnce(server.port, "deadletters 100000000");
    books.check(new Set(letters.map((line) => line.split("\t")[0]!)));
  } finally {
    for (const worker of workers) worker.close();
    await Promise.all(workers.map(({ ended }) => ended));
  }
  for (const { failure } of workers) if (failure !== undefined) throw failure;
}
