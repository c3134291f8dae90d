import { copyBytes } from "@drover/protocol";

/** First page of an outbox: most connections get a few small packets in a turn. */
const SMALL_PAGE_BYTES = 2048;
/** Every further page. */
const LARGE_PAGE_BYTES = 32 * 1024;
/** From this size on bytes are passed on by reference instead of being copied. */
export const SHARE_BYTES = 1024;
/** Pages kept for reuse, per size. */
const POOLED_PAGES = 512;

/** Pages that outboxes borrow while they hold bytes, so that an idle connection owns none. */
export class PagePool {
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];

  take(large: boolean): Uint8Array {
    if (large) return this.#large.pop() ?? new Uint8Array(LARGE_PAGE_BYTES);
    return this.#small.pop() ?? new Uint8Array(SMALL_PAGE_BYTES);
  }

  give(page: Uint8Array): void {
    if (page.length === SMALL_PAGE_BYTES) {
      if (this.#small.length < POOLED_PAGES) this.#small.push(page);
    } else if (page.length === LARGE_PAGE_BYTES && this.#large.length < POOLED_PAGES) {
      this.#large.push(page);
    }
  }
}

const NO_PAGE = new Uint8Array(0);

/**
 * The bytes a connection is to get at the end of this turn. Small writes go into borrowed pages, large ones are
 * kept by reference, so one report to a thousand submitters is one array.
 */
export class Outbox {
  /** Bytes held. */
  bytes = 0;
  /** Where `reserve` made room. */
  page: Uint8Array = NO_PAGE;

  readonly #pool: PagePool;
  #used = 0;
  /** Start in `page` of what is not in `#chunks` yet. */
  #from = 0;
  #chunks: Uint8Array[] = [];
  #borrowed: Uint8Array[] = [];

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** Makes room for `length` bytes in `page` and returns their offset there. The caller writes all of them. */
  reserve(length: number): number {
    if (this.page.length - this.#used < length) this.#turnPage(length);
    const offset = this.#used;
    this.#used += length;
    this.bytes += length;
    return offset;
  }

  /** Adds `source[start, end)`; a large piece is not copied, so the caller must not change it any more. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    const length = end - start;
    if (length < SHARE_BYTES) {
      const offset = this.reserve(length);
      copyBytes(source, start, end, this.page, offset);
      return;
    }
    this.#seal();
    this.#chunks.push(start === 0 && end === source.length ? source : source.subarray(start, end));
    this.bytes += length;
  }

  /** Hands out all bytes, in order. Until `recycle` or `abandon` nothing may be added. */
  take(): readonly Uint8Array[] {
    this.#seal();
    this.bytes = 0;
    return this.#chunks;
  }

  /** What `take` gave has been sent: its pages go back to the pool. */
  recycle(): void {
    for (const page of this.#borrowed) this.#pool.give(page);
    this.abandon();
  }

  /** What `take` gave is still needed by somebody: its pages are theirs. */
  abandon(): void {
    this.page = NO_PAGE;
    this.#used = 0;
    this.#from = 0;
    if (this.#chunks.length > 0) this.#chunks = [];
    if (this.#borrowed.length > 0) this.#borrowed = [];
  }

  #seal(): void {
    if (this.#used > this.#from) {
      this.#chunks.push(this.page.subarray(this.#from, this.#used));
      this.#from = this.#used;
    }
  }

  #turnPage(length: number): void {
    this.#seal();
    const large = this.#borrowed.length > 0 || length > SMALL_PAGE_BYTES;
    if (length > LARGE_PAGE_BYTES) {
      this.page = new Uint8Array(length);
    } else {
      this.page = this.#pool.take(large);
      this.#borrowed.push(this.page);
    }
    this.#used = 0;
    this.#from = 0;
  }
}
