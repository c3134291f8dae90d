import { CURVES } from "./curves.ts";
import { ALONE, GEARMAND_SQLITE, IN_MEMORY, POSTGRES, RUN, SQLITE, SUBMITTED } from "./durable.ts";
import { FIGURE_TITLES, formatted, isRate } from "./figures.ts";
import { bestOf, medianOf, pairedDifferences, pairedRatios, type Series, type Spread } from "./ratios.ts";
import type { Machine, Measurement, Mode, Report } from "./report.ts";
import { SCENARIOS } from "./scenarios.ts";
import { DROVER, GEARMAND, type GearmandName } from "./servers.ts";
import {
  AFTER_BURST,
  AGAINST,
  type Against,
  DURABLE_TARGETS,
  FLAT_COST,
  FLAT_RATE,
  TARGETS,
  type Target,
} from "./targets.ts";

/* The tables of README.md, made of the report. */

/** @param align A letter for each column: left or right. */
export function table(align: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = [...align].map((side) => (side === "l" ? "---" : "--:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const ratio = (value: number): string =>
  value >= 100 ? formatted(value) : value.toFixed(value < 0.1 ? 3 : 2);

const spreadText = ({ median, min, max }: Spread): string =>
  `**${ratio(median)}** (${ratio(min)}–${ratio(max)})`;

const titleOf = (figure: string): string =>
  `${FIGURE_TITLES[figure] ?? figure} ${isRate(figure) ? "↑" : "↓"}`;

/** A figure of Drover's beside the best one of some configurations of gearmand. */
interface Row {
  readonly scenario: string;
  readonly figure: string;
  readonly against: Against;
  readonly configuration: GearmandName;
  readonly gearmand: Series;
  readonly drover: Series;
  readonly ratios: Spread;
  readonly target: Target | undefined;
}

function rowOf(
  scenario: string,
  measurement: Measurement,
  figure: string,
  against: Against,
  target: Target | undefined,
): Row[] {
  const drover = measurement.series[DROVER]?.[figure];
  const candidates: Record<string, Series> = {};
  for (const name of AGAINST[against]) {
    const series = measurement.series[name]?.[figure];
    if (series !== undefined) candidates[name] = series;
  }
  const configuration = bestOf(figure, candidates) as GearmandName | undefined;
  if (drover === undefined || configuration === undefined) return [];
  const gearmand = candidates[configuration]!;
  const ratios = pairedRatios(drover, gearmand);
  return ratios === undefined
    ? []
    : [{ scenario, figure, against, configuration, gearmand, drover, ratios, target }];
}

/** A row for each target of a figure, and one against the best configuration when no target is. */
function rowsOf(scenario: string, measurement: Measurement, figure: string): Row[] {
  const targets = TARGETS.filter((one) => one.figure === figure && one.scenarios.includes(scenario));
  const rows = targets.flatMap((target) => rowOf(scenario, measurement, figure, target.against, target));
  const hasBest = targets.some(({ against }) => against === "best" || against === "tuned");
  return hasBest ? rows : [...rowOf(scenario, measurement, figure, "best", undefined), ...rows];
}

const bound = (figure: string, value: number): string => `${isRate(figure) ? "≥" : "≤"} ${value}`;

const reaches = (figure: string, value: number, limit: number): boolean =>
  isRate(figure) ? value >= limit : value <= limit;

function floorOf(target: Target, mode: Mode): number {
  return target.floorIn?.[mode] ?? target.floor;
}

function floorText(row: Row, mode: Mode): string {
  if (row.target === undefined) return "";
  const { orWithin } = row.target;
  return `${bound(row.figure, floorOf(row.target, mode))}${orWithin === undefined ? "" : ` or + ${orWithin}`}`;
}

function verdict(row: Row, mode: Mode): string {
  if (row.target === undefined) return "";
  const { goal, orWithin } = row.target;
  const value = row.ratios.median;
  if (goal !== undefined && reaches(row.figure, value, goal)) return "yes, and the goal";
  if (reaches(row.figure, value, floorOf(row.target, mode))) return "yes";
  const difference = pairedDifferences(row.drover, row.gearmand);
  return orWithin !== undefined && difference !== undefined && difference.median <= orWithin
    ? "yes"
    : "**no**";
}

function cells(row: Row, mode: Mode, rounds: number): string[] {
  const few = row.ratios.rounds < rounds ? `, ${row.ratios.rounds} of ${rounds} rounds` : "";
  const goal = row.target?.goal;
  return [
    `\`${row.scenario}\``,
    titleOf(row.figure),
    formatted(medianOf(row.gearmand)!),
    `${GEARMAND[row.configuration]}${few}`,
    formatted(medianOf(row.drover)!),
    spreadText(row.ratios),
    floorText(row, mode),
    goal === undefined ? "" : bound(row.figure, goal),
    verdict(row, mode),
  ];
}

const HEAD = [
  "scenario",
  "figure",
  "gearmand",
  "configuration",
  "Drover",
  "Drover / gearmand",
  "floor",
  "goal",
  "floor holds",
];

/** Drover beside the best configuration of gearmand, in all scenarios that were measured in a mode. */
export function comparisonTable(report: Report, mode: Mode): string {
  const section = report.section(mode);
  const rows = SCENARIOS.flatMap(({ name, figures }) => {
    const measurement = section[name];
    if (measurement === undefined) return [];
    if (measurement.series[DROVER] === undefined) return [[`\`${name}\``, "**Drover's answers were wrong**"]];
    return figures.flatMap((figure) =>
      rowsOf(name, measurement, figure).map((row) => cells(row, mode, measurement.settings.rounds)),
    );
  });
  return rows.length === 0
    ? "Not measured yet."
    : `${table("llrlrrrrl", HEAD, rows)}\n\n${settingsLine(section)}`;
}

/** Other servers beside Drover, or nothing when there were none. */
export function othersTable(report: Report, mode: Mode): string {
  const section = report.section(mode);
  const rows = SCENARIOS.flatMap(({ name, figures }) =>
    Object.entries(section[name]?.series ?? {})
      .filter(([server]) => server !== DROVER && !(server in GEARMAND))
      .flatMap(([server, column]) => {
        const figure = figures[0]!;
        const own = column[figure];
        const drover = section[name]!.series[DROVER]?.[figure];
        const ratios = own && drover && pairedRatios(own, drover);
        if (!ratios) return [];
        return [
          [
            `\`${name}\``,
            titleOf(figure),
            server,
            formatted(medianOf(own)!),
            formatted(medianOf(drover)!),
            spreadText(ratios),
          ],
        ];
      }),
  );
  if (rows.length === 0) return "";
  return table("lllrrr", ["scenario", "figure", "server", "its figure", "Drover", "server / Drover"], rows);
}

const MEMORY_FIGURES: readonly (readonly [string, string])[] = [
  ["idle", "rss_bytes_per_client"],
  ["idle", "rss_bytes_per_worker"],
  ["queued", "rss_bytes_per_job"],
  ["joined", "rss_bytes_per_joined"],
];

export function memoryTable(report: Report): string {
  const section = report.section("memory");
  const rows = MEMORY_FIGURES.flatMap(([name, figure]) => {
    const measurement = section[name];
    if (measurement === undefined) return [];
    return rowsOf(name, measurement, figure).map((row) => cells(row, "free", measurement.settings.rounds));
  });
  return rows.length === 0
    ? "Not measured yet."
    : `${table("llrlrrrrl", HEAD, rows)}\n\n${settingsLine(section)}`;
}

export function burstTable(report: Report): string {
  const rows = Object.entries(report.section("memory").burst?.series ?? {}).map(([server, figures]) => {
    const start = medianOf(figures.start_mib)!;
    const end = medianOf(figures.after_mib)!;
    const floor = AFTER_BURST.floor * start + AFTER_BURST.floorMiB;
    const goal = AFTER_BURST.goal * start;
    const holds = end <= goal ? "yes, and the goal" : end <= floor ? "yes" : "**no**";
    const isPeer = server !== DROVER;
    return [
      isPeer ? `gearmand, ${GEARMAND[server as GearmandName] ?? server}` : "Drover",
      formatted(start),
      formatted(medianOf(figures.queued_mib)!),
      formatted(end),
      isPeer ? "" : `≤ ${formatted(floor)}`,
      isPeer ? "" : `≤ ${formatted(goal)}`,
      isPeer ? "" : holds,
    ];
  });
  const head = ["server", "start, MiB", "queued, MiB", "drained, MiB", "floor", "goal", "floor holds"];
  return rows.length === 0 ? "" : table("lrrrrrl", head, rows);
}

/** Durable submissions, foreground jobs beside them, and recovery. */
export function durableTable(report: Report): string {
  const section = report.section("durable");
  const { submissionsPerS, perFsync, timesGearmand, besideRatio, recoveryS } = DURABLE_TARGETS;
  const submit = section["durable-submit"]?.series ?? {};
  const beside = section["durable-beside"]?.series ?? {};
  const recovery = section["durable-recovery"]?.series[SQLITE]?.recovery_s;
  const rows: string[][] = [];
  const row = (what: string, figure: string, series: Series | undefined, ...rest: string[]): void => {
    const value = series && medianOf(series);
    if (value !== undefined) rows.push([what, titleOf(figure), formatted(value), ...rest]);
  };
  const held = (holds: boolean): string => (holds ? "yes" : "**no**");

  const own = submit[SQLITE]?.ops_per_s;
  const theirs = submit[GEARMAND_SQLITE]?.ops_per_s;
  const times = own && theirs && pairedRatios(own, theirs);
  row("disk: 4 KiB written and waited for", "fsyncs_per_s", submit[SQLITE]?.fsyncs_per_s, "", "", "");
  row("submissions, gearmand with SQLite", "ops_per_s", theirs, "", "", "");
  row("submissions, Drover with PostgreSQL", "ops_per_s", submit[POSTGRES]?.ops_per_s, "", "", "");
  if (own && times) {
    const least = Math.min(submissionsPerS, perFsync * (medianOf(submit[SQLITE]!.fsyncs_per_s!) ?? 0));
    const holds = medianOf(own)! >= least && times.median >= timesGearmand;
    const target = `≥ ${formatted(least)}, and ${timesGearmand} times gearmand's`;
    row("submissions, Drover with SQLite", "ops_per_s", own, spreadText(times), target, held(holds));
  }
  row("foreground jobs alone", "p99_us", beside[ALONE]?.p99_us, "", "", "");
  for (const [load, what] of [
    [IN_MEMORY, "foreground jobs, as many background ones submitted to memory beside"],
    [SUBMITTED, "foreground jobs, durable ones submitted beside"],
    [RUN, "foreground jobs, durable ones submitted and run beside"],
  ] as const) {
    const [with_, alone] = [beside[load]?.p99_us, beside[ALONE]?.p99_us];
    const ratios = with_ && alone && pairedRatios(with_, alone);
    if (!ratios) continue;
    const target = load === SUBMITTED ? `≤ ${besideRatio}` : "";
    const verdict = load === SUBMITTED ? held(ratios.median <= besideRatio) : "";
    row(what, "p99_us", with_, spreadText(ratios), target, verdict);
  }
  if (recovery) {
    const holds = medianOf(recovery)! <= recoveryS;
    row("recovery of 1,000,000 jobs, SQLite", "recovery_s", recovery, "", `≤ ${recoveryS}`, held(holds));
  }
  if (rows.length === 0) return "Not measured yet.";
  const head = ["what", "figure", "median", "to gearmand, to alone", "target", "holds"];
  return `${table("llrrrl", head, rows)}\n\n${settingsLine(section)}`;
}

/** How the measurements of a section were made. */
export function settingsLine(section: Readonly<Record<string, Measurement>>): string {
  const all = Object.values(section).map(({ settings }) => settings);
  const dates = [...new Set(all.map(({ date }) => date))].sort();
  const ways = new Set(
    all.map(({ rounds, seconds, warmup, short }) => {
      const count = `${rounds} ${rounds === 1 ? "round" : "rounds"}`;
      const size = short ? ", a tenth of the jobs, functions and connections" : "";
      return `${count}, ${seconds} s after ${warmup} s of warm-up where a time is measured${size}`;
    }),
  );
  const when = dates.length > 1 ? `${dates[0]} to ${dates.at(-1)}` : dates[0];
  return `Measured ${when}: ${[...ways].join("; ")}.`;
}

export function machineLine(machine: Machine): string {
  const { cores, processor, memoryGiB, kernel, node, gearmand } = machine;
  return `${cores} cores (${processor}), ${memoryGiB} GiB, Linux ${kernel}, Node ${node}, gearmand ${gearmand}.`;
}

/** What the names of the scenarios stand for. */
export function scenarioTable(): string {
  const rows = SCENARIOS.map(({ name, words }) => [`\`${name}\``, `\`${words}\``]);
  return table("ll", ["scenario", "what gearbench is asked for"], rows);
}

const CURVE_FIGURES = ["p99_us", "server_us_per_op", "ops_per_s", "submit_per_s", "drain_per_s"];

/** A row for each figure of each curve: its values by size, and how far apart they are. */
export function curvesTable(report: Report): string {
  const section = report.section("curves");
  const rows = CURVES.flatMap(({ name, title, sizes }) => {
    const series = section[name]?.series ?? {};
    return CURVE_FIGURES.flatMap((figure) => {
      const points = sizes.map((size) => medianOf(series[size]?.[figure]));
      const present = points.filter((value) => value !== undefined);
      if (present.length < 2) return [];
      const change = Math.max(...present) / Math.min(...present);
      const limit = isRate(figure) ? FLAT_RATE : FLAT_COST;
      const values = points.map((value, at) =>
        value === undefined ? [] : `${sizes[at]!.toLocaleString("en-US")}: ${formatted(value)}`,
      );
      return [
        [
          title,
          titleOf(figure),
          values.flat().join(", "),
          ratio(change),
          `≤ ${limit}`,
          change <= limit ? "yes" : "**no**",
        ],
      ];
    });
  });
  if (rows.length === 0) return "Not measured yet.";
  const head = ["number of", "figure", "number: figure", "largest / smallest", "target", "holds"];
  return `${table("lllrrl", head, rows)}\n\n${settingsLine(section)}`;
}
