import { checkCache } from "./cache/check.ts";
import { benchCache } from "./cache/main.ts";
import { check } from "./check.ts";
import { endOnSignals } from "./children.ts";
import { HELP, type Part, type Request, readRequest } from "./command-line.ts";
import { comparePlan } from "./compare.ts";
import { curvesPlan } from "./curves.ts";
import { durablePlan } from "./durable.ts";
import { benchGateConfig, checkGateConfig } from "./gate/config.ts";
import { benchGateCore } from "./gate/core.ts";
import { measureMerger, showMerger } from "./gate/merger.ts";
import { benchGateShell } from "./gate/shell.ts";
import { benchStorm, checkStorm } from "./gate/storm.ts";
import { benchLibraries } from "./libraries/main.ts";
import { memoryPlan } from "./memory.ts";
import { runPlan, type Step } from "./plan.ts";
import { writeReadme } from "./readme.ts";
import { Report } from "./report.ts";
import { droverCommand, gearmandCommands, type ServerCommand } from "./servers.ts";
import { checkDiffs, measureDiffs, showDiffs } from "./shyaml/diff.ts";
import { measureSort, showSort } from "./shyaml/sort.ts";
import { buildGearbench, need } from "./tools.ts";
import { checkTransports, transportsPlan } from "./transports/transports.ts";

/*
 * `npm run bench`: the job server measured against stock gearmand by the neutral load generator of gearbench/.
 * A figure never makes it fail; a wrong answer does.
 */

async function main(): Promise<number> {
  const request = readRequest();
  if (request.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (request.quick) {
    if (request.onlyPart === "cache") return (await checkCache()) === 0 ? 0 : 1;
    if (request.onlyPart === "gate") return (await checkGate()) === 0 ? 0 : 1;
    await buildGearbench();
    return (await check()) +
      (await checkTransports()) +
      (await checkCache()) +
      (await checkGate()) +
      checkDiffs() ===
      0
      ? 0
      : 1;
  }
  const { parts, options } = request;
  if (parts.has("gate")) {
    benchGateCore();
    await benchGateConfig();
    process.stdout.write(`${showMerger(await measureMerger())}\n`);
    await benchGateShell();
    await benchStorm();
  }
  if (parts.has("shyaml")) {
    process.stdout.write(`${showDiffs(measureDiffs())}\n${showSort(measureSort())}\n`);
  }
  if ([...parts].every((part) => part === "gate" || part === "shyaml")) return 0;
  let wrong = 0;
  if (parts.has("cache")) {
    wrong += await benchCache(options.rounds, options.only);
    writeReadme();
  }
  if (["compare", "memory", "durable", "transports", "curves"].some((part) => parts.has(part as Part))) {
    wrong += await measureServers(request);
    // What took hours is not to be lost when the libraries cannot be measured.
    writeReadme();
  }
  if (parts.has("libraries")) {
    const rounds = options.rounds === undefined ? [] : ["--rounds", String(options.rounds)];
    wrong += await benchLibraries([...rounds, "--seconds", String(options.seconds)]);
  }
  writeReadme();
  process.stdout.write("bench: wrote bench/README.md, bench/figures and bench/results\n");
  return wrong === 0 ? 0 : 1;
}

/** @returns How many parts of the gate do wrong. */
async function checkGate(): Promise<number> {
  return (await checkGateConfig()) + (await checkStorm());
}

/** @returns How many runs found wrong answers. */
async function measureServers(request: Request): Promise<number> {
  await buildGearbench();
  await need("taskset", ["util-linux"]);
  const gearmand = await gearmandCommands();
  const report = Report.ofThisMachine();
  const steps = await planOf(request, report, gearmand);
  if (steps.length === 0) throw new Error("these parts have nothing of these names");
  return runPlan(steps, report);
}

async function planOf(request: Request, report: Report, gearmand: readonly ServerCommand[]): Promise<Step[]> {
  const { parts, modes, options, others, withoutDefault1m } = request;
  const drover = droverCommand();
  const steps: Step[] = [];
  if (parts.has("compare")) {
    const servers = [...gearmand, drover, ...others];
    for (const mode of modes) {
      const defaultOnce = mode === "free" && !withoutDefault1m;
      steps.push(...comparePlan(report, options, { mode, servers, defaultOnce }));
    }
  }
  if (parts.has("memory")) steps.push(...memoryPlan(options, [...gearmand, drover]));
  if (parts.has("durable")) steps.push(...(await durablePlan(options)));
  if (parts.has("transports")) steps.push(...(await transportsPlan(options)));
  if (parts.has("curves")) steps.push(...curvesPlan(options, drover));
  return steps;
}

endOnSignals();
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
