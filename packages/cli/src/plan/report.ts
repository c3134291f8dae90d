import { cut, durationText, grouped, tableLines } from "../terminal/table.ts";
import { type LevelReport, levelFor } from "./core/level.ts";
import type { LoadReport } from "./core/load.ts";
import type { WaitingReport } from "./core/waiting.ts";
import { plotLines } from "./plot.ts";

/** What was read, and what it means. */
export interface Plan {
  readonly format: string;
  readonly lines: number;
  readonly badLines: number;
  readonly skippedLines: number;
  readonly percentiles: readonly number[];
  readonly load: LoadReport;
  /** With the workers that were asked for. */
  readonly waiting: { readonly alone: WaitingReport; readonly joined: WaitingReport } | undefined;
}

export interface Look {
  readonly plot: boolean;
  /** Columns of the terminal. */
  readonly width: number;
  readonly colour: boolean;
}

/** The plan for people. */
export function textOf(plan: Plan, look: Look): string {
  const { load, waiting } = plan;
  const { alone, joined } = load;
  const rows = [
    ["runs", grouped(load.requests), grouped(load.runs)],
    ["at one time, at most", grouped(alone.peak), grouped(joined.peak)],
    ["first reached", instant(alone.peakAtUs), instant(joined.peakAtUs)],
    ["work", duration(alone.workUs), duration(joined.workUs)],
    ["time with work", duration(alone.busyUs), duration(joined.busyUs)],
    ...plan.percentiles.map((percent) => [
      `workers for ${percent} % of time`,
      grouped(levelFor(alone.timeAtUs, percent)),
      grouped(levelFor(joined.timeAtUs, percent)),
    ]),
  ];
  const left = plan.skippedLines === 0 ? "" : `, ${grouped(plan.skippedLines)} left out`;
  const bad = plan.badLines === 0 ? "" : `, ${grouped(plan.badLines)} bad`;
  const lines = [
    `${grouped(load.requests)} requests in ${duration(load.endUs - load.beginUs)} from ${instant(load.beginUs)}`,
    `${grouped(plan.lines)} lines of format ${plan.format}${left}${bad}`,
    "",
    ...tableLines(
      [{ title: "" }, { title: "without joining", right: true }, { title: "with joining", right: true }],
      rows,
    ),
    "",
    `Join ratio: ${(load.requests / load.runs).toFixed(2)} requests for each run.`,
  ];
  if (load.herds.length > 0) {
    const room = Math.max(20, look.width - 48);
    const herds = load.herds.map((herd) => [
      grouped(herd.size),
      instant(herd.beginUs),
      duration(herd.endUs - herd.beginUs),
      cut(herd.unique.replaceAll(/\p{Cc}/gu, "?"), room),
    ]);
    lines.push("", "Largest herds");
    lines.push(
      ...tableLines(
        [
          { title: "requests", right: true },
          { title: "from" },
          { title: "lasted", right: true },
          { title: "unique" },
        ],
        herds,
      ),
    );
  }
  if (waiting !== undefined) lines.push("", ...waitingLines(plan, waiting.alone, waiting.joined));
  if (look.plot) lines.push("", ...plotLines(load, look.width, look.colour));
  return `${lines.join("\n")}\n`;
}

function waitingLines(plan: Plan, alone: WaitingReport, joined: WaitingReport): string[] {
  const { workers } = joined;
  const wanted = plan.load.joined.peak;
  const rows = [
    ["runs", grouped(alone.runs), grouped(joined.runs)],
    ["wait p50", duration(alone.waitUs.p50), duration(joined.waitUs.p50)],
    ["wait p99", duration(alone.waitUs.p99), duration(joined.waitUs.p99)],
    ["wait max", duration(alone.waitUs.max), duration(joined.waitUs.max)],
  ];
  return [
    `With ${grouped(workers)} workers: n_active = min(n_uniques, n_workers) = min(${grouped(wanted)}, ${grouped(workers)}) = ${grouped(joined.peak)}`,
    ...tableLines(
      [{ title: "" }, { title: "without joining", right: true }, { title: "with joining", right: true }],
      rows,
    ),
  ];
}

/** The plan for programs: times in milliseconds, instants in ISO 8601. */
export function jsonOf(plan: Plan): object {
  const { load, waiting } = plan;
  const level = (report: LevelReport, runs: number) => ({
    runs,
    peak: report.peak,
    peakAt: iso(report.peakAtUs),
    workMs: report.workUs / 1000,
    busyMs: report.busyUs / 1000,
    workersForPercentOfTime: Object.fromEntries(
      plan.percentiles.map((percent) => [String(percent), levelFor(report.timeAtUs, percent)]),
    ),
    timeline: { stretchMs: report.timeline.stretchUs / 1000, highest: report.timeline.highest },
  });
  const waits = (report: WaitingReport) => ({
    runs: report.runs,
    peak: report.peak,
    waitMs: {
      p50: report.waitUs.p50 / 1000,
      p99: report.waitUs.p99 / 1000,
      max: report.waitUs.max / 1000,
    },
  });
  return {
    format: plan.format,
    lines: plan.lines,
    badLines: plan.badLines,
    skippedLines: plan.skippedLines,
    requests: load.requests,
    begin: iso(load.beginUs),
    end: iso(load.endUs),
    joinRatio: load.requests / load.runs,
    withoutJoining: level(load.alone, load.requests),
    withJoining: level(load.joined, load.runs),
    herds: load.herds.map(({ unique, size, beginUs, endUs }) => ({
      unique,
      size,
      begin: iso(beginUs),
      end: iso(endUs),
    })),
    ...(waiting === undefined
      ? {}
      : {
          workers: waiting.joined.workers,
          waiting: { withoutJoining: waits(waiting.alone), withJoining: waits(waiting.joined) },
        }),
  };
}

function duration(us: number): string {
  return durationText(us / 1000);
}

function instant(us: number): string {
  return iso(us).slice(0, 19).replace("T", " ");
}

function iso(us: number): string {
  return new Date(us / 1000).toISOString();
}
