import { decodeBody, Found, HEADER_BYTES, type Packet, REQ, RES, readUint32 } from "@drover/protocol";

/**
 * The protocol's `PacketStream` in little, for pages, which have few bytes to read but all of the code to load: it knows
 * packets alone, and borrows no memory.
 */
export class SmallPacketStream {
  magic: typeof REQ | typeof RES = RES;
  type = 0;
  declaredBytes = 0;
  readonly #maxBodyBytes: number;
  /** Unread in `[#start, #end)`. */
  #memory = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #bodyStart = 0;

  constructor({ maxBodyBytes }: { readonly maxBodyBytes: number }) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Adds bytes, which are copied. */
  push(chunk: Uint8Array): void {
    const unread = this.#memory.subarray(this.#start, this.#end);
    if (this.#end + chunk.length > this.#memory.length) {
      // By doubling, so that each byte is moved once in the mean.
      this.#memory = new Uint8Array(Math.max(2 * unread.length, unread.length + chunk.length));
      this.#memory.set(unread);
      this.#start = 0;
      this.#end = unread.length;
    }
    this.#memory.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Finds the next packet. */
  next(): Found {
    const length = this.#end - this.#start;
    if (length < HEADER_BYTES) return Found.MORE;
    const magic = readUint32(this.#memory, this.#start);
    if (magic !== REQ && magic !== RES) return Found.BAD_MAGIC;
    this.magic = magic;
    this.type = readUint32(this.#memory, this.#start + 4);
    this.declaredBytes = readUint32(this.#memory, this.#start + 8);
    if (this.declaredBytes > this.#maxBodyBytes) return Found.BODY_TOO_LARGE;
    if (length < HEADER_BYTES + this.declaredBytes) return Found.MORE;
    this.#bodyStart = this.#start + HEADER_BYTES;
    this.#start = this.#bodyStart + this.declaredBytes;
    return Found.PACKET;
  }

  /** The found packet, whose data is the caller's to keep. @throws ProtocolError `MALFORMED_PACKET` */
  decode(): Packet {
    const packet = decodeBody(this.magic, this.type, this.#memory, this.#bodyStart, this.#start);
    return { ...packet, data: packet.data.slice() };
  }
}
