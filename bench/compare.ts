import { gearbench, withFigures } from "./gearbench.ts";
import { type Options, type Step, settingsOf } from "./plan.ts";
import { isFarBehind } from "./ratios.ts";
import type { Mode, Report } from "./report.ts";
import { jobsOf, SCENARIOS, type Scenario, shrunk } from "./scenarios.ts";
import { GEARMAND, type ServerCommand } from "./servers.ts";
import { AGAINST } from "./targets.ts";

const ROUNDS = 7;
/** Rounds after which a configuration of gearmand that is far behind another one is left out. */
const TRIAL_ROUNDS = 2;

export interface Comparison {
  readonly mode: Mode;
  readonly servers: readonly ServerCommand[];
  /** Whether gearmand's default configuration, which takes minutes, has its one run of the longest queue. */
  readonly defaultOnce: boolean;
}

/** In each round each scenario with every server in turn, so that what is compared is measured close together. */
export function comparePlan(report: Report, options: Options, comparison: Comparison): Step[] {
  const rounds = options.rounds ?? ROUNDS;
  const scenarios = SCENARIOS.filter(({ name }) => options.only?.has(name) ?? true);
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const taking = comparison.servers.filter(({ name }) => takesPart(name, scenario, round, comparison));
      for (let at = 0; at < taking.length; at++) {
        const server = taking[(at + round) % taking.length]!;
        steps.push(stepOf(report, options, comparison.mode, scenario, server, round, rounds));
      }
    }
  }
  return steps;
}

function takesPart(name: string, scenario: Scenario, round: number, comparison: Comparison): boolean {
  if (!(name in GEARMAND)) return true;
  if (isAmong(name, AGAINST.tuned)) return scenario.tunable;
  if (!scenario.untunedOnce) return true;
  return comparison.defaultOnce && round === 0 && isAmong(name, AGAINST.default);
}

const isAmong = (name: string, names: readonly string[]): boolean => names.includes(name);

function stepOf(
  report: Report,
  options: Options,
  mode: Mode,
  scenario: Scenario,
  server: ServerCommand,
  round: number,
  rounds: number,
): Step {
  const pinned = mode === "pinned";
  const words = options.short ? shrunk(scenario.words) : scenario.words;
  const times = jobsOf(scenario) > 0 ? "" : ` --seconds ${options.seconds} --warmup ${options.warmup}`;
  return {
    section: mode,
    name: scenario.name,
    column: server.name,
    round,
    settings: settingsOf(options, rounds, pinned),
    server,
    estimateS: estimateS(scenario, server.name, options),
    isNeedless: () => round >= TRIAL_ROUNDS && isOutOfTheRunning(report, mode, scenario, server.name),
    measure: async (running) =>
      withFigures(await gearbench(`${words}${times}`.split(" "), running, pinned), scenario.figures),
  };
}

/**
 * Whether a configuration of gearmand cannot become its best one: another was far ahead in every round and figure.
 * Memory is left aside: no option changes what a job or a connection takes.
 */
function isOutOfTheRunning(report: Report, mode: Mode, scenario: Scenario, name: string): boolean {
  const { series } = report.section(mode)[scenario.name]!;
  const own = series[name];
  if (!(name in GEARMAND) || own === undefined) return false;
  const figures = scenario.figures.filter((figure) => !figure.startsWith("rss_"));
  return AGAINST.best.some((rival) => {
    const other = series[rival];
    if (other === undefined) return false;
    return figures.every((figure) =>
      isFarBehind(figure, own[figure] ?? [], other[figure] ?? [], TRIAL_ROUNDS),
    );
  });
}

/** Of a server's start and end, and of some thousand connections. */
const AROUND_S = 1;
/** Jobs that are queued and drained again in a second: about, and in a long queue of a gearmand not made for it. */
const QUEUED_PER_S = 25_000;
const UNTUNED_PER_S = 4_000;

function estimateS(scenario: Scenario, server: string, options: Options): number {
  const jobs = jobsOf(scenario) / (options.short ? 10 : 1);
  if (jobs === 0) return options.seconds + options.warmup + AROUND_S;
  const isSlow = isAmong(server, AGAINST.untuned) && jobs > 100_000;
  return jobs / (isSlow ? UNTUNED_PER_S : QUEUED_PER_S) + AROUND_S;
}
