import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline, Readable, type Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { UsageError } from "../errors.ts";

/** Longest line of a log, in characters. What is longer comes as `undefined`. */
export const MAX_LINE_CHARACTERS = 65_536;

export type Lines = readonly (string | undefined)[];

/** Bytes of all files together; undefined where one is no file of known size. */
export async function sizeOf(files: readonly string[]): Promise<number | undefined> {
  let bytes = 0;
  for (const file of files) {
    if (file === "-") return undefined;
    const { size, isFile } = await stat(file).then(
      (stats) => ({ size: stats.size, isFile: stats.isFile() }),
      (error: Error) => {
        throw unreadable(file, error);
      },
    );
    if (!isFile) return undefined;
    bytes += size;
  }
  return bytes;
}

/**
 * The lines of a file, some at a time; `-` is standard input. What gzip or zstd packed is unpacked.
 * @param onBytes Told how many bytes were read, before unpacking.
 * @throws UsageError `INPUT_UNREADABLE`.
 */
export async function* linesOfLog(
  file: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Lines, void, undefined> {
  const source: Readable = file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 262_144 });
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let tooLong = false;
  const split = (text: string): Lines => {
    const parts = text.split("\n");
    const lines: (string | undefined)[] = [];
    for (let i = 0; i < parts.length - 1; i++) {
      const line = i === 0 ? rest + parts[0] : parts[i]!;
      const isTooLong = (i === 0 && tooLong) || line.length > MAX_LINE_CHARACTERS;
      lines.push(isTooLong ? undefined : line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (parts.length > 1) {
      rest = "";
      tooLong = false;
    }
    rest += parts.at(-1)!;
    if (rest.length > MAX_LINE_CHARACTERS) {
      rest = "";
      tooLong = true;
    }
    return lines;
  };
  try {
    for await (const chunk of await unpacked(source, onBytes)) yield split(decoder.write(chunk));
    const last = rest + decoder.end();
    if (last !== "" || tooLong) yield split("\n");
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(file, error as Error);
  }
}

/** By their first bytes, since standard input has no name. */
async function unpacked(source: Readable, onBytes: (bytes: number) => void): Promise<AsyncIterable<Buffer>> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const counted = async function* (first: Buffer | undefined): AsyncGenerator<Buffer, void, undefined> {
    let chunk = first;
    while (chunk !== undefined) {
      onBytes(chunk.length);
      yield chunk;
      const { done, value } = await chunks.next();
      chunk = done === true ? undefined : value;
    }
  };
  const { done, value: first } = await chunks.next();
  const all = counted(done === true ? undefined : first);
  const magic = done === true ? "" : first.subarray(0, 4).toString("hex");
  if (magic.startsWith("1f8b")) return unpacking(all, createGunzip());
  if (magic === "28b52ffd") return unpacking(all, createZstdDecompress());
  return all;
}

/** An error of either ends the iteration. */
function unpacking(chunks: AsyncIterable<Buffer>, unpack: Transform): AsyncIterable<Buffer> {
  // The iteration tells of the error as well.
  pipeline(Readable.from(chunks), unpack, () => {});
  return unpack;
}

function unreadable(file: string, error: Error): UsageError {
  const name = file === "-" ? "standard input" : file;
  return new UsageError("INPUT_UNREADABLE", `${name}: ${error.message}`, { cause: error });
}
