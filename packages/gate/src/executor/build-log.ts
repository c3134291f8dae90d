import { closeSync, openSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { Masker } from "./masking.ts";

/** A piece of a log, cut between characters. */
export interface OutputChunk {
  /** In bytes, from the beginning of the log. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * The log of one execution: a file in UTF-8 whatever the build writes, in which bytes that are no UTF-8 have become U+FFFD.
 * So a reader may begin at any offset that it was told.
 */
export class BuildLog {
  readonly #descriptor: number;
  readonly #onChunk: (chunk: OutputChunk) => unknown;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #masker = new Masker();
  #endsLine = true;
  #bytes = 0;
  /** What the build may still write. */
  #left: number;

  /** @throws when the file cannot be made. */
  constructor(path: string, limitBytes: number, onChunk: (chunk: OutputChunk) => unknown) {
    this.#descriptor = openSync(path, "wx", 0o600);
    this.#left = limitBytes;
    this.#onChunk = onChunk;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Values that are not to be seen in it from now on. */
  hide(values: readonly string[]): void {
    this.#masker.add(values);
  }

  /** A text without the values that are hidden. */
  masked(text: string): string {
    return this.#masker.whole(text);
  }

  /** Lets the build write more than it was to. */
  allow(bytes: number): void {
    this.#left = Math.max(0, this.#left) + bytes;
  }

  /**
   * Output of the build, as much of it as it may write.
   * @returns `accepted`: whether that was all. `taken`: what whoever is told of it makes of it; a promise is to be waited for.
   * @throws when the disk is full.
   */
  output(bytes: Uint8Array): { readonly accepted: boolean; readonly taken: unknown } {
    const accepted = bytes.length <= this.#left;
    const written = accepted ? bytes : bytes.subarray(0, Math.max(0, this.#left));
    const taken = this.#write(this.#masker.push(this.#decoder.decode(written, { stream: true })));
    this.#left -= bytes.length;
    return { accepted, taken };
  }

  /** A line of the executor's own, which begins at the beginning of one. */
  line(text: string): void {
    const rest = this.#masker.push(this.#decoder.decode()) + this.#masker.flush();
    this.#decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const isCut = rest === "" ? !this.#endsLine : !rest.endsWith("\n");
    this.#write(`${rest}${isCut ? "\n" : ""}drover: ${this.#masker.whole(text)}\n`);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #write(text: string): unknown {
    if (text === "") return undefined;
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#endsLine = text.endsWith("\n");
    const offset = this.#bytes;
    this.#bytes += bytes.length;
    return this.#onChunk({ offset, bytes });
  }
}

/**
 * Reads a log from an offset, as far as it is there, cut between characters.
 * @param from An offset that was told before, or 0. One beyond the end gives nothing.
 * @throws when there is no such log.
 */
export async function readLogFile(path: string, from: number, maxBytes: number): Promise<OutputChunk> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(Math.min(maxBytes, Math.max(0, (await file.stat()).size - from)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return { offset: from, bytes: buffer.subarray(0, wholeCharacters(buffer, bytesRead)) };
  } finally {
    await file.close();
  }
}

/** How many of `length` bytes of UTF-8 are whole characters. */
function wholeCharacters(bytes: Uint8Array, length: number): number {
  for (let back = 1; back <= Math.min(4, length); back++) {
    const byte = bytes[length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return needed > back ? length - back : length;
  }
  return length;
}
