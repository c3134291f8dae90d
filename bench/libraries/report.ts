import { formatted } from "../figures.ts";
import { median, pairedRatios, type Spread } from "../ratios.ts";
import { table as markdown } from "../tables.ts";
import { BASELINE } from "./contenders.ts";
import type { Figures } from "./measure.ts";

/** The runs of one contender in one scenario, one for each round. */
export interface Series {
  readonly scenario: string;
  readonly contender: string;
  readonly runs: readonly Figures[];
}

/** A series in a few numbers: medians over its rounds. */
export interface Summary extends Omit<Figures, "wrong"> {
  readonly scenario: string;
  readonly contender: string;
  /** Of jobs per second to those of the baseline in the same round. */
  readonly ratio: Spread;
}

export function summarize(all: readonly Series[]): Summary[] {
  const of = (runs: readonly Figures[], figure: keyof Figures) => runs.map((run) => run[figure]);
  return all.map(({ scenario, contender, runs }) => {
    const baseline = all.find((other) => other.scenario === scenario && other.contender === BASELINE)!;
    return {
      scenario,
      contender,
      jobsPerSecond: median(of(runs, "jobsPerSecond")),
      clientUs: median(of(runs, "clientUs")),
      workerUs: median(of(runs, "workerUs")),
      serverUs: median(of(runs, "serverUs")),
      ratio: pairedRatios(of(runs, "jobsPerSecond"), of(baseline.runs, "jobsPerSecond"))!,
    };
  });
}

/** As Markdown. */
export function table(summaries: readonly Summary[]): string {
  const head = ["scenario", "client and worker", "jobs/s", `to ${BASELINE}'s`];
  const cpu = ["client", "worker", "server"].map((process) => `${process} CPU, µs/job`);
  const rows = summaries.map(
    ({ scenario, contender, jobsPerSecond, clientUs, workerUs, serverUs, ratio }) => [
      `\`${scenario}\``,
      contender,
      formatted(jobsPerSecond),
      `**${ratio.median.toFixed(2)}** (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
      ...[clientUs, workerUs, serverUs].map(formatted),
    ],
  );
  return markdown("llrrrrr", [...head, ...cpu], rows);
}
