import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { install, installObstacle } from "../../test/peers/install.ts";
import { findMissing, packages, peers } from "../../test/peers/packages.ts";
import { endOnSignals, makeFolder, removeFolder } from "../children.ts";
import { contenders, SCENARIOS } from "./contenders.ts";
import { type Figures, measure, type Times } from "./measure.ts";
import { type Series, summarize, table } from "./report.ts";

const HERE = import.meta.dirname;
const RESULTS = resolve(HERE, "../results");

const HELP = `Usage: node bench/libraries/main.ts [options]

  --rounds N    rounds, each of which runs every pair of client and worker once (7)
  --seconds S   measured in each run, after a second of warm-up (3)
  --quick       one short round: only whether every answer is right
  --help
`;

/**
 * Measures client and worker libraries against each other, round by round in one run.
 * @returns the exit code: 1 when an answer was wrong, which a figure never is.
 */
export async function benchLibraries(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "7" },
      seconds: { type: "string", default: "3" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const rounds = values.quick ? 1 : positive("rounds", values.rounds);
  const times = values.quick
    ? { warmupMs: 100, measureMs: 500 }
    : { warmupMs: 1_000, measureMs: positive("seconds", values.seconds) * 1_000 };
  await needLibgearman();
  needBullmq();
  const build = makeFolder();
  try {
    compile(build);
    const series = await runRounds(build, rounds, times);
    if (!values.quick) report(series, { rounds, ...times });
    const wrong = series.filter(({ runs }) => runs.some((run) => run.wrong > 0));
    for (const { scenario, contender } of wrong)
      process.stderr.write(`bench: ${contender} gave wrong results in ${scenario}\n`);
    process.stdout.write(`bench: ${series.length - wrong.length} pairs right, ${wrong.length} wrong\n`);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    removeFolder(build);
  }
}

async function runRounds(build: string, rounds: number, times: Times): Promise<Series[]> {
  const all = await contenders(build);
  const pairs = SCENARIOS.flatMap((scenario) =>
    all
      .filter(({ only = scenario.name }) => only === scenario.name)
      .map((contender) => ({ scenario, contender, runs: [] as Figures[] })),
  );
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < pairs.length; i++) {
      // Another one begins each round, so that none always follows the same one.
      const { scenario, contender, runs } = pairs[(round + i) % pairs.length]!;
      process.stderr.write(`round ${round + 1} of ${rounds}: ${scenario.name}, ${contender.name}\n`);
      runs.push(await measure(contender, scenario, times));
    }
  }
  return pairs.map(({ scenario, contender, runs }) => ({
    scenario: scenario.name,
    contender: contender.name,
    runs,
  }));
}

function report(series: readonly Series[], settings: Times & { readonly rounds: number }): void {
  const summaries = summarize(series);
  mkdirSync(RESULTS, { recursive: true });
  const text = JSON.stringify({ settings, summaries, series }, undefined, 2);
  writeFileSync(join(RESULTS, "libraries.json"), `${text}\n`);
  process.stdout.write(`${table(summaries)}\n`);
}

async function needLibgearman(): Promise<void> {
  const names: readonly string[] = peers.libgearman;
  const missing = await findMissing(packages.filter(({ name }) => names.includes(name)));
  if (missing.length === 0) return;
  const obstacle = installObstacle();
  if (obstacle !== undefined) throw new Error(`${missing.join(" ")} missing, and ${obstacle}`);
  const failures = await install(missing);
  if (failures.size > 0) throw new Error([...failures].map(([name, why]) => `${name}: ${why}`).join("; "));
}

/** BullMQ has a lock of its own, so that nobody installs it who does not measure. */
function needBullmq(): void {
  if (existsSync(join(HERE, "node_modules/bullmq"))) return;
  execFileSync("npm", ["ci", "--ignore-scripts", "--prefix", HERE], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function compile(build: string): void {
  for (const program of ["libgearman-client", "libgearman-worker"]) {
    const source = join(HERE, `${program}.c`);
    execFileSync("gcc", ["-O2", "-pthread", source, "-o", join(build, program), "-lgearman"], {
      stdio: "inherit",
    });
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} takes a number above 0`);
  return value;
}

if (import.meta.main) {
  endOnSignals();
  try {
    process.exitCode = await benchLibraries(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exitCode = 2;
  }
}
