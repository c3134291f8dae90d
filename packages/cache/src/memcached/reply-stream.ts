import { BackendError } from "../backend-errors.ts";

/** One reply of memcached's. */
export interface Reply {
  /** First word of its line: `HD`, `VA`, `EN`, `CLIENT_ERROR`, … */
  readonly status: string;
  /** The other words; of `VA` those behind the size. */
  readonly words: readonly string[];
  /** What `VA` carries; a copy. */
  readonly value: Uint8Array | undefined;
}

export interface ReplyLimits {
  /** Of a value. */
  readonly maxValueBytes: number;
  /** Of a line with its end. */
  readonly maxLineBytes: number;
}

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = new Uint8Array(0);

/** Reads replies from chunks cut anywhere. After it threw, it is of no more use. */
export class ReplyStream {
  readonly #limits: ReplyLimits;
  /** Of a line that is not whole yet. */
  #line: Uint8Array = NOTHING;
  /** The value being read, with its line end, and how much of it is there. */
  #value: Uint8Array | undefined;
  #filled = 0;
  #words: readonly string[] = [];

  constructor(limits: ReplyLimits) {
    this.#limits = limits;
  }

  /**
   * Hands over each reply that is whole.
   * @param take Returns false when it wants no more.
   * @throws BackendError `BACKEND_BROKEN` for what memcached does not say, or says beyond a limit.
   */
  push(chunk: Uint8Array, take: (reply: Reply) => boolean): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#value !== undefined) {
        at = this.#fill(this.#value, chunk, at);
        if (this.#filled < this.#value.length) return;
        if (!take({ status: "VA", words: this.#words, value: this.#takeValue(this.#value) })) return;
        continue;
      }
      const end = chunk.indexOf(LF, at);
      const part = chunk.subarray(at, end < 0 ? chunk.length : end + 1);
      if (this.#line.length + part.length > this.#limits.maxLineBytes) {
        throw broken(`a line is longer than ${this.#limits.maxLineBytes} bytes`);
      }
      if (end < 0) {
        this.#line = joined(this.#line, part);
        return;
      }
      at = end + 1;
      const line = this.#line.length === 0 ? part : joined(this.#line, part);
      this.#line = NOTHING;
      const reply = this.#read(line);
      if (reply !== undefined && !take(reply)) return;
    }
  }

  /** The reply of a line; undefined where a value follows. */
  #read(line: Uint8Array): Reply | undefined {
    if (line.at(-2) !== CR) throw broken("a line does not end with CR LF");
    const words: string[] = [];
    for (const word of textOf(line.subarray(0, -2)).split(" ")) if (word !== "") words.push(word);
    const status = words.shift();
    if (status === undefined) throw broken("a line is empty");
    if (status !== "VA") return { status, words, value: undefined };
    const size = words.shift() ?? "";
    if (!/^\d{1,10}$/.test(size)) throw broken("a value has no size");
    if (Number(size) > this.#limits.maxValueBytes) {
      throw broken(`a value has ${size} bytes: raise maxValueBytes if it is meant`);
    }
    this.#value = new Uint8Array(Number(size) + 2);
    this.#filled = 0;
    this.#words = words;
    return undefined;
  }

  #fill(value: Uint8Array, chunk: Uint8Array, at: number): number {
    const part = chunk.subarray(at, at + value.length - this.#filled);
    value.set(part, this.#filled);
    this.#filled += part.length;
    return at + part.length;
  }

  #takeValue(whole: Uint8Array): Uint8Array {
    if (whole.at(-2) !== CR || whole.at(-1) !== LF) throw broken("a value is longer than its size");
    this.#value = undefined;
    return whole.subarray(0, -2);
  }
}

function broken(why: string): BackendError {
  return new BackendError("BACKEND_BROKEN", `the peer is no memcached, or lost count: ${why}`);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  // A copy in any case: the chunk is only lent.
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** Byte for byte: what a key holds is the caller's. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
