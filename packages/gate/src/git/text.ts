const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Code units that stand for the bytes 0x80–0xFF where they are not UTF-8, as Python's `surrogateescape` has them. */
const ESCAPE = 0xdc00;

/**
 * The text of a path or a ref. Git's names are bytes; ones that are not UTF-8 become text of which `bytesOf` makes the same
 * bytes again, also after JSON.
 */
export function textOf(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return escaped(bytes);
  }
}

/** The bytes of which `textOf` made this text. */
export function bytesOf(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  return Buffer.concat(
    [...text].map((character) => {
      const unit = character.charCodeAt(0);
      const isByte = character.length === 1 && unit >= ESCAPE + 0x80 && unit <= ESCAPE + 0xff;
      return isByte ? Buffer.from([unit - ESCAPE]) : Buffer.from(character);
    }),
  );
}

function escaped(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    text +=
      length === 0
        ? String.fromCharCode(ESCAPE + bytes[at]!)
        : strict.decode(bytes.subarray(at, at + length));
    at += length || 1;
  }
  return text;
}

/** Bytes of the character at `at`, or 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    strict.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}
