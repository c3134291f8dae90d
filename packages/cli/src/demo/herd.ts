import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type Job } from "@drover/client";
import { JobServer } from "@drover/server";
import { formatAddress } from "@drover/transport";
import { JobFailure, Worker, type WorkerJob } from "@drover/worker";
import { CommandFailed, UsageError } from "../errors.ts";
import { openFileLimit, RESERVED_FILES } from "../serve/open-files.ts";
import { durationText, grouped } from "../terminal/table.ts";
import { VERSION } from "../version.ts";

export interface HerdOptions {
  readonly clients: number;
  readonly uniques: number;
  readonly workers: number;
  readonly durationMs: number;
  /** A server that runs already; undefined: one in this process. */
  readonly server: string | undefined;
  readonly late: boolean;
  readonly killWorker: boolean;
  readonly json: boolean;
}

/** Pieces of data that one execution streams. */
const CHUNKS = 10;
/** Connections made at one time, so that no backlog of a server overflows. */
const CONNECTING = 100;

/** What one client saw. */
interface Seen {
  readonly unique: number;
  /** Digest of data, warnings and the terminal event, in order. */
  readonly digest: string;
  readonly lastStatus: string;
  readonly firstByteMs: number;
  readonly completedMs: number;
  readonly restarts: number;
}

/** Runs the herd, prints what happened, and fails when anything was not as it must be. */
export async function demoHerd(options: HerdOptions): Promise<void> {
  checkOpenFiles(options);
  const own = options.server === undefined ? await ownServer() : undefined;
  const address =
    options.server ?? formatAddress({ transport: "tcp", host: "127.0.0.1", port: own!.addresses[0]!.port });
  const herd = new Herd(options, address);
  try {
    await herd.run();
  } finally {
    await own?.stop(0);
  }
  const problems = herd.problems();
  if (options.json) process.stdout.write(`${JSON.stringify({ ...herd.figures(), problems })}\n`);
  else process.stdout.write(herd.report());
  if (problems.length > 0) throw new CommandFailed("DEMO_WRONG", problems.join("\n"));
}

class Herd {
  readonly #options: HerdOptions;
  readonly #address: string;
  /** A name of its own, so that two demos on one server do not meet. */
  readonly #function = `demo-herd-${process.pid}-${Date.now()}`;
  readonly #seen: Seen[] = [];
  readonly #allSubmitted = Promise.withResolvers<void>();
  readonly #halfSeen = Promise.withResolvers<void>();
  readonly #killed = Promise.withResolvers<void>();
  #submitted = 0;
  #executions = 0;
  #handedOver = 0;
  #workers: Worker[] = [];

  constructor(options: HerdOptions, address: string) {
    this.#options = options;
    this.#address = address;
  }

