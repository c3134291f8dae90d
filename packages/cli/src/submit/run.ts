import { Client, ClientError, type Job, JobTimeout, NoServer } from "@drover/client";
import type { Priority } from "@drover/protocol";
import { EXIT, UsageError } from "../errors.ts";
import { allOf, linesOf } from "../lines.ts";
import { writePidFile } from "../serve/pid-file.ts";
import { serverAddresses, tokenOf } from "../server-address.ts";
import { countOf, durationMs, instantMs } from "../times.ts";
import { functionsOf } from "../tool-flags.ts";
import type { SubmitFlags } from "./flags.ts";
import { Output } from "./output.ts";

/** How a submission ended, for the exit code. */
type Ending = "done" | "failed" | "no server";

const CONNECT_LIMIT_MS = 5_000;
/** Results are printed as they come, so that what is kept is only what standard output has not taken. */
const MAX_BUFFERED_BYTES = 2 ** 32;

/** Submits what the command line says, and prints what comes back. Sets the exit code. */
export async function submit(workloads: readonly string[], flags: SubmitFlags): Promise<void> {
  const functions = functionsOf(flags);
  const plan = planOf(flags);
  const servers = serverAddresses(flags);
  const removePidFile = flags.pidFile === undefined ? undefined : writePidFile(flags.pidFile);
  const connection = new FirstConnection(servers.length);
  const client = new Client({
    servers,
    token: tokenOf(flags),
    connectTimeoutMs: Math.min(plan.timeoutMs ?? CONNECT_LIMIT_MS, CONNECT_LIMIT_MS),
    maxBufferedBytes: MAX_BUFFERED_BYTES,
    onNotice: (notice) => {
      if (notice.type === "connected") connection.made();
      if (notice.type === "unreachable") connection.failed(notice.error);
    },
  });
  const submitter = new Submissions(client, plan, new Output(flags, functions), connection);
  try {
    await eachWorkload(workloads, flags, plan.concurrency, async (workload) => {
      await Promise.all(functions.map((name) => submitter.one(name, workload)));
      return submitter.worst !== "no server";
    });
  } finally {
    removePidFile?.();
    await client.close();
  }
  process.exitCode =
    submitter.worst === "done" ? EXIT.ok : submitter.worst === "failed" ? EXIT.failed : EXIT.usage;
}

interface Plan {
  readonly background: boolean;
  readonly unique: string | undefined;
  readonly priority: Priority;
  readonly atMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly deadlineMs: number | undefined;
  readonly concurrency: number;
}

function planOf(flags: SubmitFlags): Plan {
  if (flags.high === true && flags.low === true) {
    throw new UsageError("OPTION_INVALID", "-I and -L cannot both be: a job has one priority");
  }
  const timeoutMs = flags.timeout === undefined ? undefined : durationMs(flags.timeout, "--timeout");
  return {
    background: flags.background === true || flags.at !== undefined,
    unique: flags.unique,
    priority: flags.high === true ? "high" : flags.low === true ? "low" : "normal",
    atMs: flags.at === undefined ? undefined : instantMs(flags.at, "--at", Date.now()),
    // 0 and below mean for ever in Gearman's tool.
    timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
    deadlineMs: flags.deadline === undefined ? undefined : durationMs(flags.deadline, "--deadline"),
    concurrency: flags.concurrency === undefined ? 1 : countOf(flags.concurrency, "--concurrency"),
  };
}

/** Ends the wait for a server that is not there: a person at a command line would not wait for one to come. */
class FirstConnection {
  readonly #controller = new AbortController();
  #serversLeft: number;

  constructor(servers: number) {
    this.#serversLeft = servers;
  }

