import { decodeBody, HEADER_BYTES, type Magic, type Packet, REQ, RES, readUint32 } from "./packet.ts";
import { PAGE_BYTES, PagePool, SharedPages, SMALL_PAGE_BYTES } from "./pages.ts";
import { byteString, copyBytes } from "./text.ts";

/** What `PacketStream.next` found at the front of the bytes. */
export const Found = {
  /** Nothing whole; push more. */
  MORE: 0,
  /** A packet: see `magic`, `type`, `bytes`, `start`, `end`. */
  PACKET: 1,
  /** A line of the text protocol: see `line`. */
  LINE: 2,
  /** A NUL that does not begin `\0REQ` or `\0RES`. The stream is of no more use. */
  BAD_MAGIC: 3,
  /** The header declares a body above the limit: see `type`, `declaredBytes`. The stream is of no more use. */
  BODY_TOO_LARGE: 4,
  /** No line end within the limit. The stream is of no more use. */
  LINE_TOO_LONG: 5,
} as const;

export type Found = (typeof Found)[keyof typeof Found];

export interface StreamLimits {
  /** Largest body accepted. */
  readonly maxBodyBytes: number;
  /** Longest text line accepted, its end not counted. */
  readonly maxLineBytes: number;
  /**
   * From this size on, a packet that came in several chunks is handed out in `pages`, which can be held instead of
   * copied: for those who pass large bodies on. Default: never.
   */
  readonly shareBytes?: number;
}

const NOTHING = new Uint8Array(0);

/** For streams whose owner has no pool: there are few of them in a process. */
const commonPool = /* @__PURE__ */ new PagePool();

/**
 * Chunks in, packets and text lines out, wherever the chunks are cut. The first byte of each message decides:
 * NUL begins a packet, anything else a line. A found packet is described by the fields of the stream instead of an
 * object, since this is the hottest loop of the server.
 *
 * Chunks are lent: what the fields describe is good until the next `next`, and only what is unfinished is copied.
 * Nothing is allocated by a declared size: an unfinished packet has at most the page that its last byte is in.
 *
 * @example
 * stream.push(chunk);
 * for (let found = stream.next(); found !== Found.MORE; found = stream.next()) { … }
 */
export class PacketStream {
  magic: Magic = REQ;
  type = 0;
  /** Holds the found packet's body at `[start, end)`, or the front of it when it is in `pages`. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** The found packet when it is a large one: `[start, end)` are places in these pages, and `bytes` is the first. */
  pages: SharedPages | null = null;
  /** The found line as a byte string, without its line end. */
  line = "";
  /** Whether the found line ended in CR LF rather than LF. */
  crlf = false;
  /** Body size that the last header seen declares. */
  declaredBytes = 0;

  readonly #limits: StreamLimits;
  readonly #pool: PagePool;
  #chunk: Uint8Array = NOTHING;
  #offset = 0;
  /** The unfinished message: full pages, then the page that is being filled up to `#used`. */
  #full: Uint8Array[] = [];
  #page: Uint8Array = NOTHING;
  #used = 0;
  /** Bytes of the unfinished message so far. */
  #have = 0;
  /** Bytes that the unfinished packet takes in all, as far as it is known: its header first. 0 for a line. */
  #needed = 0;
  /** The page that the found message is in, to be given back. */
  #lent: Uint8Array = NOTHING;
  /** `bytes` is an array of the found packet's own. */
  #owned = false;

  /** @param pool Where unfinished messages borrow memory. Default: one common to all. */
  constructor(limits: StreamLimits, pool: PagePool = commonPool) {
    this.#limits = limits;
    this.#pool = pool;
  }

  /** Bytes of the unfinished message at the end of the stream. Exact after `next` gave `MORE`. */
  get unfinishedBytes(): number {
    return this.#have;
  }

  /** Whether `next` has bytes to look at. */
  get hasUnread(): boolean {
    return this.#offset < this.#chunk.length;
  }

  /** Adds bytes, lent until `next` gives `MORE`. To be called only after `next` gave `MORE`. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** Makes what is unread of the chunk the stream's own, when `next` cannot be called until it gives `MORE`. */
  own(): void {
    this.#chunk = new Uint8Array(this.#chunk.subarray(this.#offset));
    this.#offset = 0;
  }

