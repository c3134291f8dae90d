import { byteString, byteStringOfText } from "@drover/protocol";
import { encodeText } from "#platform";
import { InvalidArgument } from "./errors.ts";

/** Text, meaning its UTF-8, or bytes as they are. */
export type BytesLike = string | Uint8Array;

/** The bytes of a workload, result or chunk. */
export function toBytes(value: BytesLike): Uint8Array {
  return typeof value === "string" ? encodeText(value) : value;
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
