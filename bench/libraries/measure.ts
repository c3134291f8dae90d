import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { startChild } from "../children.ts";
import { startServer } from "../servers.ts";
import type { Contender, Scenario } from "./contenders.ts";

export interface Times {
  readonly warmupMs: number;
  readonly measureMs: number;
}

/** What one run gave. CPU times are those of a process for each submission that was answered. */
export interface Figures {
  readonly jobsPerSecond: number;
  readonly clientUs: number;
  readonly workerUs: number;
  readonly serverUs: number;
  /** Results that were not what they had to be, or did not come. */
  readonly wrong: number;
}

/** A client's last line. */
interface Told {
  readonly jobs: number;
  readonly ms: number;
  readonly cpuUs: number;
  readonly wrong: number;
}

/** Worker programs that do one job at a time take no notice of it. */
const CONCURRENCY = "64";

/** How much longer than it measures a client may take. */
const PATIENCE_MS = 30_000;

/** Runs a contender's client against its worker on a fresh server. */
export async function measure(contender: Contender, scenario: Scenario, times: Times): Promise<Figures> {
  const server = await startServer(contender.server, false);
  const port = String(server.port);
  const worker = start([...contender.worker, port, CONCURRENCY]);
  const client = start([...contender.client, port, ...clientWords(contender, scenario, times)]);
  const impatience = setTimeout(() => client.kill(), times.warmupMs + times.measureMs + PATIENCE_MS);
  try {
    const lines = createInterface({ input: client.stdout! })[Symbol.asyncIterator]();
    await lines.next();
    const before = { worker: cpuUs(worker.pid!), server: cpuUs(server.pid) };
    const { value: last } = await lines.next();
    if (last === undefined) throw new Error(`the client of ${contender.name} did not come to its end`);
    const { jobs, ms, cpuUs: clientUs, wrong } = JSON.parse(last) as Told;
    return {
      jobsPerSecond: (jobs / ms) * 1_000,
      clientUs: clientUs / jobs,
      workerUs: (cpuUs(worker.pid!) - before.worker) / jobs,
      serverUs: (cpuUs(server.pid) - before.server) / jobs,
      wrong,
    };
  } finally {
    clearTimeout(impatience);
    await stop(client);
    await stop(worker);
    await server.stop();
  }
}

function clientWords({ clients }: Contender, scenario: Scenario, times: Times): string[] {
  const { uniques, submitters } = scenario;
  const words = [uniques, submitters, times.warmupMs, times.measureMs];
  if (clients !== undefined) words.push(clients);
  return words.map(String);
}

function start([program, ...words]: readonly [string, ...string[]]): ChildProcess {
  return startChild(program, words, { stdio: ["ignore", "pipe", "inherit"] });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** CPU time of a process so far; Linux counts it in hundredths of a second. */
function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // Behind the name, which may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
