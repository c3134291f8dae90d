import { byteString, byteStringOfText } from "@drover/protocol";
import { InvalidArgument } from "./errors.ts";

/** Text, meaning its UTF-8, or bytes as they are. */
export type BytesLike = string | Uint8Array;

const encoder = new TextEncoder();

/** The bytes of a workload, result or chunk. */
export function toBytes(value: BytesLike): Uint8Array {
  return typeof value === "string" ? encoder.encode(value) : value;
}

/**
 * A name as it goes on the wire.
 * @throws InvalidArgument when it holds a NUL.
 */
export function toName(value: BytesLike, what: string): string {
  const name = typeof value === "string" ? byteStringOfText(value) : byteString(value);
  if (name.includes("\0")) throw new InvalidArgument(`a ${what} cannot hold a NUL`);
  return name;
}

/** Above this, a view of what arrived is kept; below, a copy, so as not to hold the large chunk that it came in. */
const COPY_BELOW_BYTES = 32_768;

/** Bytes of a packet made fit to be kept. */
export function kept(bytes: Uint8Array): Uint8Array {
  if (bytes.length < COPY_BELOW_BYTES) return new Uint8Array(bytes);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
