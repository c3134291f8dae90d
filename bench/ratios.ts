import { isRate } from "./figures.ts";

/** A figure, round by round; `null` where a round has none. */
export type Series = readonly (number | null)[];

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median over the rounds that have a figure, or `undefined` when none has. */
export function medianOf(series: Series | undefined): number | undefined {
  const present = series?.filter((value) => value !== null) ?? [];
  return present.length === 0 ? undefined : median(present);
}

/**
 * How `own` compares with `peer`: the ratio within each round, and of these the median. A machine that is slow for a
 * round is slow for both.
 */
export function pairedRatios(own: Series, peer: Series): Spread | undefined {
  return spread(own, peer, (a, b) => (b > 0 ? a / b : undefined));
}

/** As `pairedRatios`, with differences. */
export function pairedDifferences(own: Series, peer: Series): Spread | undefined {
  return spread(own, peer, (a, b) => a - b);
}

function spread(
  own: Series,
  peer: Series,
  compare: (own: number, peer: number) => number | undefined,
): Spread | undefined {
  const values = own.flatMap((value, round) => {
    const other = peer[round] ?? null;
    return value === null || other === null ? [] : (compare(value, other) ?? []);
  });
  if (values.length === 0) return undefined;
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    rounds: values.length,
  };
}

/**
 * The name of the series that is best in the rounds it shares with the others: the highest rate, the least of everything
 * else. Some have less rounds than others, and no round is as fast as another.
 */
export function bestOf(figure: string, candidates: Readonly<Record<string, Series>>): string | undefined {
  const [first, ...others] = Object.keys(candidates).filter(
    (name) => medianOf(candidates[name]) !== undefined,
  );
  return others.reduce((best, name) => {
    const ratio = pairedRatios(candidates[name]!, candidates[best!]!)?.median ?? Number.NaN;
    return (isRate(figure) ? ratio > 1 : ratio < 1) ? name : best;
  }, first);
}

/** By how much one must be behind in each round so that chance does not explain it. */
const CLEARLY = 1.2;

/** Whether `own` was clearly worse than `rival` in all rounds, of which there are at least `rounds`. */
export function isFarBehind(figure: string, own: Series, rival: Series, rounds: number): boolean {
  const ratios = pairedRatios(own, rival);
  if (ratios === undefined || ratios.rounds < rounds) return false;
  return isRate(figure) ? ratios.max < 1 / CLEARLY : ratios.min > CLEARLY;
}
