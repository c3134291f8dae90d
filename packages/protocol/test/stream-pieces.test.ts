import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodePacket, Found, PacketStream, PacketType, REQ } from "../src/index.ts";

const LIMITS = { maxBodyBytes: 1_000_000, maxLineBytes: 100, pieceBytes: 5_000 };

/** Bodies of all packets, and how many pieces each came in. */
function bodies(
  chunks: readonly Uint8Array[],
  join: boolean,
): { body: string; pieces: number; first: number }[] {
  const stream = new PacketStream(LIMITS);
  const seen: { body: string; pieces: number; first: number }[] = [];
  for (const chunk of chunks) {
    stream.push(chunk);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      expect(found).toBe(Found.PACKET);
      if (join) stream.join();
      const { bytes, start, end, more } = stream;
      const body = Buffer.concat([bytes.subarray(start, end), ...more]).toString("latin1");
      seen.push({ body, pieces: 1 + more.length, first: end - start });
    }
  }
  return seen;
}

const packets = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 4_000, max: 20_000 })).map((size) => {
    const data = Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) & 0xff);
    return { data, packet: encodePacket(REQ, PacketType.ECHO_REQ, [], data) };
  }),
  { minLength: 1, maxLength: 6 },
);

describe("PacketStream with pieces", () => {
  it("gives the same bodies in pieces, joined and whole, wherever the trace is cut", () => {
    fc.assert(
      fc.property(packets, fc.array(fc.nat(), { maxLength: 12 }), (all, marks) => {
        const trace = Buffer.concat(all.map(({ packet }) => packet));
        const cutAt = [...new Set(marks.map((mark) => mark % (trace.length + 1)))].sort((a, b) => a - b);
        const chunks = [...cutAt, trace.length].map((at, i, list) =>
          trace.subarray(i === 0 ? 0 : list[i - 1], at),
        );
        const expected = all.map(({ data }) => Buffer.from(data).toString("latin1"));
        expect(bodies(chunks, false).map(({ body }) => body)).toEqual(expected);
        const joinedBodies = bodies(chunks, true);
        expect(joinedBodies.map(({ body }) => body)).toEqual(expected);
        expect(joinedBodies.every(({ pieces }) => pieces === 1)).toBe(true);
      }),
    );
  });

  it("has at least 2 KiB of a packet in its first piece, so that arguments are there", () => {
    const packet = encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(20_000));
    for (const at of [1, 11, 12, 13, 500, 2_047]) {
      const [only] = bodies(
        [packet.subarray(0, at), packet.subarray(at, 9_000), packet.subarray(9_000)],
        false,
      );
      expect(only!.first).toBeGreaterThanOrEqual(2_048 - 12);
      expect(only!.pieces).toBeGreaterThan(1);
    }
  });

  it("joins a packet below the limit as ever", () => {
    const packet = encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(4_000));
    expect(bodies([packet.subarray(0, 3_000), packet.subarray(3_000)], false)[0]!.pieces).toBe(1);
  });
});
