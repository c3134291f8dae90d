import type { Changes, FunctionRow, Sample, Snapshot } from "@drover/server/api";
import { effect, signal } from "@preact/signals";
import { followed, type StreamState, session } from "./session.ts";

/* What the server tells once a second, kept for all pages. */

/** A function as it was told last, with what of it happened a second. */
export interface LiveFunction {
  readonly name: string;
  readonly queued: number;
  readonly delayed: number;
  readonly running: number;
  readonly workers: number;
  readonly paused: boolean;
  readonly submissions: number;
  readonly joins: number;
  readonly runs: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  /** Submissions and runs a second, smoothed. */
  readonly submissionRate: number;
  readonly runRate: number;
}

/** Changes with everything that is told: whoever reads it is drawn again. */
export const beat = signal(0);
export const connection = signal<StreamState>("connecting");
/** Functions that there are; those listed may be fewer. */
export const functionCount = signal(0);
/** One a second, oldest first. */
export const samples = signal<readonly Sample[]>([]);
/** Now, as far as the page shows ages. */
export const nowMs = signal(Date.now());
export const functions: ReadonlyMap<string, LiveFunction> = new Map();

const known = functions as Map<string, LiveFunction>;
/** Those whose rates are not 0: they fade when nothing more is told of them. */
const busy = new Set<string>();

/** As many as the server keeps. */
const MAX_SAMPLES = 600;
/** How much of a rate is that of the last second. */
const NEWEST = 0.5;

/** Follows the changes for as long as the page is open. */
export function followServer(): void {
  setInterval(() => {
    nowMs.value = Date.now();
  }, 1000);
  effect(() => {
    // Anew with each token.
    session.value;
    return followed(
      () => "v1/changes",
      {
        snapshot: (data) => takeSnapshot(JSON.parse(data) as Snapshot),
        changes: (data) => takeChanges(JSON.parse(data) as Changes),
      },
      (state) => {
        connection.value = state;
      },
    );
  });
}

function takeSnapshot(snapshot: Snapshot): void {
  const before = new Map(known);
  known.clear();
  busy.clear();
  for (const row of snapshot.rows) {
    const old = before.get(row[0]);
    known.set(row[0], ofRow(row, old?.submissionRate ?? 0, old?.runRate ?? 0));
    if (old !== undefined && old.submissionRate + old.runRate > 0) busy.add(row[0]);
  }
  samples.value = snapshot.samples;
  functionCount.value = snapshot.functions;
  beat.value++;
}

function takeChanges({ functions: count, rows, gone, sample }: Changes): void {
  const last = samples.value.at(-1);
  const seconds = last === undefined ? 1 : Math.max(0.1, (sample[0] - last[0]) / 1000);
  for (const name of gone) {
    known.delete(name);
    busy.delete(name);
  }
  const fading = new Set(busy);
  for (const row of rows) {
    const [name] = row;
    fading.delete(name);
    const old = known.get(name);
    const submissions = old === undefined ? 0 : (row[6] - old.submissions) / seconds;
    const runs = old === undefined ? 0 : (row[8] - old.runs) / seconds;
    keep(ofRow(row, smooth(old?.submissionRate, submissions), smooth(old?.runRate, runs)));
  }
  for (const name of fading) {
    const old = known.get(name)!;
    keep({ ...old, submissionRate: smooth(old.submissionRate, 0), runRate: smooth(old.runRate, 0) });
  }
  samples.value = [...samples.value.slice(1 - MAX_SAMPLES), sample];
  functionCount.value = count;
  beat.value++;
}

function keep(fn: LiveFunction): void {
  known.set(fn.name, fn);
  if (fn.submissionRate + fn.runRate > 0) busy.add(fn.name);
  else busy.delete(fn.name);
}

function smooth(before: number | undefined, newest: number): number {
  const rate = before === undefined ? newest : before + (newest - before) * NEWEST;
  return rate < 0.05 ? 0 : rate;
}

function ofRow(row: FunctionRow, submissionRate: number, runRate: number): LiveFunction {
  const [name, queued, delayed, running, workers, paused] = row;
  const [, , , , , , submissions, joins, runs, completed, failed, lost] = row;
  return {
    name,
    queued,
    delayed,
    running,
    workers,
    paused: paused === 1,
    submissions,
    joins,
    runs,
    completed,
    failed,
    lost,
    submissionRate,
    runRate,
  };
}
