/**
 * Bytes and text on the wire. Names on the wire are bytes; inside Drover they are *byte strings*:
 * JavaScript strings in which every character is one byte (latin1). That is lossless for any bytes, compact,
 * and usable as a map key. UTF-8 enters and leaves only at the libraries' public functions.
 */

interface NodeBuffer {
  latin1Slice(start: number, end: number): string;
  copy(target: Uint8Array, targetStart: number, start: number, end: number): number;
}

const SHORT = 16;

/** The byte string of `bytes[start, end)`. Uses Node's native slicing where the bytes are a Node `Buffer`. */
export function byteString(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start > SHORT && "latin1Slice" in bytes) {
    return (bytes as unknown as NodeBuffer).latin1Slice(start, end);
  }
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** Writes a byte string at `offset` and returns the offset after it. */
export function writeByteString(target: Uint8Array, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) target[offset + i] = text.charCodeAt(i);
  return offset + text.length;
}

/** A new array with the bytes of a byte string. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  writeByteString(bytes, 0, text);
  return bytes;
}

// Part of every JavaScript runtime, yet of no ECMAScript library, and this package compiles without any other.
declare class TextEncoder {
  encode(text: string): Uint8Array;
}
declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The byte string of a text in UTF-8: what a person's string becomes on the wire. */
export function byteStringOfText(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return byteString(encoder.encode(text));
  }
  return text;
}

/** The text of a byte string that holds UTF-8; bytes that are no UTF-8 become U+FFFD. */
export function textOfByteString(bytes: string): string {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes.charCodeAt(i) > 0x7f) return decoder.decode(bytesOf(bytes));
  }
  return bytes;
}

/**
 * Copies `source[start, end)` to `target` at `offset` and returns the offset after it.
 * By hand for a few bytes, else by Node's copying where there is a Node `Buffer`, since `set` needs a view.
 */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  if (end - start <= SHORT) {
    for (let i = start, o = offset; i < end; i++, o++) target[o] = source[i]!;
  } else if ("copy" in source) {
    (source as unknown as NodeBuffer).copy(target, offset, start, end);
  } else {
    target.set(new Uint8Array(source.buffer, source.byteOffset + start, end - start), offset);
  }
  return offset + (end - start);
}

/** Index of the first NUL in `bytes[start, end)`, or -1. */
export function indexOfNul(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0) return i;
  return -1;
}

/**
 * Makes what a peer named safe for a person's screen: control, high-bit and backslash bytes become `\xNN`,
 * so that no name can move a cursor, forge a line or pass for another name.
 * @param maxLength Longest result; a longer one is cut and ends in `…`. Default: no limit.
 */
export function printable(bytes: string | Uint8Array, maxLength = Number.POSITIVE_INFINITY): string {
  const length = bytes.length;
  let text = "";
  for (let i = 0; i < length; i++) {
    const code = typeof bytes === "string" ? bytes.charCodeAt(i) : bytes[i]!;
    const shown = code < 0x20 || code > 0x7e || code === 0x5c ? escaped(code) : String.fromCharCode(code);
    if (text.length + shown.length > maxLength) return `${text}…`;
    text += shown;
  }
  return text;
}

function escaped(code: number): string {
  const digits = code.toString(16);
  return code > 0xff ? `\\u${digits.padStart(4, "0")}` : `\\x${digits.padStart(2, "0")}`;
}
