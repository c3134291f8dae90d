import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Contender, Scenario } from "./contenders.ts";

/** What one run gave. CPU times are those of a process for each job that was answered. */
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

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** The child does not outlive the bench. */
export function endWithBench(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
}

/** Runs a contender's client against its worker on a fresh server. */
export async function measure(
  contender: Contender,
  { uniques, submitters }: Scenario,
  warmupMs: number,
  measureMs: number,
): Promise<Figures> {
  const server = await contender.startServer();
  const port = String(server.port);
  const worker = start(contender.worker(port));
  const client = start(contender.client(port, [uniques, submitters, warmupMs, measureMs].map(String)));
  // A contender that hangs is wrong, not a bench without end.
  const impatience = setTimeout(() => client.kill(), warmupMs + measureMs + 30_000);
  try {
    const lines = createInterface({ input: client.stdout! })[Symbol.asyncIterator]();
    await lines.next();
    const before = [cpuUs(worker.pid!), cpuUs(server.pid)] as const;
    const { value: last } = await lines.next();
    const used = [cpuUs(worker.pid!) - before[0], cpuUs(server.pid) - before[1]] as const;
    if (last === undefined) throw new Error(`the client of ${contender.name} did not come to its end`);
    const { jobs, ms, cpuUs: clientUs, wrong } = JSON.parse(last) as Told;
    return {
      jobsPerSecond: (jobs / ms) * 1_000,
      clientUs: clientUs / jobs,
      workerUs: used[0] / jobs,
      serverUs: used[1] / jobs,
      wrong,
    };
  } finally {
    clearTimeout(impatience);
    await stop(client);
    await stop(worker);
    await server.stop();
  }
}

function start([program, ...args]: readonly [string, ...string[]]): ChildProcess {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  endWithBench(child);
  return child;
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
