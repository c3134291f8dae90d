import { rankServers } from "@drover/client";

/** A handler that was at a unique. Times are on one clock, in milliseconds. */
interface Run {
  readonly server: string;
  readonly fromMs: number;
  untilMs: number;
}

/** From a time on: what a server may be for the others. */
interface Standing {
  readonly atMs: number;
  /** Number of its start. */
  readonly start: number;
  /** `changing`: some believe one thing and some another. */
  readonly state: "up" | "changing" | "down";
}

/** A job may have been made so long before its handler began. */
const SLACK_MS = 1_000;
const FOREVER = Number.POSITIVE_INFINITY;

/**
 * Who ran what and when, against what the servers may have believed of each other:
 *
 * - while all believe the same of a key's owner it has one runner at a time;
 * - else at most one for each start of each server that may have been believed the owner since the oldest of the jobs
 *   was made, which is one more than the ownership changed;
 * - and one also while servers only come back, if the job was there before.
 */
export class Books {
  readonly #names: readonly string[];
  readonly #runs = new Map<string, { fn: string; unique: string; runs: Run[] }>();
  readonly #standings = new Map<string, Standing[]>();
  readonly #killedMs: number[] = [];

  /** @param names Of the servers, which are all up. */
  constructor(names: readonly string[]) {
    this.#names = names;
    for (const name of names) this.#standings.set(name, [{ atMs: 0, start: 1, state: "up" }]);
  }

  /** A handler begins. @returns what to call at its end. */
  began(fn: string, unique: string, server: string): () => void {
    const run: Run = { server, fromMs: performance.now(), untilMs: FOREVER };
    this.#of(fn, unique).runs.push(run);
    return () => {
      run.untilMs = performance.now();
    };
  }

  /** The servers that ran a unique since a time, in order. */
  ranOn(fn: string, unique: string, sinceMs = 0): string[] {
    return this.#of(fn, unique)
      .runs.filter(({ fromMs }) => fromMs >= sinceMs)
      .map(({ server }) => server);
  }

  rank(fn: string, unique: string): string[] {
    const servers = this.#names.map((name) => ({ name, address: "" }));
    return rankServers(servers, fn, unique).map(({ name }) => name);
  }

  get runs(): number {
    let count = 0;
    for (const { runs } of this.#runs.values()) count += runs.length;
    return count;
  }

  /* To be told just before something is done to a server, and when all have noticed. */

  killing(name: string): void {
    this.#killedMs.push(performance.now());
    this.#stands(name, "changing");
  }
  dead(name: string): void {
    this.#stands(name, "down");
  }
  starting(name: string): void {
    this.#stands(name, "changing", 1);
  }
  back(name: string): void {
    this.#stands(name, "up");
  }

  /** What broke the rules. */
  broken(): string[] {
    return [...this.#runs.values()].flatMap(({ fn, unique, runs }) =>
      runs.flatMap((run) => this.#judge(fn, unique, runs, run)),
    );
  }

  #judge(fn: string, unique: string, runs: readonly Run[], { fromMs }: Run): string[] {
    const together = runs.filter((one) => one.fromMs <= fromMs && one.untilMs > fromMs);
    if (together.length === 1) return [];
    const sinceMs = Math.min(...together.map((one) => one.fromMs)) - SLACK_MS;
    const isCalm =
      !this.#killedMs.some((atMs) => atMs > sinceMs && atMs <= fromMs) &&
      this.#owners(fn, unique, sinceMs, sinceMs).size === 1;
    const owners = this.#owners(fn, unique, sinceMs, fromMs);
    const most = isCalm ? 1 : owners.size;
    if (together.length <= most) return [];
    const where = together.map((one) => `${one.server} since ${Math.round(one.fromMs)}`).join(", ");
    return [
      `${fn} ${unique} ran on ${where} at ${Math.round(fromMs)}; ${most} may: ${[...owners].join()} of ${this.rank(fn, unique).join()}`,
    ];
  }

  /** The starts of servers that somebody may have believed the owner of a key within a time. */
  #owners(fn: string, unique: string, fromMs: number, untilMs: number): Set<string> {
    const ranked = this.rank(fn, unique);
    const owners = new Set<string>();
    const within = (atMs: number) => atMs > fromMs && atMs <= untilMs;
    const turns = [...this.#standings.values()].flatMap((all) => all.map(({ atMs }) => atMs)).filter(within);
    for (const atMs of [fromMs, ...turns]) {
      for (const name of ranked) {
        const { state, start } = this.#standings.get(name)!.findLast((one) => one.atMs <= Math.max(0, atMs))!;
        if (state !== "down") owners.add(`${name}#${start}`);
        if (state === "up") break;
      }
    }
    return owners;
  }

  #stands(name: string, state: Standing["state"], starts = 0): void {
    const all = this.#standings.get(name)!;
    all.push({ atMs: performance.now(), start: all.at(-1)!.start + starts, state });
  }

  #of(fn: string, unique: string) {
    const key = `${fn} ${unique}`;
    const known = this.#runs.get(key) ?? { fn, unique, runs: [] };
    this.#runs.set(key, known);
    return known;
  }
}
