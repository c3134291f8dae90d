import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  type BuildOutcome,
  type BuildRequest,
  buildFunction,
  commitFiles,
  GATE_FUNCTIONS,
  Gate,
  git,
  gitLine,
  initGate,
} from "@drover/gate";
import { Identity, type JobServer } from "@drover/server";
import { memoryPair } from "@drover/transport";
import { Worker, type WorkerJob } from "@drover/worker";
import { until } from "../../test/peers/until.ts";
import { gateServer, silent } from "./gate-server.ts";

/*
 * A reset storm: a full window of items with many jobs each, whose head fails. Everything behind it is taken back, merged
 * again without it, frozen and started again. Git, the database and the job server are real; what runs builds only waits, since
 * it is not the executors that are measured.
 */

const GOAL_MS = 1_000;
/** Goal for the longest time for which nothing else is done. */
const GOAL_BLOCKED_MS = 50;
const SLOTS = 2_000;
const PATIENCE_MS = 300_000;
const ROUNDS = 3;

interface Size {
  readonly items: number;
  readonly jobs: number;
}

const FULL: Size = { items: 20, jobs: 30 };
const QUICK: Size = { items: 4, jobs: 5 };

export interface StormFigures {
  readonly size: Size;
  /** Whether jobs are as `drover gate init` has them, or run anew each time. */
  readonly reuse: boolean;
  /** From the failure at the head to the last cancel of what was tested on top of it; `null` with `reuse`, which waits with that. */
  readonly cancelledMs: number | null;
  /** To the start of the last build without it. */
  readonly startedMs: number;
  /** Time of this process on a processor, and that of the processes which it started and which have ended. */
  readonly cpuMs: number;
  readonly childCpuMs: number;
  /** The longest that the event loop was kept from going on. */
  readonly blockedMs: number;
  /** How long `git merge` in a work tree takes for the same changes, one after the other. */
  readonly plainMergesMs: number;
}

