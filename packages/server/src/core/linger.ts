import type { JobFunction } from "./function.ts";

/** The outcome of a finished job, which answers its unique for a while. */
export interface LingeringResult {
  readonly fn: JobFunction;
  readonly key: string;
  readonly number: number;
  /** Encoded packets: data, warnings, the newest status and `WORK_COMPLETE`. */
  readonly packets: readonly Uint8Array[];
  readonly bytes: number;
  readonly endsMs: number;
}

/** Results kept after their job ended (`lingerMs`), within a total size: the oldest goes first. */
export class LingeringResults {
  readonly #byFunction = new Map<JobFunction, Map<string, LingeringResult>>();
  /** All of them, oldest first. */
  readonly #all = new Set<LingeringResult>();
  readonly #byNumber = new Map<number, LingeringResult>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#all.size;
  }

  get(fn: JobFunction, key: string, nowMs: number): LingeringResult | undefined {
    const found = this.#byFunction.get(fn)?.get(key);
    if (found === undefined) return undefined;
    if (found.endsMs > nowMs) return found;
    this.#remove(found);
    return undefined;
  }

  /** The result of a job number. */
  ofNumber(number: number, nowMs: number): LingeringResult | undefined {
    const found = this.#byNumber.get(number);
    return found !== undefined && found.endsMs > nowMs ? found : undefined;
  }

  add(result: LingeringResult): void {
    if (result.bytes > this.#maxBytes) return;
    const old = this.#byFunction.get(result.fn)?.get(result.key);
    if (old !== undefined) this.#remove(old);
    const results = this.#byFunction.get(result.fn) ?? new Map<string, LingeringResult>();
    this.#byFunction.set(result.fn, results);
    results.set(result.key, result);
    this.#all.add(result);
    this.#byNumber.set(result.number, result);
    this.#bytes += result.bytes;
    for (const oldest of this.#all) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  /**
   * Forgets what ended. Times to live differ, so one that lives long may hide an ended one behind it; `get` never
   * answers with that, and the size limit bounds what it holds.
   */
  expire(nowMs: number): void {
    for (const oldest of this.#all) {
      if (oldest.endsMs > nowMs) break;
      this.#remove(oldest);
    }
  }

  #remove(result: LingeringResult): void {
    this.#all.delete(result);
    this.#byNumber.delete(result.number);
    this.#bytes -= result.bytes;
    const results = this.#byFunction.get(result.fn)!;
    results.delete(result.key);
    if (results.size === 0) this.#byFunction.delete(result.fn);
  }
}
