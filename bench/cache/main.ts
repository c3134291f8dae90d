import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { need, ROOT } from "../tools.ts";
import { Bench, type Figures } from "./measure.ts";
import { bars, cacheTable, type Results, type Series } from "./report.ts";
import { FULL, SCENARIOS, type Scenario } from "./scenarios.ts";
import { IN_EVERY_ROUND, JOB_SERVER, LIBRARIES, SCHEMES, type SchemeName } from "./schemes.ts";

const ROUNDS = 5;
const FILE = join(ROOT, "bench/results/cache.json");

/** What was measured last, or undefined. */
export function readCacheResults(): Results | undefined {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Results) : undefined;
}

/**
 * Every scheme in every scenario, round by round after one to warm up, each round beginning with another scheme. Those
 * that no target is about take part in the first, and do not warm up.
 * @param only Names of scenarios. Default: all.
 * @returns How many runs had wrong answers.
 */
export async function benchCache(rounds = ROUNDS, only?: ReadonlySet<string>): Promise<number> {
  const schemes = await possibleSchemes(SCHEMES);
  const scenarios = SCENARIOS.filter(({ name }) => only?.has(name) !== false);
  const bench = await Bench.start(FULL, schemes);
  const series: Series[] = [];
  const before = readCacheResults()?.series ?? [];
  const results = (): Results => {
    const kept = before.filter(({ scenario }) => series.every((one) => one.scenario !== scenario));
    return { date: new Date().toISOString().slice(0, 10), rounds, series: [...kept, ...series] };
  };
  try {
    for (const scenario of scenarios) {
      const own = schemes.filter((scheme) => scenario.isFor?.(scheme) ?? scheme !== "read");
      const runs = await roundsOf(bench, scenario, own, rounds);
      series.push(...own.map((scheme) => ({ scenario: scenario.name, scheme, runs: runs.get(scheme)! })));
      // What took an hour is not to be lost when the next scenario cannot be measured.
      save(results());
    }
  } finally {
    await bench.stop();
  }
  process.stdout.write(`${cacheTable(results())}\n\n${bars(results())}\n`);
  return series.flatMap(({ runs }) => runs).filter(({ wrong }) => wrong > 0).length;
}

function save(results: Results): void {
  mkdirSync(join(ROOT, "bench/results"), { recursive: true });
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`);
}

async function roundsOf(
  bench: Bench,
  scenario: Scenario,
  schemes: readonly SchemeName[],
  rounds: number,
): Promise<Map<SchemeName, Figures[]>> {
  const runs = new Map(schemes.map((scheme) => [scheme, [] as Figures[]]));
  for (let round = 0; round <= rounds; round++) {
    for (let i = 0; i < schemes.length; i++) {
      const scheme = schemes[(round + i) % schemes.length]!;
      if (!IN_EVERY_ROUND.has(scheme) && round !== 1) continue;
      const figures = await bench.run(scheme, scenario);
      const { computations, p99Ms } = figures;
      process.stderr.write(
        `cache: ${scenario.name} ${round}/${rounds} ${scheme}: ${computations} computations, p99 ${Math.round(p99Ms)} ms\n`,
      );
      // The first round is to warm up.
      if (round > 0) runs.get(scheme)!.push(figures);
    }
  }
  return runs;
}

/** The schemes whose servers are here or can be brought here; under CI=true all must. */
export async function possibleSchemes(wanted: readonly SchemeName[]): Promise<SchemeName[]> {
  await need("memcached", ["memcached"]);
  const possible: SchemeName[] = [];
  for (const scheme of wanted) {
    try {
      if (JOB_SERVER[scheme] === "gearmand") await need("gearmand", ["gearman-job-server"]);
      if (scheme === "bullmq") {
        await need("redis-server", ["redis-server"]);
        needBullmq();
      }
      possible.push(scheme);
    } catch (error) {
      if (process.env.CI === "true") throw error;
      process.stderr.write(`cache: skipped ${scheme}: ${(error as Error).message}\n`);
    }
  }
  return possible;
}

function needBullmq(): void {
  if (existsSync(join(LIBRARIES, "node_modules/bullmq"))) return;
  execFileSync("npm", ["ci", "--ignore-scripts", "--prefix", LIBRARIES], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}
