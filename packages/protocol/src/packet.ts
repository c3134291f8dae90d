import { ProtocolError } from "./errors.ts";
import { packetDefinition, packetName } from "./packets.ts";
import { byteString, copyBytes, indexOfNul, writeByteString } from "./text.ts";

/*
 *  0        4        8        12
 *  +--------+--------+--------+----------------------------- - -
 *  | magic  | type   | size   | arg NUL arg NUL … last arg or data
 *  +--------+--------+--------+----------------------------- - -
 *    "\0REQ"  u32 BE   u32 BE: bytes after the header
 *    "\0RES"
 */

/** Bytes before the body of every packet. */
export const HEADER_BYTES = 12;
/** `\0REQ`: to the server. */
export const REQ = 0x00524551;
/** `\0RES`: from the server. */
export const RES = 0x00524553;

export type Magic = typeof REQ | typeof RES;

/** A decoded packet. Names are byte strings; `data` is a view into the bytes it was read from. */
export interface Packet {
  readonly magic: Magic;
  readonly type: number;
  readonly args: readonly string[];
  readonly data: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** Writes a header at `offset` and returns the offset after it. */
export function writeHeader(
  target: Uint8Array,
  offset: number,
  magic: Magic,
  type: number,
  size: number,
): number {
  writeUint32(target, offset, magic);
  writeUint32(target, offset + 4, type);
  writeUint32(target, offset + 8, size);
  return offset + HEADER_BYTES;
}

/** Writes an unsigned 32-bit number, most significant byte first. */
export function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

/** Reads an unsigned 32-bit number, most significant byte first. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

/**
 * Encodes one packet. Arguments are separated by NUL as the packet table says; where the packet has an opaque
 * field, the last argument is ended by NUL too, even when `data` is empty.
 * @param args Byte strings, one for each argument of the table.
 * @throws ProtocolError `NUL_IN_ARGUMENT` when an argument holds a NUL, `MALFORMED_PACKET` when their number is off.
 */
export function encodePacket(
  magic: Magic,
  type: number,
  args: readonly string[] = [],
  data: Uint8Array = NOTHING,
): Uint8Array<ArrayBuffer> {
  const definition = packetDefinition(type);
  if (definition === undefined || definition.args.length !== args.length) {
    throw new ProtocolError("MALFORMED_PACKET", `${packetName(type)} does not take ${args.length} arguments`);
  }
  let size = data.length;
  for (const arg of args) {
    if (arg.includes("\0"))
      throw new ProtocolError("NUL_IN_ARGUMENT", `${packetName(type)} cannot carry a NUL`);
    size += arg.length;
  }
  size += definition.data === undefined ? Math.max(0, args.length - 1) : args.length;
  const bytes = new Uint8Array(HEADER_BYTES + size);
  let offset = writeHeader(bytes, 0, magic, type, size);
  for (let i = 0; i < args.length; i++) {
    offset = writeByteString(bytes, offset, args[i]!);
    if (i < args.length - 1 || definition.data !== undefined) bytes[offset++] = 0;
  }
  copyBytes(data, 0, data.length, bytes, offset);
  return bytes;
}

/**
 * Splits a body into the arguments and the opaque field that the packet table names. The NUL after the last argument
 * may be there or not, whatever the table says: peers in the field send both forms.
 * @throws ProtocolError `MALFORMED_PACKET` when arguments are missing.
 */
export function decodeBody(
  magic: Magic,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): Packet {
  const definition = packetDefinition(type);
  if (definition === undefined) throw new ProtocolError("UNEXPECTED_PACKET", packetName(type));
  const args: string[] = [];
  const count = definition.args.length;
  let offset = start;
  for (let i = 0; i < count; i++) {
    let stop = indexOfNul(bytes, offset, end);
    if (stop < 0) {
      if (i < count - 1) {
        throw new ProtocolError(
          "MALFORMED_PACKET",
          `${definition.name} ends before its argument ${definition.args[i]}`,
        );
      }
      stop = end;
    }
    args.push(byteString(bytes, offset, stop));
    offset = Math.min(end, stop + 1);
  }
  const data = definition.data === undefined ? NOTHING : bytes.subarray(offset, end);
  return { magic, type, args, data };
}
