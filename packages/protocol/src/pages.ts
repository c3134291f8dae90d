import { copyBytes } from "./text.ts";

/** A page for a few small packets: what most connections need in a turn. */
export const SMALL_PAGE_BYTES = 2048;
/** A page for what a connection gets in a turn that is more than a small one takes. */
export const MIDDLE_PAGE_BYTES = 8 * 1024;
/** Every other page. */
export const PAGE_BYTES = 64 * 1024;

/** Pages kept for reuse: 8 MiB of small ones, 16 MiB of each of the others. */
const POOLED_SMALL = 4096;
const POOLED_MIDDLE = 2048;
const POOLED = 256;

/**
 * Memory that is borrowed for as long as something is under way: bytes to be sent, an unfinished packet, a workload.
 * Fresh arrays instead would be zeroed and collected for every packet, which costs more than the packet.
 */
export class PagePool {
  readonly #small: Uint8Array[] = [];
  readonly #middle: Uint8Array[] = [];
  readonly #pages: Uint8Array[] = [];
  readonly #allocate: (bytes: number) => Uint8Array;

  /** @param allocate Makes a page. Default: a plain array; Node's sockets would rather have a `Buffer`. */
  constructor(allocate = (bytes: number): Uint8Array => new Uint8Array(bytes)) {
    this.#allocate = allocate;
  }

  takeSmall(): Uint8Array {
    return this.#small.pop() ?? this.#allocate(SMALL_PAGE_BYTES);
  }

  takeMiddle(): Uint8Array {
    return this.#middle.pop() ?? this.#allocate(MIDDLE_PAGE_BYTES);
  }

  take(): Uint8Array {
    return this.#pages.pop() ?? this.#allocate(PAGE_BYTES);
  }

  /** A copy of `source[start, end)` in pages, of which the last is not much larger than what is left for it. */
  copy(source: Uint8Array, start: number, end: number): SharedPages {
    const pages: Uint8Array[] = [];
    for (let from = start; from < end; ) {
      const page = this.takeFor(end - from);
      const to = Math.min(end, from + page.length);
      copyBytes(source, from, to, page, 0);
      pages.push(page);
      from = to;
    }
    return new SharedPages(pages);
  }

  /** A page for `bytes`, of which any that do not fit go to others: not much larger than them. */
  takeFor(bytes: number): Uint8Array {
    if (bytes <= SMALL_PAGE_BYTES) return this.takeSmall();
    return bytes <= PAGE_BYTES / 2 ? this.#allocate(bytes) : this.take();
  }

  /** Takes a page back, which nobody may look at any more. Arrays of other sizes are left to the collector. */
  give(page: Uint8Array): void {
    if (page.length === SMALL_PAGE_BYTES) {
      if (this.#small.length < POOLED_SMALL) this.#small.push(page);
    } else if (page.length === MIDDLE_PAGE_BYTES) {
      if (this.#middle.length < POOLED_MIDDLE) this.#middle.push(page);
    } else if (page.length === PAGE_BYTES && this.#pages.length < POOLED) {
      this.#pages.push(page);
    }
  }

  /** One holder fewer; with the last one the pages come back. A holder who never tells only costs their reuse. */
  release(shared: SharedPages): void {
    shared.holders--;
    if (shared.holders === 0) for (const page of shared.pages) this.give(page);
  }
}

/** Bytes in one or several pages that do not change any more and that several hold: addressed as if they were one array. */
export class SharedPages {
  readonly pages: readonly Uint8Array[];
  /** Those who will each release it once; whoever made it is the first. */
  holders = 1;

  constructor(pages: readonly Uint8Array[]) {
    this.pages = pages;
  }

  /** The first page. */
  get first(): Uint8Array {
    return this.pages[0]!;
  }

  /** The views whose bytes are `[start, end)`, in order. */
  views(start: number, end: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    let base = 0;
    for (const page of this.pages) {
      const from = Math.max(0, start - base);
      const to = Math.min(page.length, end - base);
      if (from < to) views.push(page.subarray(from, to));
      base += page.length;
    }
    return views;
  }

  /** A new array with the bytes `[start, end)`. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(end - start);
    let offset = 0;
    for (const view of this.views(start, end)) {
      bytes.set(view, offset);
      offset += view.length;
    }
    return bytes;
  }
}
