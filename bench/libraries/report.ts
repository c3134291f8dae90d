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
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
}

export function summarize(all: readonly Series[]): Summary[] {
  return all.map(({ scenario, contender, runs }) => {
    const baseline = all.find((other) => other.scenario === scenario && other.contender === BASELINE)!;
    const ratios = runs.map((run, round) => run.jobsPerSecond / baseline.runs[round]!.jobsPerSecond);
    return {
      scenario,
      contender,
      jobsPerSecond: median(runs.map((run) => run.jobsPerSecond)),
      clientUs: median(runs.map((run) => run.clientUs)),
      workerUs: median(runs.map((run) => run.workerUs)),
      serverUs: median(runs.map((run) => run.serverUs)),
      ratio: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
    };
  });
}

/** As Markdown. */
export function table(summaries: readonly Summary[]): string {
  const rows = summaries.map(
    ({ scenario, contender, jobsPerSecond, clientUs, workerUs, serverUs, ratio }) => {
      const cells = [
        `\`${scenario}\``,
        contender,
        Math.round(jobsPerSecond).toLocaleString("en-US"),
        `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
        ...[clientUs, workerUs, serverUs].map((us) => us.toFixed(1)),
      ];
      return `| ${cells.join(" | ")} |`;
    },
  );
  return [
    `| scenario | client and worker | jobs/s | to ${BASELINE} (min–max) | client µs/job | worker µs/job | server µs/job |`,
    "|---|---|--:|--:|--:|--:|--:|",
    ...rows,
    "",
  ].join("\n");
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
