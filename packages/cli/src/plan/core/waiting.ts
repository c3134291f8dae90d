import { Heap } from "./heap.ts";
import type { Request } from "./order.ts";

/** Counts of values from 0, of which those from 2048 on are kept to within a thousandth. */
export class Spread {
  readonly #counts = new Map<number, number>();
  #count = 0;
  max = 0;

  add(value: number): void {
    const kept = keptAs(value);
    this.#counts.set(kept, (this.#counts.get(kept) ?? 0) + 1);
    this.#count++;
    if (value > this.max) this.max = value;
  }

  /** The least value that so many hundredths of all do not exceed, or at most a thousandth more. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.ceil((this.#count * percent) / 100));
    let seen = 0;
    for (const [value, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      seen += count;
      if (seen >= wanted) return Math.min(value, this.max);
    }
    return this.max;
  }
}

/** The largest of the values that are kept alike: 11 binary digits are. */
function keptAs(value: number): number {
  if (value < 2048) return value;
  const step = 2 ** (Math.floor(Math.log2(value)) - 10);
  return Math.floor(value / step) * step + step - 1;
}

export interface WaitingReport {
  readonly workers: number;
  readonly runs: number;
  /** Runs that were under way at one time, at most. */
  readonly peak: number;
  readonly workUs: number;
  /** When the last run ended. */
  readonly endUs: number;
  /** From a request until the run that answers it begins; 0 for who joins a running one. */
  readonly waitUs: { readonly p50: number; readonly p99: number; readonly max: number };
}

interface Run {
  readonly unique: string;
  readonly beginUs: number;
  readonly endUs: number;
}

/**
 * What requests wait for if there are so many workers and runs begin in the order in which they were asked for. With
 * joining a request joins the run of its unique while that waits as well. A run's time is known when it is asked
 * for, so that its beginning is: the earliest time at which a worker has done all that came before.
 */
export class Waiting {
  readonly #workers: number;
  readonly #joining: boolean;
  /** When each of the workers that have something to do will have done it. */
  readonly #busyUntilUs = new Heap<number>((a, b) => a < b);
  readonly #runsByEnd = new Heap<Run>((a, b) => a.endUs < b.endUs);
  readonly #open = new Map<string, Run>();
  readonly #waits = new Spread();
  #runs = 0;
  #peak = 0;
  #workUs = 0;
  #endUs = 0;

  constructor(workers: number, joining: boolean) {
    this.#workers = workers;
    this.#joining = joining;
  }

  /** Requests come in the order of their beginnings. */
  add({ unique, atUs, durationUs }: Request): void {
    const open = this.#joining ? this.#openRun(unique, atUs) : undefined;
    if (open !== undefined) {
      this.#waits.add(Math.max(0, open.beginUs - atUs));
      return;
    }
    const beginUs = this.#occupy(atUs, durationUs);
    this.#waits.add(beginUs - atUs);
    if (!this.#joining || beginUs + durationUs === atUs) return;
    const run = { unique, beginUs, endUs: beginUs + durationUs };
    this.#open.set(unique, run);
    this.#runsByEnd.push(run);
  }

  report(): WaitingReport {
    const waits = this.#waits;
    return {
      workers: this.#workers,
      runs: this.#runs,
      peak: this.#peak,
      workUs: this.#workUs,
      endUs: this.#endUs,
      waitUs: { p50: waits.percentile(50), p99: waits.percentile(99), max: waits.max },
    };
  }

  #openRun(unique: string, atUs: number): Run | undefined {
    for (
      let run = this.#runsByEnd.first;
      run !== undefined && run.endUs <= atUs;
      run = this.#runsByEnd.first
    ) {
      this.#runsByEnd.pop();
      if (this.#open.get(run.unique) === run) this.#open.delete(run.unique);
    }
    return this.#open.get(unique);
  }

  /** @returns When a run that is asked for now begins. */
  #occupy(atUs: number, durationUs: number): number {
    const busy = this.#busyUntilUs;
    for (let endUs = busy.first; endUs !== undefined && endUs <= atUs; endUs = busy.first) busy.pop();
    const beginUs = busy.size < this.#workers ? atUs : busy.pop()!;
    const endUs = beginUs + durationUs;
    // A run without duration keeps no worker from anything, unless it waited for one.
    if (endUs > atUs) busy.push(endUs);
    if (durationUs > 0) this.#peak = Math.max(this.#peak, busy.size);
    this.#runs++;
    this.#workUs += durationUs;
    this.#endUs = Math.max(this.#endUs, endUs);
    return beginUs;
  }
}
