import { HEADER_BYTES, type Magic, REQ, RES, readUint32 } from "./packet.ts";
import { byteString } from "./text.ts";

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
   * From this size on, a packet that came in several chunks is handed out in pieces instead of being joined: `more`
   * then holds what follows `bytes`. For those who pass large bodies on. Default: never.
   */
  readonly pieceBytes?: number;
}

const NOTHING = new Uint8Array(0);
const NO_PIECES: readonly Uint8Array[] = [];

/** Bytes of a packet in pieces that are in its first piece at least, so that short arguments need no joining. */
const FIRST_PIECE_BYTES = 2048;

/**
 * Chunks in, packets and text lines out, wherever the chunks are cut. The first byte of each message decides:
 * NUL begins a packet, anything else a line. A found packet is described by the fields of the stream instead of an
 * object, since this is the hottest loop of the server. Nothing is allocated by a declared size: the parts of an
 * unfinished packet are kept as they came and joined once, when the last one is there.
 *
 * @example
 * stream.push(chunk);
 * for (let found = stream.next(); found !== Found.MORE; found = stream.next()) { … }
 */
export class PacketStream {
  magic: Magic = REQ;
  type = 0;
  /** Holds the found packet's body at `[start, end)`. Set anew by `next`; the bytes themselves are never overwritten. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** What of the body follows `bytes`, when the packet is handed out in pieces. */
  more: readonly Uint8Array[] = NO_PIECES;
  /** The found line as a byte string, without its line end. */
  line = "";
  /** Whether the found line ended in CR LF rather than LF. */
  crlf = false;
  /** Body size that the last header seen declares. */
  declaredBytes = 0;

  readonly #limits: StreamLimits;
  #offset = 0;
  /** Parts of an unfinished message, in order; joined when whole. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  /** Bytes the unfinished message needs in all; 0 while unknown. */
  #needed = 0;
  /** What of the current chunk lies behind the message that was completed by its front. */
  #rest: Uint8Array | undefined;
  /** `bytes` and `more` hold exactly one packet, which `next` is to find. */
  #inPieces = false;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Bytes of the unfinished message at the end of the stream. Exact after `next` gave `MORE`. */
  get unfinishedBytes(): number {
    return this.#partBytes;
  }

  /** Adds bytes. To be called only after `next` gave `MORE`. The stream keeps views of the chunk. */
  push(chunk: Uint8Array): void {
    if (this.#partBytes === 0) {
      this.bytes = chunk;
      this.#offset = 0;
      return;
    }
    this.#resume(chunk);
  }

  /** Makes a packet in pieces whole: all of its body is in `bytes` then. */
  join(): void {
    if (this.more.length === 0) return;
    this.bytes = joined([this.bytes.subarray(this.start, this.end), ...this.more]);
    this.start = 0;
    this.end = this.bytes.length;
    this.#offset = this.end;
    this.more = NO_PIECES;
  }

