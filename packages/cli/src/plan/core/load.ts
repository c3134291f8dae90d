import { Heap } from "./heap.ts";
import { Level, type LevelReport } from "./level.ts";
import type { Request } from "./order.ts";

/** One run, and the requests that shared it. */
export interface Herd {
  readonly unique: string;
  readonly beginUs: number;
  readonly endUs: number;
  /** Requests, the first included. */
  readonly size: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly runs: number;
  readonly beginUs: number;
  readonly endUs: number;
  readonly alone: LevelReport;
  readonly joined: LevelReport;
  /** The largest first, equal ones by their beginning. */
  readonly herds: readonly Herd[];
}

interface Run {
  readonly unique: string;
  readonly beginUs: number;
  readonly endUs: number;
  size: number;
}

/**
 * The concurrent load of requests, by themselves and with joining, if there are always workers enough. A run begins
 * at the first request of a unique that has no run under way and lasts as long as that request; requests of the
 * unique that come before its end join it and add no load. What ends at an instant makes room for what begins at it.
 * Holds what is under way, and nothing of what has ended but the largest herds.
 */
export class Load {
  readonly #maxHerds: number;
  readonly #ends = new Heap<number>((a, b) => a < b);
  readonly #runsByEnd = new Heap<Run>((a, b) => a.endUs < b.endUs);
  readonly #running = new Map<string, Run>();
  readonly #largest: Heap<Run>;
  #alone: Level | undefined;
  #joined: Level | undefined;
  #requests = 0;
  #runs = 0;
  #beginUs = 0;
  #endUs = 0;

  constructor(maxHerds: number) {
    this.#maxHerds = maxHerds;
    this.#largest = new Heap<Run>((a, b) => isLarger(b, a));
  }

  /** Requests come in the order of their beginnings. */
  add(request: Request): void {
    const { unique, atUs, durationUs } = request;
    const endUs = atUs + durationUs;
    if (this.#alone === undefined || this.#joined === undefined) {
      this.#alone = new Level(atUs);
      this.#joined = new Level(atUs);
      this.#beginUs = atUs;
    }
    this.#requests++;
    this.#endUs = Math.max(this.#endUs, endUs);
    this.#advance(atUs, this.#alone, this.#joined);
    this.#alone.change(atUs, 1);
    this.#ends.push(endUs);
    const running = this.#running.get(unique);
    if (running !== undefined && running.endUs > atUs) {
      running.size++;
      return;
    }
    const run = { unique, beginUs: atUs, endUs, size: 1 };
    this.#runs++;
    this.#joined.change(atUs, 1);
    this.#running.set(unique, run);
    this.#runsByEnd.push(run);
  }

  /** Undefined without a request. */
  end(): LoadReport | undefined {
    const alone = this.#alone;
    const joined = this.#joined;
    if (alone === undefined || joined === undefined) return undefined;
    this.#advance(this.#endUs, alone, joined);
    const herds: Herd[] = [];
    for (let run = this.#largest.pop(); run !== undefined; run = this.#largest.pop()) herds.unshift(run);
    return {
      requests: this.#requests,
      runs: this.#runs,
      beginUs: this.#beginUs,
      endUs: this.#endUs,
      alone: alone.report(this.#endUs),
      joined: joined.report(this.#endUs),
      herds,
    };
  }

  #advance(untilUs: number, alone: Level, joined: Level): void {
    for (let endUs = this.#ends.first; endUs !== undefined && endUs <= untilUs; endUs = this.#ends.first) {
      this.#ends.pop();
      alone.change(endUs, -1);
    }
    for (
      let run = this.#runsByEnd.first;
      run !== undefined && run.endUs <= untilUs;
      run = this.#runsByEnd.first
    ) {
      this.#runsByEnd.pop();
      joined.change(run.endUs, -1);
      if (this.#running.get(run.unique) === run) this.#running.delete(run.unique);
      this.#remember(run);
    }
  }

  #remember(run: Run): void {
    if (run.size < 2 || this.#maxHerds === 0) return;
    if (this.#largest.size === this.#maxHerds) {
      if (!isLarger(run, this.#largest.first!)) return;
      this.#largest.pop();
    }
    this.#largest.push(run);
  }
}

function isLarger(a: Run, b: Run): boolean {
  if (a.size !== b.size) return a.size > b.size;
  if (a.beginUs !== b.beginUs) return a.beginUs < b.beginUs;
  return a.unique < b.unique;
}
