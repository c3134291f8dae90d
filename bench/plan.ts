import { FIGURE_TITLES, formatted } from "./figures.ts";
import type { Outcome } from "./gearbench.ts";
import type { Report, Section, Settings } from "./report.ts";
import { type RunningServer, type ServerCommand, startServer } from "./servers.ts";

/** What the command line asks of every part. */
export interface Options {
  /** Each part has a number of its own for when nobody asks for one. */
  readonly rounds: number | undefined;
  readonly seconds: number;
  readonly warmup: number;
  readonly short: boolean;
  /** The only names to measure, or all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** One run of a measurement, on a server of its own. */
export interface Step {
  readonly section: Section;
  /** The scenario or curve. */
  readonly name: string;
  /** The server, or the size of the curve. */
  readonly column: string;
  readonly round: number;
  readonly settings: Settings;
  readonly server: ServerCommand;
  /** About how long it takes. */
  readonly estimateS: number;
  /** Whether what was found so far makes it needless. */
  readonly isNeedless?: () => boolean;
  readonly measure: (server: RunningServer) => Promise<Outcome>;
}

export function settingsOf(options: Options, rounds: number, pinned: boolean): Settings {
  const { seconds, warmup, short } = options;
  return { date: new Date().toISOString().slice(0, 10), rounds, seconds, warmup, short, pinned };
}

/**
 * Runs the steps in order, into the report, and tells on stderr how far it is.
 * @returns How many steps found wrong answers.
 */
export async function runPlan(steps: readonly Step[], report: Report): Promise<number> {
  let leftS = steps.reduce((sum, step) => sum + step.estimateS, 0);
  process.stderr.write(`bench: ${steps.length} runs, at most about ${duration(leftS)}\n`);
  const begun = new Set<string>();
  let wrong = 0;
  let plannedS = 0;
  const beganMs = performance.now();
  for (const [at, step] of steps.entries()) {
    leftS -= step.estimateS;
    if (step.isNeedless?.()) continue;
    const name = `${step.section} ${step.name}`;
    if (!begun.has(name)) report.begin(step.section, step.name, step.settings);
    begun.add(name);
    const outcome = await onServer(step);
    if (outcome.ok) {
      report.record(step.section, step.name, step.column, step.round, outcome.figures);
      report.save();
    } else {
      wrong++;
    }
    plannedS += step.estimateS;
    const pace = (performance.now() - beganMs) / 1000 / plannedS;
    process.stderr.write(
      `[${at + 1}/${steps.length}] ${labelOf(step)}: ${told(outcome)}, about ${duration(leftS * pace)} left\n`,
    );
  }
  return wrong;
}

async function onServer(step: Step): Promise<Outcome> {
  const server = await startServer(step.server, step.settings.pinned);
  try {
    return await step.measure(server);
  } finally {
    await server.stop();
  }
}

function labelOf(step: Step): string {
  return `${step.section} ${step.round + 1}/${step.settings.rounds} ${step.name} ${step.column}`;
}

function told(outcome: Outcome): string {
  if (!outcome.ok) return `WRONG ANSWERS: ${outcome.complaint || "see gearbench/README.md"}`;
  const [figure, value] = Object.entries(outcome.figures)[0]!;
  return `${formatted(value)} ${FIGURE_TITLES[figure] ?? figure}`;
}

function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
