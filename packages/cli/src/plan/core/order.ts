import { Heap } from "./heap.ts";

/** One request of a log. It is under way from `atUs` until just before `atUs + durationUs`. */
export interface Request {
  readonly unique: string;
  /** Microseconds since 1970. */
  readonly atUs: number;
  readonly durationUs: number;
}

interface Held {
  readonly request: Request;
  readonly number: number;
}

/**
 * Puts requests that are nearly in the order of their beginnings into that order; equal ones keep theirs. It holds
 * those that began within the tolerance before the newest.
 */
export class Order {
  readonly #toleranceUs: number;
  readonly #emit: (request: Request) => void;
  readonly #held = new Heap<Held>(
    (a, b) => a.request.atUs < b.request.atUs || (a.request.atUs === b.request.atUs && a.number < b.number),
  );
  #newestUs = Number.NEGATIVE_INFINITY;
  #emittedUs = Number.NEGATIVE_INFINITY;
  #number = 0;

  /** @param toleranceUs `Infinity` holds everything until the end. */
  constructor(toleranceUs: number, emit: (request: Request) => void) {
    this.#toleranceUs = toleranceUs;
    this.#emit = emit;
  }

  get size(): number {
    return this.#held.size;
  }

  /** @returns By how much the request comes too late to be put in its place, which it is not then; 0 if it is in time. */
  add(request: Request): number {
    if (request.atUs < this.#emittedUs) return this.#newestUs - request.atUs;
    this.#held.push({ request, number: this.#number++ });
    if (request.atUs > this.#newestUs) this.#newestUs = request.atUs;
    this.#release(this.#newestUs - this.#toleranceUs);
    return 0;
  }

  end(): void {
    this.#release(Number.POSITIVE_INFINITY);
  }

  #release(untilUs: number): void {
    for (let first = this.#held.first; first !== undefined; first = this.#held.first) {
      if (first.request.atUs >= untilUs && untilUs !== Number.POSITIVE_INFINITY) return;
      this.#held.pop();
      this.#emittedUs = first.request.atUs;
      this.#emit(first.request);
    }
  }
}
