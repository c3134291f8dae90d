const LINE_FEED = 10;

/**
 * The lines of a byte stream, as they come, each with its line feed or without. What follows the last line feed is
 * a line as well; no line is too long.
 */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  keepLineFeed: boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  for await (const chunk of stream) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      parts.push(chunk.subarray(start, keepLineFeed ? end + 1 : end));
      yield joined(parts);
      parts = [];
      start = end + 1;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (parts.length > 0) yield joined(parts);
}

/** All bytes of a stream. */
export async function allOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
