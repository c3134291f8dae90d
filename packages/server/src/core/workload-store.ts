import { copyBytes, PAGE_BYTES, type PagePool, SharedPages } from "@drover/protocol";

/** Larger workloads get memory of their own, so that a page is filled well and soon free again. */
const PACKED_BYTES = PAGE_BYTES / 4;

/** Where a workload is: `[start, end)` of these pages. */
export interface WorkloadPlace {
  workload: SharedPages;
  start: number;
  end: number;
}

/**
 * Where workloads live while their job does: the bytes they were read from are only lent. Small ones are packed
 * together into pages; a page is free again with its last job.
 */
export class WorkloadStore {
  readonly #pool: PagePool;
  #open: SharedPages | null = null;
  #used = 0;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** Keeps a copy of `source[start, end)` and tells `place` where. Whoever has the place releases its pages. */
  keep(source: Uint8Array, start: number, end: number, place: WorkloadPlace): void {
    const length = end - start;
    if (length > PACKED_BYTES) {
      place.workload = this.#pool.copy(source, start, end);
      place.start = 0;
      place.end = length;
      return;
    }
    this.#pack(length, place);
    place.end = copyBytes(source, start, end, place.workload.first, place.start);
  }

  /** Makes room in the open page. */
  #pack(length: number, place: WorkloadPlace): void {
    if (this.#open === null || PAGE_BYTES - this.#used < length) {
      if (this.#open !== null) this.#pool.release(this.#open);
      this.#open = new SharedPages([this.#pool.take()]);
      this.#used = 0;
    }
    this.#open.holders++;
    place.workload = this.#open;
    place.start = this.#used;
    this.#used += length;
  }
}
