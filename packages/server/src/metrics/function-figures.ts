import type { FunctionTimes, Histogram, JobFunction, ServerState } from "../core/index.ts";

/** How often values fell into ranges. */
export interface HistogramFigures {
  /** Upper bounds of the ranges, themselves within; beyond the last one there is one more range. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

/** The figures of one function, or of several in sum. Counts are since the start, all else is now. */
export interface FunctionFigures {
  /** As a person reads it; no two functions have the same. */
  readonly name: string;
  readonly submissions: number;
  readonly joins: number;
  readonly runs: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly overruns: number;
  readonly workers: number;
  readonly workersWanted: number;
  readonly oldestQueuedSeconds: number;
  /** Submissions for each run; null before the first run. */
  readonly joinRatio: number | null;
  readonly waitSeconds: HistogramFigures;
  readonly queueSeconds: HistogramFigures;
  readonly runSeconds: HistogramFigures;
}

const secondsOf = new WeakMap<readonly number[], readonly number[]>();

/** The figures of a histogram of milliseconds, in seconds. */
export function inSeconds({ bounds, counts, sum }: Histogram): HistogramFigures {
  let seconds = secondsOf.get(bounds);
  if (seconds === undefined) {
    seconds = bounds.map((ms) => ms / 1000);
    secondsOf.set(bounds, seconds);
  }
  return { bounds: seconds, counts: [...counts], sum: sum / 1000 };
}

/** How many jobs could run now if there were a worker for each: as many workers could be busy. */
export function workersWanted({ queued, running, overruns, paused, settings }: JobFunction): number {
  const wanted = (paused ? 0 : queued) + running + overruns;
  return settings.maxRunning > 0 ? Math.min(wanted, settings.maxRunning) : wanted;
}

function timesOf(times: FunctionTimes): Pick<FunctionFigures, "waitSeconds" | "queueSeconds" | "runSeconds"> {
  return {
    waitSeconds: inSeconds(times.waits),
    queueSeconds: inSeconds(times.queued),
    runSeconds: inSeconds(times.runs),
  };
}

export function figuresOf(fn: JobFunction, name: string, nowMs: number): FunctionFigures {
  const { submissions, joins, runs, completed, failed, lost } = fn;
  const { queued, delayed, running, overruns, workers } = fn;
  return {
    name,
    submissions,
    joins,
    runs,
    completed,
    failed,
    lost,
    queued,
    delayed,
    running,
    overruns,
    workers,
    workersWanted: workersWanted(fn),
    oldestQueuedSeconds: fn.oldestQueuedMs(nowMs) / 1000,
    joinRatio: runs === 0 ? null : submissions / runs,
    ...timesOf(fn.times),
  };
}

/** Levels of several functions in sum; the age is the largest. */
export class Levels {
  functions = 0;
  queued = 0;
  delayed = 0;
  running = 0;
  overruns = 0;
  workers = 0;
  workersWanted = 0;
  oldestQueuedSeconds = 0;

  add(fn: JobFunction, nowMs: number): void {
    this.functions++;
    this.queued += fn.queued;
    this.delayed += fn.delayed;
    this.running += fn.running;
    this.overruns += fn.overruns;
    this.workers += fn.workers;
    this.workersWanted += workersWanted(fn);
    this.oldestQueuedSeconds = Math.max(this.oldestQueuedSeconds, fn.oldestQueuedMs(nowMs) / 1000);
  }
}

const COUNTED = ["submissions", "joins", "runs", "completed", "failed", "lost"] as const;
type Counts = Record<(typeof COUNTED)[number], number>;

/**
 * What all functions without figures of their own have counted, those that are forgotten among them: the total without
 * the others. It never falls, as a sum over those that are there now would. To be read in one turn with the others.
 */
export function countsOfOthers({ counts, ownTimes }: ServerState): Counts {
  const others: Counts = { submissions: 0, joins: 0, runs: 0, completed: 0, failed: 0, lost: 0 };
  for (const name of COUNTED) {
    others[name] = counts[name] - ownTimes.forgotten[name];
    for (const fn of ownTimes.functions) others[name] -= fn[name];
  }
  return others;
}

/** The figures of all functions that have none of their own. */
export function othersFigures(
  name: string,
  counts: Counts,
  levels: Levels,
  times: FunctionTimes,
): FunctionFigures {
  const { functions: _, ...now } = levels;
  const joinRatio = counts.runs === 0 ? null : counts.submissions / counts.runs;
  return { name, ...counts, ...now, joinRatio, ...timesOf(times) };
}
