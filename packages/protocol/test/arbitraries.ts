import fc from "fast-check";
import { type Magic, PACKETS, type PacketDefinition, REQ, RES } from "../src/index.ts";

/** A packet as its sender knows it, before encoding. */
export interface PlainPacket {
  readonly magic: Magic;
  readonly type: number;
  readonly args: readonly string[];
  readonly data: Uint8Array;
}

/** Byte strings that may stand in an argument: any bytes but NUL. */
export const argument: fc.Arbitrary<string> = fc
  .array(fc.integer({ min: 1, max: 255 }), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes));

/** Any bytes, short ones and some above the sizes at which the codec changes its way of copying. */
export const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 30 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 40, maxLength: 300 }) },
);

/** A well-formed packet of one row of the table. */
export function packetOf(definition: PacketDefinition): fc.Arbitrary<PlainPacket> {
  return fc.record({
    magic: fc.constantFrom<Magic>(REQ, RES),
    type: fc.constant(definition.type),
    args: fc.tuple(...definition.args.map(() => argument)),
    data: definition.data === undefined ? fc.constant(new Uint8Array(0)) : bytes,
  });
}

/** A well-formed packet of any row. */
export const anyPacket: fc.Arbitrary<PlainPacket> = fc.oneof(...PACKETS.map(packetOf));

/** A line of the text protocol, without its end. */
export const line: fc.Arbitrary<string> = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((code) => code !== 0x0a && code !== 0x0d),
    { minLength: 1, maxLength: 30 },
  )
  .map((codes) => String.fromCharCode(...codes));

/** Cuts `whole` at arbitrary places, also at none and into single bytes. */
export function cuts(whole: Uint8Array): fc.Arbitrary<Uint8Array[]> {
  const anywhere = fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 12 });
  return fc
    .oneof(anywhere, fc.constant([...whole.keys()]), fc.constant([]))
    .map((places) => pieces(whole, places));
}

/** `whole` cut at these places. */
export function pieces(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set([...places, whole.length])].sort((a, b) => a - b);
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const to of sorted) {
    // Each piece has memory of its own, so that a view kept of a neighbour cannot help.
    if (to > from) parts.push(whole.slice(from, to));
    from = to;
  }
  return parts;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
