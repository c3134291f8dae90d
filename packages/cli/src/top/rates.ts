import { type FunctionRow, joinRatio } from "../admin/listings.ts";

/** What a server said at one moment. */
export interface Sample {
  readonly atMs: number;
  readonly version: string;
  readonly rows: readonly TopRow[];
  readonly counts: ReadonlyMap<string, number>;
  /** Totals a second, where the server itself tells them: over its last ten. */
  readonly rates?: ReadonlyMap<string, number>;
}

/** A function as a server told it. */
export interface TopRow extends FunctionRow {
  /** For how long the job has waited that has waited longest; absent where that is not told. */
  readonly oldestQueuedMs?: number;
}

/** A function with its rates per second since the sample before; null where they are not known. */
export interface RatedRow extends TopRow {
  readonly submissionsPerSecond: number | null;
  readonly runsPerSecond: number | null;
  readonly joinRatio: number | null;
}

export function ratedRows(before: Sample | undefined, now: Sample): RatedRow[] {
  const earlier = new Map(before?.rows.map((row) => [row.name, row]));
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  return now.rows.map((row) => {
    const past = earlier.get(row.name);
    return {
      ...row,
      // A function that is new has made all its submissions since.
      submissionsPerSecond: perSecond(past === undefined ? 0 : past.submissions, row.submissions, seconds),
      runsPerSecond: perSecond(past === undefined ? 0 : past.runs, row.runs, seconds),
      joinRatio: joinRatio(row),
    };
  });
}

/** Rate of one of the server's totals. */
export function totalRate(before: Sample | undefined, now: Sample, name: string): number | null {
  const told = now.rates?.get(name);
  if (told !== undefined) return told;
  if (before === undefined) return null;
  const seconds = (now.atMs - before.atMs) / 1000;
  return perSecond(before.counts.get(name) ?? null, now.counts.get(name) ?? null, seconds);
}

function perSecond(before: number | null, now: number | null, seconds: number): number | null {
  if (before === null || now === null || seconds <= 0) return null;
  // After a restart of the server its totals begin anew.
  return Math.max(0, now - before) / seconds;
}
