import type { CacheBackend, CacheEntry, Change, GetOptions } from "./backend.ts";
import { BackendError } from "./backend-errors.ts";

export interface MemoryBackendOptions {
  /** Keys and values together, with 100 bytes for each entry; what was not read for longest goes. Default: 64 MiB. */
  readonly maxBytes?: number;
  /** Default: 100,000. */
  readonly maxEntries?: number;
  /** For tests. Default: the monotonic clock. */
  readonly nowMs?: () => number;
}

interface Stored {
  readonly value: Uint8Array;
  readonly endsMs: number;
  readonly bytes: number;
}

const ENTRY_BYTES = 100;

/** Keeps the values of a cache in the process: for tests, development, and one process alone. */
export function memoryBackend(options: MemoryBackendOptions = {}): CacheBackend {
  return new MemoryBackend(options);
}

class MemoryBackend implements CacheBackend {
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #nowMs: () => number;
  /** Who was not read for longest comes first. */
  readonly #stored = new Map<string, Stored>();
  /** Ends of elections; who was elected first comes first. */
  readonly #elections = new Map<string, number>();
  #bytes = 0;
  #closed = false;

  constructor(options: MemoryBackendOptions) {
    this.#maxBytes = options.maxBytes ?? 67_108_864;
    this.#maxEntries = options.maxEntries ?? 100_000;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  async get(keys: readonly string[], options: GetOptions = {}): Promise<readonly CacheEntry[]> {
    this.#check();
    const { electMs } = options;
    return keys.map((key) => ({
      // A copy: what a reader does with it is not stored.
      value: this.#read(key)?.slice(),
      elected: electMs !== undefined && this.#elect(key, electMs),
    }));
  }

  async set(key: string, change: Change): Promise<boolean> {
    this.#check();
    const replacement = change(this.#read(key)?.slice());
    if (replacement === undefined) return false;
    const { value, ttlMs } = replacement;
    const bytes = key.length + value.length + ENTRY_BYTES;
    if (bytes > this.#maxBytes) {
      throw new BackendError(
        "BACKEND_VALUE_TOO_LARGE",
        `an entry has ${bytes} bytes, limit ${this.#maxBytes}`,
      );
    }
    this.#remove(key);
    this.#stored.set(key, { value: value.slice(), endsMs: this.#nowMs() + ttlMs, bytes });
    this.#bytes += bytes;
    this.#elections.delete(key);
    for (const oldest of this.#stored.keys()) {
      if (this.#bytes <= this.#maxBytes && this.#stored.size <= this.#maxEntries) break;
      this.#remove(oldest);
    }
    return true;
  }

  async invalidate(key: string, change: Change): Promise<void> {
    try {
      await this.set(key, change);
    } catch (error) {
      if (!(error instanceof BackendError) || this.#closed) throw error;
      this.#remove(key);
      this.#elections.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stored.clear();
    this.#elections.clear();
    this.#bytes = 0;
  }

  #read(key: string): Uint8Array | undefined {
    const found = this.#stored.get(key);
    if (found === undefined) return undefined;
    if (found.endsMs <= this.#nowMs()) {
      this.#remove(key);
      return undefined;
    }
    this.#stored.delete(key);
    this.#stored.set(key, found);
    return found.value;
  }

  #elect(key: string, electMs: number): boolean {
    const nowMs = this.#nowMs();
    if ((this.#elections.get(key) ?? nowMs) > nowMs) return false;
    this.#elections.delete(key);
    this.#elections.set(key, nowMs + electMs);
    for (const oldest of this.#elections.keys()) {
      if (this.#elections.size <= this.#maxEntries) break;
      this.#elections.delete(oldest);
    }
    return true;
  }

  #remove(key: string): void {
    const found = this.#stored.get(key);
    if (found === undefined) return;
    this.#stored.delete(key);
    this.#bytes -= found.bytes;
  }

  #check(): void {
    if (this.#closed) throw new BackendError("BACKEND_CLOSED", "the backend is closed");
  }
}