  /** Finds the next message. */
  next(): Found {
    this.#owned = false;
    if (this.#lent.length > 0) {
      this.#pool.give(this.#lent);
      this.#lent = NOTHING;
    }
    if (this.pages !== null) {
      this.#pool.release(this.pages);
      this.pages = null;
    }
    if (this.#offset === this.#chunk.length) {
      this.#chunk = NOTHING;
      this.#offset = 0;
      this.bytes = NOTHING;
      return Found.MORE;
    }
    return this.#have === 0 ? this.#scan() : this.#resume();
  }

  /** The found packet as an object whose data is the caller's to keep. @throws ProtocolError `MALFORMED_PACKET` */
  decode(): Packet {
    this.join();
    const packet = decodeBody(this.magic, this.type, this.bytes, this.start, this.end);
    return this.#owned ? packet : { ...packet, data: new Uint8Array(packet.data) };
  }

  /** Makes a packet in pages whole: all of its body is in `bytes` then. */
  join(): void {
    const { pages } = this;
    if (pages === null) return;
    this.bytes = pages.copy(this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    this.pages = null;
    this.#owned = true;
    this.#pool.release(pages);
  }

  /** Looks at the front of the chunk. */
  #scan(): Found {
    const bytes = this.#chunk;
    const offset = this.#offset;
    if (bytes[offset] !== 0) return this.#scanLine();
    const have = bytes.length - offset;
    if (have < HEADER_BYTES) {
      if (badMagicPrefix(bytes, offset, have)) return Found.BAD_MAGIC;
      this.#needed = HEADER_BYTES;
      return this.#keep(bytes.length);
    }
    const refusal = this.#readHeader(bytes, offset);
    if (refusal !== Found.MORE) return refusal;
    const total = HEADER_BYTES + this.declaredBytes;
    if (have < total) {
      this.#needed = total;
      return this.#keep(bytes.length);
    }
    this.bytes = bytes;
    this.start = offset + HEADER_BYTES;
    this.end = this.#offset = offset + total;
    return Found.PACKET;
  }

