import {
  copyBytes,
  MIDDLE_PAGE_BYTES,
  PAGE_BYTES,
  type PagePool,
  type SharedPages,
  SMALL_PAGE_BYTES,
} from "@drover/protocol";

/**
 * From this size on bytes are passed on by reference instead of being copied. A write of several pieces costs Node as
 * much as copying some ten thousand bytes.
 */
export const SHARE_BYTES = 8 * 1024;

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
  #held: SharedPages[] | null = null;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /**
   * Makes room for `length` bytes in `page` and returns their offset there. The caller writes all of them.
   * @param following Bytes that will be appended behind them, so that one page takes both.
   */
  reserve(length: number, following = 0): number {
    if (this.page.length - this.#used < length + following) this.#turnPage(length + following);
    const offset = this.#used;
    this.#used += length;
    this.bytes += length;
    return offset;
  }

  /** Adds a copy of `source[start, end)`. */
  append(source: Uint8Array, start = 0, end = source.length): void {
    let from = start;
    while (from < end) {
      if (this.page.length === this.#used) this.#turnPage(end - from);
      const to = Math.min(end, from + this.page.length - this.#used);
      this.#used = copyBytes(source, from, to, this.page, this.#used);
      from = to;
    }
    this.bytes += end - start;
  }

  /** Adds an array that nobody changes any more: a large one is not copied. */
  share(bytes: Uint8Array): void {
    if (bytes.length < SHARE_BYTES) this.append(bytes);
    else this.#refer(bytes);
  }

  /** Adds `[start, end)` of pages without copying, and holds them until all has been sent. */
  hold(shared: SharedPages, start: number, end: number): void {
    shared.holders++;
    this.#held ??= [];
    this.#held.push(shared);
    for (const view of shared.views(start, end)) this.#refer(view);
  }

  /** Takes over all bytes of another one, behind its own; that one must not be used any more. */
  absorb(other: Outbox): void {
    this.#seal();
    other.#seal();
    this.#chunks.push(...other.#chunks);
    this.#borrowed.push(...other.#borrowed);
    if (other.#held !== null) {
      this.#held ??= [];
      this.#held.push(...other.#held);
    }
    this.bytes += other.bytes;
    this.page = other.page;
    this.#used = other.#used;
    this.#from = other.#from;
  }

  /** Hands out all bytes, in order. Until `recycle` or `abandon` nothing may be added. */
  take(): readonly Uint8Array[] {
    this.#seal();
    this.bytes = 0;
    return this.#chunks;
  }

  /** What `take` gave has been sent: its pages go back to the pool. */
  recycle(): void {
    // Emptied by pop, which is much quicker than setting the length.
    for (let page = this.#borrowed.pop(); page !== undefined; page = this.#borrowed.pop()) {
      this.#pool.give(page);
    }
    while (this.#chunks.pop() !== undefined);
    if (this.#held !== null) {
      for (const shared of this.#held) this.#pool.release(shared);
      this.#held = null;
    }
    this.#forgetPage();
  }

  /** What `take` gave is still needed by somebody: its pages are theirs, and never come back to the pool. */
  abandon(): void {
    this.#borrowed = [];
    this.#chunks = [];
    this.#held = null;
    this.#forgetPage();
  }

  #forgetPage(): void {
    this.page = NO_PAGE;
    this.#used = 0;
    this.#from = 0;
  }

  #refer(bytes: Uint8Array): void {
    this.#seal();
    this.#chunks.push(bytes);
    this.bytes += bytes.length;
  }

  #seal(): void {
    if (this.#used > this.#from) {
      this.#chunks.push(this.page.subarray(this.#from, this.#used));
      this.#from = this.#used;
    }
  }

  /** Turns to a page with room for `length` bytes. */
  #turnPage(length: number): void {
    if (this.#outgrowSmallPage(length)) return;
    this.#seal();
    if (length > PAGE_BYTES) {
      this.page = new Uint8Array(length);
    } else {
      const first = this.#borrowed.length === 0;
      this.page = first && length <= SMALL_PAGE_BYTES ? this.#pool.takeSmall() : this.#pool.take();
      this.#borrowed.push(this.page);
    }
    this.#used = 0;
    this.#from = 0;
  }

  /** When all there is stands in one small page, it moves to a larger one: so it leaves in one piece, with what follows. */
  #outgrowSmallPage(length: number): boolean {
    const small = this.page;
    const onlyPage = this.#borrowed.length === 1 && this.#chunks.length === 0 && this.#borrowed[0] === small;
    if (!onlyPage || small.length !== SMALL_PAGE_BYTES || this.#used + length > MIDDLE_PAGE_BYTES)
      return false;
    const page = this.#pool.takeMiddle();
    copyBytes(small, 0, this.#used, page, 0);
    this.#pool.give(small);
    this.#borrowed[0] = page;
    this.page = page;
    return true;
  }
}