  async run(): Promise<void> {
    const { clients: count, workers, uniques, killWorker } = this.#options;
    this.#say(`connecting ${grouped(count)} clients and ${workers} workers to ${this.#address}\n`);
    const concurrency = Math.ceil(uniques / workers);
    this.#workers = Array.from({ length: workers }, (_, i) => this.#worker(i, concurrency));
    await Promise.all(this.#workers.map((worker) => worker.run()));
    const clients = Array.from({ length: count }, () => new Client({ servers: this.#address }));
    for (let i = 0; i < count; i += CONNECTING) {
      await Promise.all(clients.slice(i, i + CONNECTING).map((client) => client.echo()));
    }
    this.#say(`submitting ${uniques} uniques, ${grouped(count)} times in all\n`);
    if (killWorker) void this.#killOne();
    await Promise.all(clients.map((client, i) => this.#follow(client, i)));
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  #worker(number: number, concurrency: number): Worker {
    const worker = new Worker({ servers: this.#address, concurrency, clientId: `demo-herd-${number}` });
    worker.handle(this.#function, (job) => this.#execute(job));
    return worker;
  }

  /** One execution. It ends only when everybody has submitted, so that none of them can come too late. */
  async #execute(job: WorkerJob): Promise<string> {
    this.#executions++;
    for (let chunk = 1; chunk <= CHUNKS; chunk++) {
      await pause(this.#options.durationMs / CHUNKS);
      if (job.signal.aborted) {
        this.#handedOver++;
        throw new JobFailure();
      }
      await job.data(`${job.unique} part ${chunk}\n`);
      job.status(chunk, CHUNKS);
      if (chunk * 2 === CHUNKS) {
        await job.warning("half way");
        this.#halfSeen.resolve();
        if (this.#options.killWorker)
          await Promise.race([this.#killed.promise, pause(this.#options.durationMs)]);
      }
    }
    await this.#allSubmitted.promise;
    return `${job.unique} done`;
  }

  async #follow(client: Client, number: number): Promise<void> {
    const unique = number % this.#options.uniques;
    if (this.#options.late && number % 2 === 1 && number >= this.#options.uniques)
      await this.#halfSeen.promise;
    const startMs = performance.now();
    const job = client.submit(this.#function, "", { unique: `thing-${unique}` });
    void job.created().then(() => {
      if (++this.#submitted === this.#options.clients) this.#allSubmitted.resolve();
    });
    this.#seen.push(await follow(job, unique, startMs));
  }

  /** Cuts the first worker off while it runs jobs. */
  async #killOne(): Promise<void> {
    await this.#halfSeen.promise;
    this.#say("cutting one worker off in the middle of its jobs\n");
    await this.#workers[0]!.close();
    this.#killed.resolve();
  }

  figures() {
    const firstByte = this.#seen.map(({ firstByteMs }) => firstByteMs).sort(ascending);
    const completion = this.#seen.map(({ completedMs }) => completedMs).sort(ascending);
    const digests = new Map<number, Set<string>>();
    for (const { unique, digest } of this.#seen) {
      digests.set(unique, (digests.get(unique) ?? new Set()).add(digest));
    }
    return {
      clients: this.#options.clients,
      uniques: this.#options.uniques,
      submissions: this.#submitted,
      executions: this.#executions,
      handedOver: this.#handedOver,
      joins: this.#submitted - this.#options.uniques,
      completeStreams: this.#seen.length,
      differentStreams: [...digests.values()].reduce((sum, set) => sum + set.size, 0),
      restarted: this.#seen.filter(({ restarts }) => restarts > 0).length,
      firstByteMs: { p50: quantile(firstByte, 0.5), p99: quantile(firstByte, 0.99) },
      completionMs: { p50: quantile(completion, 0.5), p99: quantile(completion, 0.99) },
    };
  }

  problems(): string[] {
    const { submissions, executions, handedOver, completeStreams, differentStreams } = this.figures();
    const { clients, uniques, killWorker } = this.#options;
    const problems: string[] = [];
    if (submissions !== clients) problems.push(`${submissions} of ${clients} submissions were taken`);
    if (completeStreams !== clients) problems.push(`${completeStreams} of ${clients} streams are complete`);
    if (executions !== uniques + handedOver) {
      problems.push(`${executions} executions instead of ${uniques + handedOver}`);
    }
    if (killWorker && handedOver === 0) problems.push("the worker that was cut off had no job");
    if (differentStreams !== uniques) {
      problems.push(
        `the ${clients} streams of ${uniques} uniques have ${differentStreams} different contents`,
      );
    }
    const thinned = this.#seen.filter(({ lastStatus }) => lastStatus !== `${CHUNKS}/${CHUNKS}`).length;
    if (thinned > 0) problems.push(`${thinned} clients did not get the newest status`);
    return problems;
  }

  report(): string {
    const figures = this.figures();
    const { firstByteMs, completionMs } = figures;
    const number = (value: number) => grouped(value).padStart(9);
    const again =
      figures.handedOver > 0 ? `, ${figures.handedOver} of them again after their worker was lost` : "";
    return `
submissions ${number(figures.submissions)}   each on a connection of its own
executions  ${number(figures.executions)}   for ${grouped(figures.uniques)} uniques${again}
joins       ${number(figures.joins)}
streams     ${number(figures.completeStreams)}   complete: ${CHUNKS} pieces of data, a warning, the newest status, the result
contents    ${number(figures.differentStreams)}   different ones: the same for every client of a unique
first byte    p50 ${durationText(firstByteMs.p50)}, p99 ${durationText(firstByteMs.p99)} after the submission
completion    p50 ${durationText(completionMs.p50)}, p99 ${durationText(completionMs.p99)}
`;
  }

  #say(text: string): void {
    if (!this.#options.json) process.stdout.write(text);
  }
}

/** Reads a job's events to the end. A restart makes what came before void. */
async function follow(job: Job, unique: number, startMs: number): Promise<Seen> {
  let digest = createHash("sha256");
  let lastStatus = "";
  let firstByteMs = 0;
  let restarts = 0;
  for await (const event of job) {
    if (event.type === "restarted") {
      digest = createHash("sha256");
      lastStatus = "";
      restarts++;
    } else if (event.type === "status") {
      lastStatus = `${event.numerator}/${event.denominator}`;
    } else if (event.type !== "created") {
      if (firstByteMs === 0) firstByteMs = performance.now() - startMs;
      digest
        .update(`${event.type}\0`)
        .update("data" in event ? event.data : "")
        .update("\0");
    }
  }
  const completedMs = performance.now() - startMs;
  return { unique, digest: digest.digest("hex"), lastStatus, firstByteMs, completedMs, restarts };
}

function ownServer(): Promise<JobServer> {
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  return JobServer.start({ listen: ["127.0.0.1:0"], log: quiet, version: VERSION });
}

function checkOpenFiles({ clients, workers, server }: HerdOptions): void {
  const limit = openFileLimit();
  // With a server of its own, both ends of every connection are in this process.
  const needed = (clients + workers) * (server === undefined ? 2 : 1) + RESERVED_FILES;
  if (limit === undefined || needed <= limit) return;
  throw new UsageError(
    "OPTION_INVALID",
    `${grouped(clients)} clients need ${grouped(needed)} open files, and ${grouped(limit)} are allowed:\n` +
      `raise the limit (ulimit -n ${needed}) or use fewer --clients`,
  );
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

function ascending(a: number, b: number): number {
  return a - b;
}
