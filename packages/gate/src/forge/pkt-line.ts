/* Git's pkt-line: four hexadecimal digits that say how long a packet is with them, then its bytes; `0000` ends a section. */

export type Packet = Buffer;

const HEADER_BYTES = 4;
const MAX_PACKET_BYTES = 65_520;

export function pkt(content: string | Buffer): Buffer {
  const body = Buffer.from(content as string).subarray(0, MAX_PACKET_BYTES - HEADER_BYTES);
  const length = (body.length + HEADER_BYTES).toString(16).padStart(HEADER_BYTES, "0");
  return Buffer.concat([Buffer.from(length), body]);
}

export const pktFlush: Buffer = Buffer.from("0000");

/** Reads packets of a stream, and a line of text before them. */
export class PktReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #unread: Buffer = Buffer.alloc(0);
  #left: number;

  /** @param maxBytes Of everything that is read. */
  constructor(stream: AsyncIterable<Buffer>, maxBytes: number) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#left = maxBytes;
  }

  /** Up to a newline, without it. @throws Error when there is none within `maxBytes` */
  async line(maxBytes: number): Promise<Buffer> {
    for (;;) {
      const end = this.#unread.indexOf(10);
      if (end >= 0) {
        const line = this.#unread.subarray(0, end);
        this.#unread = this.#unread.subarray(end + 1);
        return line;
      }
      if (this.#unread.length > maxBytes) throw new Error("the line does not end");
      await this.#more();
    }
  }

  /** Packets up to the flush. @throws Error when the stream ends before, or has something else */
  async section(): Promise<Packet[]> {
    const packets: Packet[] = [];
    for (;;) {
      const header = (await this.#take(HEADER_BYTES)).toString("latin1");
      if (header === "0000") return packets;
      const length = Number.parseInt(header, 16);
      if (!/^[0-9a-f]{4}$/i.test(header) || length < HEADER_BYTES) throw new Error("not a pkt-line");
      packets.push(await this.#take(length - HEADER_BYTES));
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#unread.length < bytes) await this.#more();
    const taken = this.#unread.subarray(0, bytes);
    this.#unread = this.#unread.subarray(bytes);
    return taken;
  }

  async #more(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) throw new Error("the stream ended early");
    this.#left -= next.value.length;
    if (this.#left < 0) throw new Error("the stream is too long");
    this.#unread = Buffer.concat([this.#unread, next.value]);
  }
}
