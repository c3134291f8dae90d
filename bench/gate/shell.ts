import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commitFiles, Gate, GateDatabase, git, initGate, starterProjectFile } from "@drover/gate";
import { EVENT_LOG_MIGRATIONS } from "../../packages/gate/src/scheduler/event-log.ts";
import { Scheduler } from "../../packages/gate/src/scheduler/scheduler.ts";
import { until } from "../../test/peers/until.ts";
import { gatePipeline, job, layoutOf } from "../../test/sim/gate/layouts.ts";
import { gateServer, silent } from "./gate-server.ts";

/* How fast the gate is around its core: with its log on the disk, with git, with real builds. Prints figures, and judges none. */

const CHANGES = 2_000;
const PER_TURN = 10;
const APPROVALS = 10;

const print = (what: string, figure: string): void => {
  process.stdout.write(`  ${what.padEnd(52)} ${figure}\n`);
};

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

export async function benchGateShell(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-gate-"));
  process.stdout.write("The gate with disk, git and builds:\n");
  try {
    print("events with the log on the disk", `${(await durableEvents(join(folder, "log.db"))).toFixed(0)}/s`);
    const { toSpawn, toMerged } = await approvals(join(folder, "gate"));
    print("approval to the start of the build, idle", `${median(toSpawn).toFixed(0)} ms`);
    print("approval to merged, idle", `${median(toMerged).toFixed(0)} ms`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Changes go through a scheduler that is answered at once; each turn is one transaction. */
async function durableEvents(path: string): Promise<number> {
  const database = new GateDatabase(path, EVENT_LOG_MIGRATIONS);
  let told = 0;
  const tell = (event: Parameters<Scheduler["tell"]>[0]): void => {
    told++;
    scheduler.tell(event);
  };
  let landed = 0;
  const commit = (text: number): string => text.toString(16).padStart(40, "0");
  const scheduler: Scheduler = new Scheduler({
    database,
    log: silent,
    onStep: () => {},
    onLost: (error) => {
      throw error;
    },
    act: (effect) => {
      if (effect.kind === "merge") {
        const steps = effect.chain.map((link) => ({ base: commit(0), commit: link.commit }));
        tell({ kind: "merged", buildset: effect.buildset, result: { kind: "merged", steps } });
      } else if (effect.kind === "freeze") {
        const graph = { jobs: [job("a"), job("b"), job("c")], failFast: false };
        tell({
          kind: "frozen",
          buildset: effect.buildset,
          layout: effect.layout,
          result: { kind: "graph", graph },
        });
      } else if (effect.kind === "requestNodes") tell({ kind: "nodes", build: effect.build, granted: true });
      else if (effect.kind === "startBuild") {
        tell({ kind: "ended", build: effect.build, result: { kind: "final", result: "SUCCESS" } });
      } else if (effect.kind === "report") tell({ kind: "reported", report: effect.report });
      else if (effect.kind === "land") {
        landed++;
        tell({ kind: "landed", buildset: effect.buildset, refused: null });
      }
    },
  });
  const projects = Array.from({ length: 20 }, (_, at) => `project-${at}`);
  tell({ kind: "configured", layout: layoutOf(1, [gatePipeline(new Map())], projects) });
  const began = performance.now();
  for (let number = 1; number <= CHANGES; number++) {
    const change = {
      kind: "change" as const,
      id: `local:${number}`,
      revision: 1,
      project: projects[number % projects.length]!,
      branch: "main",
      commit: commit(number),
      state: "open" as const,
      isApproved: true,
      needs: [],
    };
    tell({ kind: "change", change });
    tell({ kind: "offer", subject: change.id, pipelines: ["gate"] });
    if (number % PER_TURN === 0) await new Promise(setImmediate);
  }
  await until("all have landed", 120_000, () => landed === CHANGES);
  const seconds = (performance.now() - began) / 1000;
  scheduler.close();
  database.close();
  return told / seconds;
}

/** One change after another, from its approval to the first sign of its build and to its branch. */
async function approvals(folder: string): Promise<{ toSpawn: number[]; toMerged: number[] }> {
  await initGate(folder, { log: silent, user: "alice" });
  const server = await gateServer();
  const gate = await Gate.open({ folder, server, log: silent, slots: 2 });
  const [toSpawn, toMerged]: [number[], number[]] = [[], []];
  try {
    gate.forge.users.add("bob", "operator");
    const gitDir = gate.forge.gitDir("sample");
    await commitFiles(
      gitDir,
      "main",
      [{ path: "zuul.yaml", text: starterProjectFile("greets", ["true"]) }],
      "One command",
    );
    await gate.reconfigure();
    const user = gate.forge.users.find("alice")!;
    const reviewer = gate.forge.users.find("bob")!;
    const isIdle = (): boolean =>
      gate.scheduler
        .status()
        .pipelines.every(({ queues }) => queues.every(({ items }) => items.length === 0));
    for (let number = 1; number <= APPROVALS; number++) {
      const head = await commitFiles(
        gitDir,
        "main",
        [{ path: `file-${number}`, text: "x\n" }],
        `Change ${number}`,
      );
      // As if it had been pushed for review.
      const { stdout } = await git(["rev-parse", `${head}^`], { gitDir });
      await git(["update-ref", "refs/heads/main", stdout.toString().trim(), head], { gitDir });
      const commands = [{ ref: "refs/for/main", old: null, new: head }];
      await gate.forge.receive({ project: "sample", user, commands, options: [], isAtomic: false });
      await until("the check has ended", 60_000, isIdle);
      const before = gate.builds.list({ limit: 1 })[0]?.id ?? 0;
      const began = performance.now();
      gate.forge.approve(number, reviewer);
      await until("the build has begun", 60_000, () => {
        const [newest] = gate.builds.list({ limit: 1 });
        return newest !== undefined && newest.id > before && newest.execution !== null;
      });
      toSpawn.push(performance.now() - began);
      await until("it is merged", 60_000, () => gate.forge.change(number)?.state === "merged");
      toMerged.push(performance.now() - began);
      await until("the queue is empty", 60_000, isIdle);
    }
  } finally {
    await gate.close();
    await server.stop(0);
  }
  return { toSpawn, toMerged };
}

if (import.meta.main) await benchGateShell();
