import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { install, installObstacle } from "../../test/peers/install.ts";
import { findMissing, findProgram, packages } from "../../test/peers/packages.ts";
import { contenders, SCENARIOS } from "./contenders.ts";
import { type Figures, measure } from "./measure.ts";
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
  const measureMs = values.quick ? 500 : positive("seconds", values.seconds) * 1_000;
  const warmupMs = values.quick ? 100 : 1_000;
  await needPackages();
  needBullmq();
  const build = mkdtempSync(join(tmpdir(), "drover-bench-libraries-"));
  try {
    compile(build);
    const series = await runRounds(build, rounds, warmupMs, measureMs);
    const wrong = series.filter(({ runs }) => runs.some((run) => run.wrong > 0));
    for (const { scenario, contender } of wrong) {
      process.stderr.write(`bench: ${contender} gave wrong results in ${scenario}\n`);
    }
    if (!values.quick) report(series, { rounds, warmupMs, measureMs });
    process.stdout.write(`bench: ${series.length - wrong.length} pairs right, ${wrong.length} wrong\n`);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    rmSync(build, { recursive: true });
  }
}

async function runRounds(
  build: string,
  rounds: number,
  warmupMs: number,
  measureMs: number,
): Promise<Series[]> {
  const entries = contenders(build).flatMap((contender) =>
    contender.scenarios.map((scenario) => ({ contender, scenario, runs: [] as Figures[] })),
  );
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      // Another one begins each round, so that none always follows the same one.
      const { contender, scenario, runs } = entries[(round + i) % entries.length]!;
      process.stderr.write(`round ${round + 1} of ${rounds}: ${scenario}, ${contender.name}\n`);
      runs.push(await measure(contender, SCENARIOS[scenario]!, warmupMs, measureMs));
    }
  }
  return entries
    .map(({ contender, scenario, runs }) => ({ scenario, contender: contender.name, runs }))
    .sort((a, b) => a.scenario.localeCompare(b.scenario));
}

function report(series: readonly Series[], options: Record<string, number>): void {
  const summaries = summarize(series);
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, "libraries.json");
  writeFileSync(file, `${JSON.stringify({ ...options, summaries, series }, undefined, 2)}\n`);
  process.stdout.write(table(summaries));
}

/** Makes sure that the peers are there, from Debian's packages where that is possible. */
async function needPackages(): Promise<void> {
  const names = ["gearman-job-server", "libgearman-dev", "gcc", "libc6-dev"];
  const redis = { name: "redis-server", isPresent: async () => findProgram("redis-server") !== undefined };
  const missing = await findMissing([...packages.filter(({ name }) => names.includes(name)), redis]);
  if (missing.length === 0) return;
  const obstacle = installObstacle();
  if (obstacle !== undefined) throw new Error(`${missing.join(", ")} is missing, and ${obstacle}`);
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
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  try {
    process.exitCode = await benchLibraries(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exitCode = 2;
  }
}
