import type { BuildId } from "../core/index.ts";

interface Request {
  readonly slots: number;
  rank: number;
  isGranted: boolean;
}

/** The nodes of this machine: so many builds at a time as it has slots, the lowest rank first. */
export class LocalSlots {
  readonly total: number;
  readonly #requests = new Map<BuildId, Request>();
  /** Those of them that are not granted. */
  readonly #waiting = new Map<BuildId, Request>();
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
      const request = { slots: wanted, rank, isGranted: false };
      this.#requests.set(build, request);
      this.#waiting.set(build, request);
    }
    return true;
  }

  /** Counts a build as having its slots, though it never asked: it ran before this process began. */
  adopt(build: BuildId, slots: number): void {
    if (this.#requests.has(build)) return;
    const wanted = Math.min(this.total, Math.max(1, slots));
    this.#requests.set(build, { slots: wanted, rank: 0, isGranted: true });
    this.#used += wanted;
  }

  /** Takes back a request, or its slots. */
  release(build: BuildId): void {
    const request = this.#requests.get(build);
    this.#requests.delete(build);
    this.#waiting.delete(build);
    if (request?.isGranted === true) this.#used -= request.slots;
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
      if (this.#used + request.slots > this.total) break;
      request.isGranted = true;
      this.#waiting.delete(build);
      this.#used += request.slots;
      granted.push(build);
    }
    return granted;
  }
}