  /** Finds the next message. */
  next(): Found {
    for (;;) {
      if (this.#partBytes > 0) return Found.MORE;
      const found = this.#scan();
      if (found !== Found.MORE) return found;
      if (this.#rest === undefined) return Found.MORE;
      this.bytes = this.#rest;
      this.#rest = undefined;
      this.#offset = 0;
      if (this.#partBytes > 0) this.#resume(this.bytes);
    }
  }

  /** Looks at the front of `bytes` from `#offset`; keeps what is unfinished as parts. */
  #scan(): Found {
    if (this.#inPieces) {
      this.#inPieces = false;
      this.magic = readUint32(this.bytes, 0) as Magic;
      this.type = readUint32(this.bytes, 4);
      this.start = HEADER_BYTES;
      this.end = this.bytes.length;
      this.#offset = this.end;
      return Found.PACKET;
    }
    if (this.more.length > 0) this.more = NO_PIECES;
    const bytes = this.bytes;
    const offset = this.#offset;
    const have = bytes.length - offset;
    if (have === 0) return this.#keep(0);
    if (bytes[offset] !== 0) return this.#scanLine(bytes, offset);
    if (have < HEADER_BYTES) {
      return badMagicPrefix(bytes, offset, have) ? Found.BAD_MAGIC : this.#keep(HEADER_BYTES);
    }
    const magic = readUint32(bytes, offset);
    if (magic !== REQ && magic !== RES) return Found.BAD_MAGIC;
    const size = readUint32(bytes, offset + 8);
    this.magic = magic;
    this.type = readUint32(bytes, offset + 4);
    this.declaredBytes = size;
    if (size > this.#limits.maxBodyBytes) return Found.BODY_TOO_LARGE;
    const total = HEADER_BYTES + size;
    if (have < total) return this.#keep(total);
    this.start = offset + HEADER_BYTES;
    this.end = offset + total;
    this.#offset = this.end;
    return Found.PACKET;
  }

  #scanLine(bytes: Uint8Array, offset: number): Found {
    const limit = Math.min(bytes.length, offset + this.#limits.maxLineBytes + 2);
    let stop = offset;
    while (stop < limit && bytes[stop] !== 0x0a) stop++;
    const crlf = stop > offset && bytes[stop - 1] === 0x0d;
    // A CR counts as part of the end, also while the LF behind it is still to come.
    const textEnd = crlf ? stop - 1 : stop;
    if (textEnd - offset > this.#limits.maxLineBytes) return Found.LINE_TOO_LONG;
    if (stop === limit) return this.#keep(0);
    this.crlf = crlf;
    this.line = byteString(bytes, offset, textEnd);
    this.#offset = stop + 1;
    return Found.LINE;
  }

  /** Keeps the unfinished front as the first part. A short one is copied, so as not to hold a large chunk. */
  #keep(needed: number): Found {
    const left = this.bytes.length - this.#offset;
    this.#needed = needed;
    if (left > 0) {
      const view = this.bytes.subarray(this.#offset);
      this.#parts.push(left * 2 < this.bytes.length ? new Uint8Array(view) : view);
      this.#partBytes = left;
    }
    this.bytes = NOTHING;
    this.#offset = 0;
    return Found.MORE;
  }

  /** Goes on with an unfinished message: takes only as much of `chunk` as it needs, then joins the parts. */
  #resume(chunk: Uint8Array): void {
    const isPacket = this.#parts[0]![0] === 0;
    // A line's length is unknown, but bounded: take what may still belong to it. A header is completed first.
    const take = isPacket
      ? this.#needed - this.#partBytes
      : Math.max(1, this.#limits.maxLineBytes + 2 - this.#partBytes);
    // A header is looked at byte by byte, so that a bad magic is refused as early as when it comes whole.
    if (isPacket && chunk.length < take && this.#needed > HEADER_BYTES) {
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      return;
    }
    const front = chunk.length <= take ? chunk : chunk.subarray(0, take);
    const parts = this.#parts;
    this.#parts = [];
    if (isPacket && this.#needed >= (this.#limits.pieceBytes ?? Number.POSITIVE_INFINITY)) {
      // A short last piece is copied, so as not to hold a large chunk.
      parts.push(front.length * 2 < chunk.length ? new Uint8Array(front) : front);
      this.#layOutPieces(parts);
    } else {
      parts.push(front);
      this.bytes = joined(parts);
    }
    this.#partBytes = 0;
    this.#offset = 0;
    if (front.length < chunk.length) this.#rest = chunk.subarray(front.length);
  }

  /** Hands out the parts of a whole packet as they are, but for a first piece that is too short for the arguments. */
  #layOutPieces(parts: Uint8Array[]): void {
    const first: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < FIRST_PIECE_BYTES && parts.length > 0) {
      const part = parts.shift()!;
      const taken = first.length === 0 ? part : part.subarray(0, FIRST_PIECE_BYTES - bytes);
      first.push(taken);
      bytes += taken.length;
      if (taken.length < part.length) parts.unshift(part.subarray(taken.length));
    }
    this.bytes = first.length === 1 ? first[0]! : joined(first);
    this.more = parts;
    this.#inPieces = true;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function badMagicPrefix(bytes: Uint8Array, offset: number, have: number): boolean {
  const expected = [0x00, 0x52, 0x45];
  for (let i = 0; i < have && i < 3; i++) if (bytes[offset + i] !== expected[i]) return true;
  return have >= 4 && bytes[offset + 3] !== 0x51 && bytes[offset + 3] !== 0x53;
}
