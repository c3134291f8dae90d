import { gearbench, withFigures } from "./gearbench.ts";
import { type Options, type Step, settingsOf } from "./plan.ts";
import { isFarBehind } from "./ratios.ts";
import type { Mode, Report, Settings } from "./report.ts";
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
  const settings = settingsOf(options, rounds, comparison.mode === "pinned");
  const scenarios = SCENARIOS.filter(({ name }) => options.only?.has(name) ?? true);
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const taking = comparison.servers.filter(({ name }) => takesPart(name, scenario, round, comparison));
      for (let at = 0; at < taking.length; at++) {
        const server = taking[(at + round) % taking.length]!;
        steps.push(stepOf(report, comparison.mode, settings, { scenario, server, round }));
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

interface Turn {
  readonly scenario: Scenario;
  readonly server: ServerCommand;
  readonly round: number;
}

function stepOf(report: Report, mode: Mode, settings: Settings, { scenario, server, round }: Turn): Step {
  const words = settings.short ? shrunk(scenario.words) : scenario.words;
  const warmup = Math.max(settings.warmup, scenario.leastWarmup);
  const times = jobsOf(scenario) > 0 ? "" : ` --seconds ${settings.seconds} --warmup ${warmup}`;
  return {
    section: mode,
    name: scenario.name,
    column: server.name,
    round,
    settings,
    server,
    estimateS: estimateS(scenario, server.name, settings),
    isNeedless: () => round >= TRIAL_ROUNDS && isOutOfTheRunning(report, mode, scenario, server.name),
    measure: async (running) =>
      withFigures(await gearbench(`${words}${times}`.split(" "), running, settings.pinned), scenario.figures),
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
/** Jobs that are queued and drained again in a second, about. */
const QUEUED_PER_S = 40_000;
/** Jobs in the queue of an untuned gearmand that takes a second longer; its cost grows with the square of them. */
const UNTUNED_JOBS = 50_000;

function estimateS(scenario: Scenario, server: string, settings: Settings): number {
  const jobs = jobsOf(scenario) / (settings.short ? 10 : 1);
  if (jobs === 0) return settings.seconds + Math.max(settings.warmup, scenario.leastWarmup) + AROUND_S;
  const untunedS = isAmong(server, AGAINST.untuned) ? (jobs / UNTUNED_JOBS) ** 2 : 0;
  return jobs / QUEUED_PER_S + untunedS + AROUND_S;
}
