import { copyBytes } from "@drover/protocol";

const SLAB_BYTES = 64 * 1024;

/**
 * Where workloads live while their job does. Small ones are copied together into slabs: a view of the chunk they
 * were read from would keep all of it alive, and an array of their own would cost more than they hold. A slab is
 * freed by the garbage collector with its last job.
 */
export class WorkloadStore {
  /** Array and range that `keep` chose. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  #slab: Uint8Array = new Uint8Array(0);
  #used = 0;

  /** Keeps `source[start, end)`: sets `bytes`, `start` and `end` to where it is kept. */
  keep(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length * 2 >= source.buffer.byteLength) {
      this.bytes = source;
      this.start = start;
      this.end = end;
      return;
    }
    if (length > SLAB_BYTES / 4) {
      this.bytes = new Uint8Array(length);
      this.start = 0;
    } else {
      if (this.#slab.length - this.#used < length) {
        this.#slab = new Uint8Array(SLAB_BYTES);
        this.#used = 0;
      }
      this.bytes = this.#slab;
      this.start = this.#used;
      this.#used += length;
    }
    this.end = copyBytes(source, start, end, this.bytes, this.start);
  }
}