  /** Takes magic, type and size from a header. @returns why it is refused, or `MORE`. */
  #readHeader(bytes: Uint8Array, offset: number): Found {
    const magic = readUint32(bytes, offset);
    if (magic !== REQ && magic !== RES) return Found.BAD_MAGIC;
    this.magic = magic;
    this.type = readUint32(bytes, offset + 4);
    this.declaredBytes = readUint32(bytes, offset + 8);
    return this.declaredBytes > this.#limits.maxBodyBytes ? Found.BODY_TOO_LARGE : Found.MORE;
  }

  #scanLine(): Found {
    const bytes = this.#chunk;
    const offset = this.#offset;
    const limit = Math.min(bytes.length, offset + this.#limits.maxLineBytes + 2);
    const lineFeed = indexOfByte(bytes, 0x0a, offset, limit);
    return this.#endLine(bytes, offset, lineFeed, limit);
  }

  /** The line `bytes[from, lineFeed)`, or what there is of it up to `limit` when its end is not there yet. */
  #endLine(bytes: Uint8Array, from: number, lineFeed: number, limit: number): Found {
    const stop = lineFeed < 0 ? limit : lineFeed;
    const crlf = stop > from && bytes[stop - 1] === 0x0d;
    // A CR counts as part of the end, also while the LF behind it is still to come.
    const textEnd = crlf ? stop - 1 : stop;
    if (textEnd - from > this.#limits.maxLineBytes) return Found.LINE_TOO_LONG;
    if (lineFeed < 0) {
      if (this.#have > 0) return Found.MORE;
      this.#needed = 0;
      return this.#keep(limit);
    }
    this.crlf = crlf;
    this.line = byteString(bytes, from, textEnd);
    if (this.#have === 0) this.#offset = lineFeed + 1;
    return Found.LINE;
  }

  /** Goes on with the unfinished message: takes only as much of the chunk as it needs. */
  #resume(): Found {
    const first = this.#full.length > 0 ? this.#full[0]! : this.#page;
    if (first[0] !== 0) return this.#resumeLine();
    if (this.#have < HEADER_BYTES) {
      this.#fill();
      const page = this.#page;
      // A header is looked at byte by byte, so that a bad magic is refused as early as when it comes whole.
      if (this.#have < HEADER_BYTES) {
        return badMagicPrefix(page, 0, this.#have) ? Found.BAD_MAGIC : Found.MORE;
      }
      const refusal = this.#readHeader(page, 0);
      if (refusal !== Found.MORE) return refusal;
      this.#needed = HEADER_BYTES + this.declaredBytes;
    }
    this.#fill();
    if (this.#have < this.#needed) return Found.MORE;
    return this.#handOut();
  }

  #resumeLine(): Found {
    const before = this.#have;
    const room = Math.max(1, this.#limits.maxLineBytes + 2 - before);
    const limit = Math.min(this.#chunk.length, this.#offset + room);
    const lineFeed = indexOfByte(this.#chunk, 0x0a, this.#offset, limit);
    const taken = (lineFeed < 0 ? limit : lineFeed + 1) - this.#offset;
    this.#append(this.#offset + taken);
    const found = this.#endLine(this.#page, 0, lineFeed < 0 ? -1 : this.#have - 1, this.#have);
    if (found === Found.LINE) this.#dropPage();
    return found;
  }

  /** Takes of the chunk what the unfinished packet needs, as far as that is known. */
  #fill(): void {
    this.#append(this.#offset + Math.min(this.#needed - this.#have, this.#chunk.length - this.#offset));
  }

  /** The unfinished packet is whole. */
  #handOut(): Found {
    this.start = HEADER_BYTES;
    this.end = this.#needed;
    this.#have = 0;
    if (this.#full.length > 0 || this.end >= (this.#limits.shareBytes ?? Number.POSITIVE_INFINITY)) {
      this.pages = new SharedPages([...this.#full, this.#page]);
      this.bytes = this.pages.first;
      this.#full = [];
      this.#page = NOTHING;
      if (this.#limits.shareBytes === undefined) this.join();
    } else {
      this.bytes = this.#page;
      this.#dropPage();
    }
    return Found.PACKET;
  }

  /** The page is given back with the next message. */
  #dropPage(): void {
    this.#lent = this.#page;
    this.#page = NOTHING;
    this.#have = 0;
  }

  /** Keeps the chunk up to `end` as the front of an unfinished message. */
  #keep(end: number): Found {
    this.#append(end);
    return Found.MORE;
  }

  /** Copies the chunk up to `end` behind the unfinished message. */
  #append(end: number): void {
    while (this.#offset < end) {
      const left = end - this.#offset;
      if (this.#used === this.#page.length || this.#have === 0) this.#turnPage(left);
      const length = Math.min(left, this.#page.length - this.#used);
      copyBytes(this.#chunk, this.#offset, this.#offset + length, this.#page, this.#used);
      this.#offset += length;
      this.#used += length;
      this.#have += length;
    }
  }

  /** Takes the next page, for `length` bytes that are here and others to come. */
  #turnPage(length: number): void {
    const before = this.#page;
    if (this.#have === 0) {
      this.#page = length <= SMALL_PAGE_BYTES ? this.#pool.takeSmall() : this.#pool.take();
      this.#used = 0;
    } else if (before.length < PAGE_BYTES || this.#needed === 0) {
      // A line has to be in one piece, so a very long one gets an array of its own.
      this.#page = before.length < PAGE_BYTES ? this.#pool.take() : new Uint8Array(before.length * 2);
      this.#page.set(before);
      this.#pool.give(before);
    } else {
      this.#full.push(this.#page);
      this.#page = this.#pool.takeFor(this.#needed - this.#have);
      this.#used = 0;
    }
  }
}

function badMagicPrefix(bytes: Uint8Array, offset: number, have: number): boolean {
  const expected = [0x00, 0x52, 0x45];
  for (let i = 0; i < have && i < 3; i++) if (bytes[offset + i] !== expected[i]) return true;
  return have >= 4 && bytes[offset + 3] !== 0x51 && bytes[offset + 3] !== 0x53;
}

function indexOfByte(bytes: Uint8Array, byte: number, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === byte) return i;
  return -1;
}