  /** Aborts with the reason when no server could be reached. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  made(): void {
    this.#serversLeft = Number.POSITIVE_INFINITY;
  }

  failed(error: Error): void {
    this.#serversLeft--;
    if (this.#serversLeft === 0) this.#controller.abort(error);
  }
}

/** Submissions of one run of the command, and the worst of their endings. */
class Submissions {
  worst: Ending = "done";
  readonly #client: Client;
  readonly #plan: Plan;
  readonly #output: Output;
  readonly #connection: FirstConnection;

  constructor(client: Client, plan: Plan, output: Output, connection: FirstConnection) {
    this.#client = client;
    this.#plan = plan;
    this.#output = output;
    this.#connection = connection;
  }

  async one(name: string, workload: Uint8Array): Promise<void> {
    try {
      if (this.#plan.background) await this.#background(name, workload);
      else await this.#foreground(name, workload);
    } catch (error) {
      this.#ended(name, error);
    }
  }

  async #background(name: string, workload: Uint8Array): Promise<void> {
    const { unique, priority, atMs } = this.#plan;
    const { signal } = this.#connection;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    signal.throwIfAborted();
    const accepted = this.#client.background(name, workload, { unique, priority, at: atMs });
    accepted.catch(() => {});
    this.#output.created(name, await Promise.race([accepted, aborted]));
  }

  async #foreground(name: string, workload: Uint8Array): Promise<void> {
    const { unique, priority, deadlineMs, timeoutMs } = this.#plan;
    const patience = new Patience(name, timeoutMs);
    const signal = AbortSignal.any([this.#connection.signal, patience.signal]);
    const job: Job = this.#client.submit(name, workload, { unique, priority, deadlineMs, signal });
    patience.begin();
    try {
      for await (const event of job) {
        patience.begin();
        this.#output.event(name, event);
        if (event.type === "fail" || event.type === "exception") this.#note("failed");
      }
    } finally {
      patience.end();
    }
  }

  #ended(name: string, error: unknown): void {
    const lost = error instanceof NoServer || error === this.#connection.signal.reason;
    if (!lost && !(error instanceof ClientError)) throw error;
    // Said once, however many jobs wait for the same server.
    if (!lost || this.worst !== "no server") this.#output.failed(name, error as Error);
    this.#note(lost ? "no server" : "failed");
  }

  #note(ending: Ending): void {
    if (ending === "no server" || this.worst === "done") this.worst = ending;
  }
}

/** Gives up when nothing happens for so long. */
class Patience {
  readonly #controller = new AbortController();
  readonly #name: string;
  readonly #ms: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, ms: number | undefined) {
    this.#name = name;
    this.#ms = ms;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  begin(): void {
    const ms = this.#ms;
    if (ms === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new JobTimeout(this.#name, ms)), ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** Calls `handle` for each workload, so many at a time; stops when it says false. */
async function eachWorkload(
  workloads: readonly string[],
  flags: SubmitFlags,
  concurrency: number,
  handle: (workload: Uint8Array) => Promise<boolean>,
): Promise<void> {
  const underWay = new Set<Promise<boolean>>();
  for await (const workload of workloadsOf(workloads, flags)) {
    const one = handle(workload);
    underWay.add(one);
    void one.finally(() => underWay.delete(one)).catch(() => {});
    if (underWay.size >= concurrency && !(await Promise.race(underWay))) break;
  }
  await Promise.all(underWay);
}

async function* workloadsOf(workloads: readonly string[], flags: SubmitFlags): AsyncGenerator<Uint8Array> {
  if (workloads.length > 0) {
    for (const text of workloads) yield Buffer.from(text);
    return;
  }
  if (flags.silentInput === true) {
    yield new Uint8Array(0);
    return;
  }
  const perLine = flags.lines === true || flags.strippedLines === true;
  if (process.stdin.isTTY) {
    process.stderr.write(
      perLine
        ? "one job for each line; Ctrl-D ends\n"
        : "type the workload; Ctrl-D ends it, and -s means none\n",
    );
  }
  if (perLine) yield* linesOf(process.stdin, flags.strippedLines !== true);
  else yield await allOf(process.stdin);
}
