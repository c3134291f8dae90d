import { randomBytes } from "node:crypto";
import { withAdmin } from "../admin/admin-connection.ts";
import { type FunctionRow, functionRows } from "../admin/listings.ts";
import { CommandFailed, UsageError } from "../errors.ts";
import { openFileLimit, RESERVED_FILES } from "../serve/open-files.ts";
import { serverAddress } from "../server-address.ts";
import { durationText, grouped } from "../terminal/table.ts";
import { countOf, durationMs } from "../times.ts";
import { HerdClient } from "./herd-client.ts";
import type { HerdPlan } from "./herd-report.ts";
import { type HerdReport, judge, reportText } from "./herd-report.ts";
import { HerdWork, PARTS } from "./herd-work.ts";
import { startOwnServer } from "./own-server.ts";

export interface HerdFlags {
  readonly server?: string;
  readonly clients: string;
  readonly uniques: string;
  readonly workers: string;
  readonly duration: string;
  readonly timeout: string;
  readonly late?: boolean;
  readonly killWorker?: boolean;
  readonly json?: boolean;
}

/** Connections that are made at one time. */
const DIALS = 100;

/** Runs the demo, prints its report and sets the exit code. */
export async function herdDemo(flags: HerdFlags): Promise<void> {
  const plan = planOf(flags);
  const own = flags.server === undefined ? await startOwnServer() : undefined;
  const server = own?.address ?? serverAddress({ host: flags.server! });
  const say = (text: string) => {
    if (flags.json !== true) process.stdout.write(text);
  };
  try {
    say(
      `${grouped(plan.clients)} clients, each on a connection of its own, want ${grouped(plan.uniques)} different ` +
        `things; ${grouped(plan.workers)} workers do them.\n\n` +
        `server       ${server}${own === undefined ? "" : " (started for this demo)"}\n`,
    );
    const report = await runHerd(plan, server, say);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else say(reportText(report));
    if (!report.right) throw new CommandFailed("DEMO_WRONG", "the demo did not show what it must");
  } finally {
    await own?.stop();
  }
}

function planOf(flags: HerdFlags): HerdPlan {
  const plan: HerdPlan = {
    clients: countOf(flags.clients, "--clients"),
    uniques: countOf(flags.uniques, "--uniques"),
    workers: countOf(flags.workers, "--workers"),
    late: flags.late === true,
    killWorker: flags.killWorker === true,
    stepMs: durationMs(flags.duration, "--duration") / PARTS,
    timeoutMs: durationMs(flags.timeout, "--timeout"),
  };
  if (plan.uniques > plan.clients) {
    throw new UsageError("OPTION_INVALID", "--uniques cannot be more than --clients: each client wants one");
  }
  const needed = plan.clients + plan.workers + RESERVED_FILES;
  const allowed = openFileLimit();
  if (allowed !== undefined && needed > allowed) {
    throw new UsageError(
      "OPTION_INVALID",
      `${grouped(plan.clients)} connections need ${grouped(needed)} open files, and this process may have ` +
        `${grouped(allowed)}: raise it with \`ulimit -n ${needed}\`, or say ` +
        `--clients ${Math.max(1, allowed - plan.workers - RESERVED_FILES)}`,
    );
  }
  return plan;
}

/** The demo itself, against a server that runs. */
export async function runHerd(
  plan: HerdPlan,
  server: string,
  say: (text: string) => void,
): Promise<HerdReport> {
  // Its own function: other workers of the server have nothing to do with it.
  const functionName = `demo-herd-${randomBytes(4).toString("hex")}`;
  const clients = Array.from({ length: plan.clients }, (_, i) => {
    const late = plan.late && Math.floor(i / plan.uniques) % 2 === 1;
    return new HerdClient(server, functionName, `thing-${(i % plan.uniques) + 1}`, late);
  });
  const wanted = new Map<string, Wanted>();
  for (const client of clients) {
    const entry = wanted.get(client.unique) ?? new Wanted();
    wanted.set(client.unique, entry);
    entry.clients.push(client);
  }
  const work = new HerdWork({
    server,
    functionName,
    workers: plan.workers,
    // All uniques run at the same time.
    concurrency: Math.ceil(plan.uniques / plan.workers),
    stepMs: plan.stepMs,
    killOne: plan.killWorker,
    halfway: (unique) => wanted.get(unique)!.halfway.resolve(),
    allAccepted: (unique) => wanted.get(unique)!.allAccepted.promise,
  });
  const timeout = new Timeout(plan.timeoutMs);
  try {
    const connectMs = performance.now();
    await timeout.guard(Promise.all([work.start(), inWaves(clients, DIALS, (client) => client.connect())]));
    say(`connected    in ${durationText(performance.now() - connectMs)}\n`);
    const startMs = performance.now();
    const all = Promise.all(clients.map((client) => submitOne(client, wanted.get(client.unique)!)));
    await timeout.guard(all);
    const elapsedMs = performance.now() - startMs;
    const row = await serverView(server, functionName);
    return judge(plan, server, clients, work, elapsedMs, row);
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    return judge(plan, server, clients, work, plan.timeoutMs, undefined);
  } finally {
    timeout.clear();
    await Promise.all([work.stop(), ...clients.map((client) => client.close())]);
  }
}

/** Who wants one unique, and how far they are. */
class Wanted {
  readonly clients: HerdClient[] = [];
  readonly halfway = Promise.withResolvers<void>();
  readonly allAccepted = Promise.withResolvers<void>();
  #accepted = 0;

  accept(): void {
    this.#accepted++;
    if (this.#accepted === this.clients.length) this.allAccepted.resolve();
  }
}

async function submitOne(client: HerdClient, wanted: Wanted): Promise<void> {
  if (client.late) await wanted.halfway.promise;
  await client.submit(() => wanted.accept());
}

async function serverView(server: string, functionName: string): Promise<FunctionRow | undefined> {
  const rows = await withAdmin({ address: server, token: undefined }, functionRows);
  return rows.find(({ name }) => name === functionName);
}

async function inWaves<T>(
  items: readonly T[],
  width: number,
  each: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) await each(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}

class TimedOut extends Error {}

/** Ends the demo when it hangs, so that it always tells what it saw. */
class Timeout {
  readonly #late = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#late.promise.catch(() => {});
    this.#timer = setTimeout(() => this.#late.reject(new TimedOut()), ms);
  }

  guard<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return Promise.race([work, this.#late.promise]);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