export async function measureStorm(size: Size = FULL, reuse = false): Promise<StormFigures> {
  const { items, jobs } = size;
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-storm-"));
  const server = await gateServer();
  const waiting = new WaitingBuilds(server);
  let gate: Gate | undefined;
  try {
    await initGate(join(folder, "gate"), { log: silent, user: "alice" });
    gate = await Gate.open({
      folder: join(folder, "gate"),
      server,
      log: silent,
      slots: SLOTS,
      hasExecutor: false,
    });
    await waiting.worker.run();
    const heads = await propose(gate, size, reuse);
    const reviewer = gate.forge.users.find("bob")!;
    gate.forge.approve(1, reviewer);
    await until("the head runs", PATIENCE_MS, () => waiting.running.size === jobs);
    const [head] = waiting.running.values();
    for (let number = 2; number <= items; number++) gate.forge.approve(number, reviewer);
    await until("a window of builds runs", PATIENCE_MS, () => waiting.running.size === items * jobs);

    const behind = (items - 1) * jobs;
    const before = new Set(waiting.running.keys());
    const again = (): WaitingBuild[] => [...waiting.running.values()].filter(({ name }) => !before.has(name));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const [cpu, childCpu, beganMs] = [process.cpuUsage(), childCpuMs(), performance.now()];
    head!.fail();
    await until("all behind runs again", PATIENCE_MS, () => again().length === behind);
    const used = process.cpuUsage(cpu);
    const childUsed = childCpuMs() - childCpu;
    delay.disable();
    if (!reuse) await until("all behind is cancelled", PATIENCE_MS, () => waiting.cancelled === behind);
    await check(gate.forge.gitDir("sample"), again(), size);
    const plainMergesMs = await plainMerges(gate.forge.gitDir("sample"), heads.slice(1), folder);
    return {
      size,
      reuse,
      cancelledMs: reuse ? null : waiting.lastCancelMs - beganMs,
      startedMs: waiting.lastStartMs - beganMs,
      cpuMs: (used.user + used.system) / 1_000,
      childCpuMs: childUsed,
      blockedMs: delay.max / 1e6,
      plainMergesMs,
    };
  } finally {
    await gate?.close();
    await waiting.worker.close();
    await server.stop(0);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes changes that do not touch each other, in one project with so many jobs. @returns their commits */
async function propose(gate: Gate, { items, jobs }: Size, reuse: boolean): Promise<string[]> {
  gate.forge.users.add("bob", "operator");
  const user = gate.forge.users.find("alice")!;
  const gitDir = gate.forge.gitDir("sample");
  const names = Array.from({ length: jobs }, (_, at) => `job-${at}`);
  const text = [
    ...names.map((name) => `- job:\n    name: ${name}\n    command: ["true"]\n    reuse: ${reuse}\n`),
    `- project:\n    gate:\n      jobs:\n${names.map((name) => `        - ${name}\n`).join("")}`,
  ].join("");
  await commitFiles(gitDir, "main", [{ path: "zuul.yaml", text }], "Jobs");
  await gate.reconfigure();
  const heads: string[] = [];
  for (let number = 1; number <= items; number++) {
    const files = [{ path: fileOf(number), text: "x\n" }];
    const head = await commitFiles(gitDir, "main", files, `Change ${number}`);
    // As if it had been pushed for review.
    await git(["update-ref", "refs/heads/main", `${head}^`, head], { gitDir });
    const commands = [{ ref: "refs/for/main", old: null, new: head }];
    await gate.forge.receive({ project: "sample", user, commands, options: [], isAtomic: false });
    heads.push(head);
  }
  return heads;
}

const fileOf = (number: number): string => `file-${number}`;

/** Each item behind the head runs all its jobs, on what it changes and what those before it do, but for the head. */
async function check(gitDir: string, builds: readonly WaitingBuild[], { items, jobs }: Size): Promise<void> {
  const byCommit = Map.groupBy(builds, ({ request }) => {
    const { branches, checkout } = request().repositories[0]!;
    return branches[checkout] ?? checkout;
  });
  const wanted = new Set(
    Array.from({ length: items - 1 }, (_, at) =>
      Array.from({ length: at + 1 }, (_, before) => fileOf(before + 2)).join(),
    ),
  );
  for (const [commit, found] of byCommit) {
    const names = (await gitLine(["ls-tree", "--name-only", commit], { gitDir })).split("\n");
    const changed = names.filter((name) => name.startsWith(fileOf(0).slice(0, -1)));
    changed.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    if (!wanted.delete(changed.join()))
      throw new Error(`builds run on ${commit}, which has ${changed.join()}`);
    const distinct = new Set(found.map(({ request }) => request().job));
    if (found.length !== jobs || distinct.size !== jobs)
      throw new Error(`of ${changed.at(-1)} ${found.length} builds run, not ${jobs}`);
  }
  if (wanted.size > 0) throw new Error(`no builds run on ${[...wanted].join(" and ")}`);
}

/** What the storm costs at least, done by plain git. */
async function plainMerges(gitDir: string, heads: readonly string[], folder: string): Promise<number> {
  const cwd = join(folder, "plain");
  await git(["clone", "--quiet", gitDir, cwd]);
  await git(["fetch", "--quiet", "origin", "refs/changes/*:refs/changes/*"], { cwd });
  const who = { NAME: "Bench", EMAIL: "bench@localhost" };
  const env = Object.fromEntries(
    Object.entries(who).flatMap(([key, value]) => [
      [`GIT_AUTHOR_${key}`, value],
      [`GIT_COMMITTER_${key}`, value],
    ]),
  );
  const beganMs = performance.now();
  for (const head of heads) await git(["merge", "--quiet", "--no-edit", head], { cwd, env });
  return performance.now() - beganMs;
}

/** Of processes that this one started, once they have ended. */
function childCpuMs(): number {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const TICKS_PER_S = 100;
  return ((Number(fields[13]) + Number(fields[14])) * 1_000) / TICKS_PER_S;
}

interface WaitingBuild {
  readonly name: string;
  readonly request: () => BuildRequest;
  readonly fail: () => void;
}

/** Takes the place of executors: builds wait until they are cancelled or told to fail. */
class WaitingBuilds {
  readonly worker: Worker;
  readonly running = new Map<string, WaitingBuild>();
  cancelled = 0;
  lastStartMs = 0;
  lastCancelMs = 0;

  constructor(server: JobServer) {
    const rights = { submit: [], work: [`${GATE_FUNCTIONS}*`], status: false, admin: false };
    const dial = async () => {
      const [own, others] = memoryPair({}, ["bench", "bench"]);
      server.accept(others, new Identity("bench", rights));
      return own;
    };
    this.worker = new Worker({ servers: "gate", dial, concurrency: SLOTS });
    this.worker.handle(buildFunction("local"), (job) => this.#run(job));
  }

  async #run({ unique, signal, workload }: WorkerJob): Promise<string> {
    const name = Buffer.from(unique ?? new Uint8Array()).toString();
    const text = Buffer.from(workload).toString();
    const failed = Promise.withResolvers<void>();
    const request = () => JSON.parse(text) as BuildRequest;
    this.running.set(name, { name, request, fail: failed.resolve });
    this.lastStartMs = performance.now();
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
    try {
      await Promise.race([failed.promise, aborted.promise]);
    } catch (error) {
      this.cancelled++;
      this.lastCancelMs = performance.now();
      throw error;
    } finally {
      this.running.delete(name);
    }
    return JSON.stringify(FAILED);
  }
}

const FAILED: BuildOutcome = {
  execution: "00000000-0000-0000-0000-000000000000",
  result: { kind: "final", result: "FAILURE" },
  detail: null,
  startedMs: 0,
  endedMs: 0,
  steps: [],
  data: {
    logUrl: null,
    artifacts: [],
    childJobs: null,
    warnings: [],
    pause: false,
    comment: null,
    fileComments: {},
    retry: true,
    variables: {},
  },
  artifacts: [],
  outputBytes: 0,
};

/** Goals are printed with the best of a few runs: what runs beside only makes it slower. */
export async function benchStorm(rounds = ROUNDS): Promise<void> {
  for (const reuse of [false, true]) {
    const runs: StormFigures[] = [];
    for (let round = 0; round < rounds; round++) runs.push(await measureStorm(FULL, reuse));
    process.stdout.write(`${showStorm(runs)}\n`);
  }
}

/** With few builds, to see that it does what it is to do. @returns how many storms went wrong */
export async function checkStorm(): Promise<number> {
  let wrong = 0;
  for (const reuse of [false, true]) {
    try {
      await measureStorm(QUICK, reuse);
    } catch (error) {
      process.stderr.write(`bench: reset storm ${titleOf(reuse)}: ${(error as Error).message}\n`);
      wrong++;
    }
  }
  if (wrong === 0) process.stdout.write("bench: reset storms of a gate: all behind the head runs again\n");
  return wrong;
}

const titleOf = (reuse: boolean): string => (reuse ? "with reuse" : "without reuse");

/** In a few lines, for people. */
export function showStorm(runs: readonly StormFigures[]): string {
  const best = runs.toSorted((a, b) => a.startedMs - b.startedMs)[0]!;
  const { size, reuse, cancelledMs, startedMs, blockedMs } = best;
  const line = (what: string, ms: number, goalMs?: number): string => {
    const goal = goalMs === undefined ? "" : `   goal ${goalMs} ms: ${ms <= goalMs ? "reached" : "MISSED"}`;
    return `  ${what.padEnd(52)} ${ms.toFixed(0)} ms${goal}`;
  };
  const all = runs.map((run) => run.startedMs.toFixed(0)).join(", ");
  return [
    `A reset storm, ${size.items} items of ${size.jobs} jobs ${titleOf(reuse)}, the best of ${all} ms:`,
    ...(cancelledMs === null ? [] : [line("to the last cancel", cancelledMs, GOAL_MS)]),
    line("to the start of the last build without the head", startedMs, GOAL_MS),
    line("processor time of the gate's process", best.cpuMs),
    line("of the processes that it started and that ended", best.childCpuMs),
    line("longest that the event loop was blocked", blockedMs, GOAL_BLOCKED_MS),
    line("git merge of the same changes in a work tree", best.plainMergesMs),
    `  ratio of the storm to that ${(startedMs / best.plainMergesMs).toFixed(2)}`,
  ].join("\n");
}

if (import.meta.main) {
  const [items, jobs] = process.argv.slice(2).map(Number);
  if (items === undefined || jobs === undefined) await benchStorm();
  else
    for (const reuse of [false, true])
      process.stdout.write(`${showStorm([await measureStorm({ items, jobs }, reuse)])}\n`);
}
