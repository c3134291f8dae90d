import { formatted } from "../figures.ts";
import { medianOf, pairedRatios } from "../ratios.ts";
import { table } from "../tables.ts";
import type { Figures } from "./measure.ts";
import { SCENARIOS } from "./scenarios.ts";
import { SCHEME_TITLES, SCHEMES, type SchemeName } from "./schemes.ts";

/** The runs of one scheme in one scenario, one for each round. */
export interface Series {
  readonly scenario: string;
  readonly scheme: SchemeName;
  readonly runs: readonly Figures[];
}

export interface Results {
  readonly date: string;
  readonly rounds: number;
  readonly series: readonly Series[];
}

/** What Drover's cache is held to. README.md of bench says it. */
export const CACHE_TARGETS = { toGearmand: 1.1, stale99Ms: 20 } as const;

export const OURS: SchemeName = "drover-cache";
const PEER: SchemeName = "gearmand";

type Figure = keyof Figures;

const values = ({ runs }: Series, figure: Figure): (number | null)[] => runs.map((run) => run[figure]);

/** Where less is worse. */
const COUNTS_UP: ReadonlySet<Figure> = new Set<Figure>(["answered", "stale", "fresh"]);

/** The median, and the worst where it is another. */
function shown(series: Series, figure: Figure): string {
  const present = values(series, figure).filter((value) => value !== null);
  if (present.length === 0) return "";
  const worstOf = COUNTS_UP.has(figure) ? Math.min : Math.max;
  const [median, worst] = [formatted(medianOf(present)!), formatted(worstOf(...present))];
  return median === worst ? median : `${median} (${worst})`;
}

function ratio(series: Series, to: Series | undefined): string {
  const spread = to && pairedRatios(values(series, "p99Ms"), values(to, "p99Ms"));
  return spread === undefined ? "" : formatted(spread.median);
}

/** As Markdown: medians, and the worst in brackets. */
export function cacheTable({ series, date, rounds }: Results): string {
  const head = [
    "scheme",
    "computations",
    "of at least",
    "p50, ms",
    "p99, ms",
    "p99 to gearmand's",
    "answered",
  ];
  const more = ["failed", "stale values", "their p99, ms", "fresh values", "their p99, ms"];
  const tables = SCENARIOS.flatMap(({ name, title }) => {
    const own = inOrder(series.filter(({ scenario }) => scenario === name));
    if (own.length === 0) return [];
    const peer = own.find(({ scheme }) => scheme === PEER);
    const rows = own.map((one) => [
      SCHEME_TITLES[one.scheme],
      shown(one, "computations"),
      shown(one, "minimum"),
      shown(one, "p50Ms"),
      shown(one, "p99Ms"),
      ratio(one, peer),
      shown(one, "answered"),
      shown(one, "failed"),
      shown(one, "stale"),
      shown(one, "stale99Ms"),
      shown(one, "fresh"),
      shown(one, "fresh99Ms"),
    ]);
    return [`**\`${name}\`**: ${title}\n\n${table("lrrrrrrrrrrr", [...head, ...more], rows).trim()}`];
  });
  return [
    ...tables,
    `Measured ${date}: ${rounds} rounds after one to warm up, the first alone for those schemes that no target is about.`,
  ].join("\n\n");
}

const inOrder = (series: readonly Series[]): Series[] =>
  series.toSorted((a, b) => SCHEMES.indexOf(a.scheme) - SCHEMES.indexOf(b.scheme));

/** Which targets hold, a line each. They are told and never enforced. */
export function bars({ series }: Results): string {
  const ours = series.filter(({ scheme }) => scheme === OURS);
  const lines = ours.flatMap((one) => {
    const peer = series.find(({ scenario, scheme }) => scenario === one.scenario && scheme === PEER);
    const isMinimal = one.runs.every(({ computations, minimum }) => computations === minimum);
    const spread = peer && pairedRatios(values(one, "p99Ms"), values(peer, "p99Ms"));
    const stale = medianOf(values(one, "stale99Ms").filter((ms) => ms !== null));
    return [
      `${holds(isMinimal)} ${one.scenario}: computations ${shown(one, "computations")} of ${shown(one, "minimum")}`,
      ...(spread === undefined
        ? []
        : [
            `${holds(spread.median <= CACHE_TARGETS.toGearmand)} ${one.scenario}: p99 ${formatted(spread.median)} of gearmand's`,
          ]),
      ...(stale === undefined
        ? []
        : [
            `${holds(stale <= CACHE_TARGETS.stale99Ms)} ${one.scenario}: p99 of stale values ${formatted(stale)} ms`,
          ]),
    ];
  });
  return lines.join("\n");
}

const holds = (is: boolean): string => (is ? "yes" : "NO ");
