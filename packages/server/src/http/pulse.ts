import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { type FunctionView, FunctionWatch, totals } from "../core/index.ts";
import type { JobServer } from "../job-server.ts";
import { begin, shownText } from "./answers.ts";
import type { Changes, FunctionRow, Sample, Snapshot } from "./api.ts";
import { Problem } from "./problems.ts";

export interface WatchLimits {
  /** Streams of changes at one time. Default: 64. */
  readonly maxWatchers: number;
  /** Functions that they are told of: those known longest. Default: 20,000. */
  readonly maxWatchedFunctions: number;
  /** With more unsent a stream is told nothing until it has read all, and then everything anew. Default: 1 MiB. */
  readonly maxUnsentBytes: number;
}

export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  maxWatchers: 64,
  maxWatchedFunctions: 20_000,
  maxUnsentBytes: 1024 * 1024,
};

/** Between two samples, and two events of a stream. */
const BEAT_MS = 1000;
/** Samples kept: ten minutes. */
const MAX_SAMPLES = 600;
/** Rates are those of so many samples. */
const RATE_SAMPLES = 10;

/** One stream of changes. */
interface Watcher {
  readonly response: ServerResponse;
  /** Read too slowly, and misses changes since. */
  isBehind: boolean;
}

/**
 * Looks at the server once a second: a sample of its totals always, and what has changed of its functions while somebody
 * watches. One look serves all.
 */
export class Pulse {
  readonly startedMs = Date.now();
  readonly #server: JobServer;
  readonly #limits: WatchLimits;
  readonly #samples: Sample[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #timer: NodeJS.Timeout;
  /** Exists while somebody watches. */
  #watch: FunctionWatch | undefined;
  /** What one who comes now is told, until the next beat. */
  #snapshot: string | undefined;

  constructor(server: JobServer, limits: Partial<WatchLimits> = {}) {
    this.#server = server;
    this.#limits = { ...DEFAULT_WATCH_LIMITS, ...limits };
    this.#samples.push(this.#sample());
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  /** Ends all streams. */
  stop(): void {
    clearInterval(this.#timer);
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
    this.#watch = undefined;
  }

  /** Counts of the last ten seconds, for each of them. */
  get rates(): { submissions: number; joins: number; runs: number; completed: number; failed: number } {
    const now = this.#sample();
    const before = this.#samples.at(-RATE_SAMPLES) ?? this.#samples[0]!;
    const seconds = Math.max(1, (now[0] - before[0]) / 1000);
    const rate = (at: 1 | 2 | 3 | 4 | 5) => (now[at] - before[at]) / seconds;
    return { submissions: rate(1), joins: rate(2), runs: rate(3), completed: rate(4), failed: rate(5) };
  }

  /** Answers with a stream of changes. @throws Problem `rate-limited` when there are too many. */
  watch(reply: FastifyReply): void {
    if (this.#watchers.size >= this.#limits.maxWatchers) {
      throw new Problem("rate-limited", `${this.#limits.maxWatchers} streams of changes are open`, {
        retryAfter: 10,
      });
    }
    if (this.#watch === undefined) {
      this.#watch = new FunctionWatch(this.#server.core.state, this.#limits.maxWatchedFunctions);
      this.#watch.look();
      this.#snapshot = undefined;
    }
    const response = begin(reply, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    const watcher = { response, isBehind: false };
    this.#watchers.add(watcher);
    response.once("close", () => this.#watchers.delete(watcher));
    response.write(this.#snapshotEvent());
  }

  #beat(): void {
    const sample = this.#sample();
    this.#samples.push(sample);
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#snapshot = undefined;
    if (this.#server.isStopping) {
      this.stop();
      return;
    }
    if (this.#watchers.size === 0) {
      this.#watch = undefined;
      return;
    }
    const { changed, gone } = this.#watch!.look();
    const changes: Changes = {
      functions: this.#server.core.state.functions.size,
      rows: changed.map(row),
      gone: gone.map(shownText),
      sample,
    };
    const event = `event: changes\ndata: ${JSON.stringify(changes)}\n\n`;
    for (const watcher of this.#watchers) this.#tell(watcher, event);
  }

  #tell(watcher: Watcher, event: string): void {
    const { response } = watcher;
    const unsent = response.writableLength;
    if (watcher.isBehind) {
      if (unsent > 0) return;
      watcher.isBehind = false;
      response.write(this.#snapshotEvent());
    } else if (unsent > this.#limits.maxUnsentBytes) {
      watcher.isBehind = true;
    } else {
      response.write(event);
    }
  }

  #snapshotEvent(): string {
    if (this.#snapshot === undefined) {
      const snapshot: Snapshot = {
        functions: this.#server.core.state.functions.size,
        rows: Array.from(this.#watch!.all, row),
        samples: this.#samples,
      };
      this.#snapshot = `event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`;
    }
    return this.#snapshot;
  }

  #sample(): Sample {
    const now = totals(this.#server.core.state);
    const { submissions, joins, runs, completed, failed, queued, delayed, running } = now;
    return [Date.now(), submissions, joins, runs, completed, failed, queued, delayed, running];
  }
}

function row(view: FunctionView): FunctionRow {
  const { queued, delayed, running, workers, paused } = view;
  const { submissions, joins, runs, completed, failed, lost } = view;
  const levels = [queued, delayed, running, workers, paused ? 1 : 0] as const;
  return [shownText(view.name), ...levels, submissions, joins, runs, completed, failed, lost];
}
