import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BuildOutcome,
  buildFunction,
  commitFiles,
  GATE_FUNCTION_RULES,
  GATE_FUNCTIONS,
  Gate,
  git,
  initGate,
} from "@drover/gate";
import { Identity, JobServer } from "@drover/server";
import { memoryPair } from "@drover/transport";
import { Worker, type WorkerJob } from "@drover/worker";
import { until } from "../../test/peers/until.ts";

/*
 * A reset storm: a full window of items with many jobs each, whose head fails. Everything behind it is cancelled, merged
 * again without it, frozen and started again. Git, the database and the job server are real; what runs builds only waits, since
 * it is not the executors that are measured.
 */

const GOAL_MS = 1_000;
const SLOTS = 2_000;

export interface StormFigures {
  readonly items: number;
  readonly jobs: number;
  /** From the failure at the head to the last cancel of what was tested on top of it. */
  readonly cancelledMs: number;
  /** To the start of the last build without it. */
  readonly startedMs: number;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export async function measureStorm(items = 20, jobs = 30): Promise<StormFigures> {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-storm-"));
  const server = await JobServer.start({
    listen: [],
    log: silent,
    version: "bench",
    reserved: [GATE_FUNCTIONS],
    functions: GATE_FUNCTION_RULES,
  });
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
    await fillWindow(gate, items, jobs);
    await until("a window of builds runs", 120_000, () => waiting.running.size === items * jobs);
    const before = new Set(waiting.running.keys());
    const [head] = [...waiting.running.values()];
    const beganMs = performance.now();
    head!.fail();
    const behind = (items - 1) * jobs;
    await until("all behind is cancelled", 120_000, () => waiting.cancelled >= behind);
    const cancelledMs = performance.now() - beganMs;
    await until("all behind runs again", 120_000, () => {
      let again = 0;
      for (const name of waiting.running.keys()) if (!before.has(name)) again++;
      return again === behind;
    });
    return { items, jobs, cancelledMs, startedMs: waiting.lastStartMs - beganMs };
  } finally {
    await gate?.close();
    await waiting.worker.close();
    await server.stop(0);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Approves changes that do not touch each other, in one project with so many jobs. */
async function fillWindow(gate: Gate, items: number, jobs: number): Promise<void> {
  gate.forge.users.add("bob", "operator");
  const [user, reviewer] = [gate.forge.users.find("alice")!, gate.forge.users.find("bob")!];
  const gitDir = gate.forge.gitDir("sample");
  const names = Array.from({ length: jobs }, (_, at) => `job-${at}`);
  const text = [
    ...names.map((name) => `- job:\n    name: ${name}\n    command: ["true"]\n`),
    `- project:\n    gate:\n      jobs:\n${names.map((name) => `        - ${name}\n`).join("")}`,
  ].join("");
  await commitFiles(gitDir, "main", [{ path: "zuul.yaml", text }], "Jobs");
  await gate.reconfigure();
  for (let number = 1; number <= items; number++) {
    const files = [{ path: `file-${number}`, text: "x\n" }];
    const head = await commitFiles(gitDir, "main", files, `Change ${number}`);
    // As if it had been pushed for review.
    await git(["update-ref", "refs/heads/main", `${head}^`, head], { gitDir });
    const commands = [{ ref: "refs/for/main", old: null, new: head }];
    await gate.forge.receive({ project: "sample", user, commands, options: [], isAtomic: false });
    gate.forge.approve(number, reviewer);
  }
}

/** Takes the place of executors: builds wait until they are cancelled or told to fail. */
class WaitingBuilds {
  readonly worker: Worker;
  readonly running = new Map<string, { readonly fail: () => void }>();
  cancelled = 0;
  lastStartMs = 0;

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

  async #run({ unique, signal }: WorkerJob): Promise<string> {
    const name = Buffer.from(unique ?? new Uint8Array()).toString();
    const failed = Promise.withResolvers<void>();
    this.running.set(name, { fail: failed.resolve });
    this.lastStartMs = performance.now();
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
    try {
      await Promise.race([failed.promise, aborted.promise]);
    } catch (error) {
      this.cancelled++;
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
    comment: null,
    fileComments: {},
    retry: true,
    variables: {},
  },
  artifacts: [],
  outputBytes: 0,
};

export async function benchStorm(): Promise<void> {
  const { items, jobs, cancelledMs, startedMs } = await measureStorm();
  process.stdout.write(`A reset storm, ${items} items of ${jobs} jobs whose head fails:\n`);
  const print = (what: string, figure: string): void => {
    process.stdout.write(`  ${what.padEnd(52)} ${figure}\n`);
  };
  print("to the last cancel", `${cancelledMs.toFixed(0)} ms`);
  print("to the start of the last build without it", `${startedMs.toFixed(0)} ms (goal: ${GOAL_MS} ms)`);
}

if (import.meta.main) await benchStorm();
