import type { BuildId } from "../core/index.ts";

interface Request {
  readonly wanted: number;
  rank: number;
  isGranted: boolean;
  /** Slots that are its own. */
  held: number;
  /** What it has together with others. */
  execution: string | null;
}

/** What several builds have has slots once. */
interface Execution {
  held: number;
  readonly builds: Set<BuildId>;
}

/** Ahead of all that ask for the first time. */
const FIRST = -1;

/**
 * The nodes of this machine: so many executions at a time as it has slots, the lowest rank first. A build that has its
 * execution together with others, or a result that is there, needs none of its own.
 */
export class LocalSlots {
  readonly total: number;
  readonly #requests = new Map<BuildId, Request>();
  /** Those of them that are not granted. */
  readonly #waiting = new Map<BuildId, Request>();
  readonly #executions = new Map<string, Execution>();
  readonly #rankOf: (build: BuildId) => number | null;
  #used = 0;

  /** @param rankOf Where a build that waits stands now; `null` when it does not wait any more. */
  constructor(total: number, rankOf: (build: BuildId) => number | null = () => null) {
    this.total = total;
    this.#rankOf = rankOf;
  }

  get used(): number {
    return this.#used;
  }

  /** @returns false when there will never be so many. */
  request(build: BuildId, slots: number, rank: number): boolean {
    const wanted = Math.max(1, slots);
    if (wanted > this.total) return false;
    if (!this.#requests.has(build)) {
      const request: Request = { wanted, rank, isGranted: false, held: 0, execution: null };
      this.#requests.set(build, request);
      this.#waiting.set(build, request);
    }
    return true;
  }

  isWaiting(build: BuildId): boolean {
    return this.#requests.get(build)?.isGranted === false;
  }

  /** A build that waits may begin without slots. @returns false when it does not wait. */
  excuse(build: BuildId): boolean {
    const request = this.#requests.get(build);
    if (request === undefined || request.isGranted) return false;
    request.isGranted = true;
    this.#waiting.delete(build);
    return true;
  }

  /** It may begin, and has no slots. */
  isExcused(build: BuildId): boolean {
    const request = this.#requests.get(build);
    return request?.isGranted === true && request.held === 0 && request.execution === null;
  }

  /** What was excused needs slots now, and is the first in line for them. */
  demand(build: BuildId): void {
    const request = this.#requests.get(build);
    if (request === undefined || !this.isExcused(build)) return;
    request.isGranted = false;
    request.rank = FIRST;
    this.#waiting.set(build, request);
  }

  /** Counts a build as having its slots, though it never asked: it ran before this process began. */
  adopt(build: BuildId, slots: number): void {
    if (this.#requests.has(build)) return;
    const wanted = Math.min(this.total, Math.max(1, slots));
    this.#requests.set(build, { wanted, rank: 0, isGranted: true, held: wanted, execution: null });
    this.#used += wanted;
  }

  /** The slots of a build are those of an execution from now on, which others may have, too. */
  share(build: BuildId, name: string): void {
    const request = this.#requests.get(build);
    if (request === undefined || request.execution !== null) return;
    const execution = this.#executions.get(name) ?? { held: 0, builds: new Set() };
    this.#executions.set(name, execution);
    this.#used -= Math.min(execution.held, request.held);
    execution.held = Math.max(execution.held, request.held);
    execution.builds.add(build);
    request.held = 0;
    request.execution = name;
  }

  /** Takes back a request, or its slots, which are free when nobody has them any more. */
  release(build: BuildId): void {
    const request = this.#requests.get(build);
    if (request === undefined) return;
    this.#requests.delete(build);
    this.#waiting.delete(build);
    this.#used -= request.held;
    const execution = request.execution === null ? undefined : this.#executions.get(request.execution);
    execution?.builds.delete(build);
    if (execution?.builds.size !== 0) return;
    this.#used -= execution.held;
    this.#executions.delete(request.execution!);
  }

  /**
   * Gives away what is free. The first in line is never passed over for a smaller one, which might go on for ever.
   * @returns builds that have their slots now.
   */
  grant(): BuildId[] {
    const granted: BuildId[] = [];
    if (this.#used >= this.total) return granted;
    const waiting = [...this.#waiting];
    for (const [build, request] of waiting) request.rank = this.#rankOf(build) ?? request.rank;
    waiting.sort(([a, { rank: x }], [b, { rank: y }]) => x - y || a - b);
    for (const [build, request] of waiting) {
      if (this.#used + request.wanted > this.total) break;
      request.isGranted = true;
      this.#waiting.delete(build);
      request.held = request.wanted;
      this.#used += request.wanted;
      granted.push(build);
    }
    return granted;
  }
}
