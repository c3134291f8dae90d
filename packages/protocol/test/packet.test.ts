import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesOf,
  decodeBody,
  encodePacket,
  HEADER_BYTES,
  PACKETS,
  PacketType,
  packetDefinition,
  packetName,
  REQ,
  RES,
  readUint32,
  writeUint32,
} from "../src/index.ts";
import { packetOf } from "./arbitraries.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("the packet table", () => {
  it("has each number and each name once", () => {
    expect(new Set(PACKETS.map((row) => row.type)).size).toBe(PACKETS.length);
    expect(new Set(PACKETS.map((row) => row.name)).size).toBe(Object.keys(PacketType).length);
    for (const row of PACKETS) expect(PacketType[row.name]).toBe(row.type);
  });

  it("has all 42 of the protocol, and ours far above", () => {
    const numbers = PACKETS.filter((row) => row.extension !== true).map((row) => row.type);
    expect(numbers).toEqual(Array.from({ length: 42 }, (_, i) => i + 1));
    for (const row of PACKETS.filter((row) => row.extension)) expect(row.type).toBeGreaterThan(1000);
  });

  it("names a reply only for requests, and the reply is the server's", () => {
    for (const row of PACKETS.filter((row) => row.reply !== undefined)) {
      expect(row.senders).not.toContain("server");
      expect(packetDefinition(PacketType[row.reply!])!.senders).toContain("server");
    }
  });

  it("knows numbers that nobody uses by their number", () => {
    expect(packetName(77)).toBe("type 77");
    expect(packetDefinition(77)).toBeUndefined();
  });
});

describe("encodePacket", () => {
  // Written out by hand from the protocol's text, so that codec and test cannot be wrong together.
  it.each([
    [
      "a submission",
      REQ,
      7,
      ["reverse", "u1"],
      "test",
      "005245510000000700000" + "00f7265766572736500753100" + "74657374",
    ],
    [
      "its answer, whose last argument has no NUL",
      RES,
      8,
      ["H:h:1"],
      "",
      "00524553000000080000000" + "5483a683a31",
    ],
    ["a packet without a body", REQ, 9, [], "", "005245510000000900000000"],
    ["a status", REQ, 12, ["H", "1", "10"], "", "005245510000000c00000006" + "480031003130"],
    [
      "an empty result, which keeps the handle's NUL",
      REQ,
      13,
      ["H"],
      "",
      "005245510000000d00000002" + "4800",
    ],
    ["a type of two bytes", REQ, 1005, ["H"], "", "00524551000003ed00000001" + "48"],
  ])("writes %s", (_, magic, type, args, data, expected) => {
    expect(hex(encodePacket(magic as typeof REQ, type, args, bytesOf(data)))).toBe(expected);
  });

  it("refuses a NUL in an argument", () => {
    expect(() => encodePacket(REQ, PacketType.CAN_DO, ["a\0b"])).toThrow(
      expect.objectContaining({ code: "NUL_IN_ARGUMENT" }) as Error,
    );
  });

  it("refuses a wrong number of arguments and an unknown type", () => {
    for (const [type, args] of [
      [PacketType.CAN_DO, []],
      [PacketType.CAN_DO, ["a", "b"]],
      [77, []],
    ] as const) {
      expect(() => encodePacket(REQ, type, args)).toThrow(
        expect.objectContaining({ code: "MALFORMED_PACKET" }) as Error,
      );
    }
  });
});

describe("decodeBody", () => {
  for (const definition of PACKETS) {
    it(`gives back what was encoded: ${definition.name}`, () => {
      fc.assert(
        fc.property(packetOf(definition), fc.integer({ min: 0, max: 5 }), (packet, margin) => {
          const encoded = encodePacket(packet.magic, packet.type, packet.args, packet.data);
          expect(readUint32(encoded, 0)).toBe(packet.magic);
          expect(readUint32(encoded, 4)).toBe(packet.type);
          expect(readUint32(encoded, 8)).toBe(encoded.length - HEADER_BYTES);
          const around = new Uint8Array(margin + encoded.length + margin).fill(0xee);
          around.set(encoded, margin);
          const start = margin + HEADER_BYTES;
          const decoded = decodeBody(packet.magic, packet.type, around, start, margin + encoded.length);
          expect({ ...decoded, data: [...decoded.data] }).toEqual({ ...packet, data: [...packet.data] });
        }),
      );
    });
  }

  it("takes the last argument with and without its NUL", () => {
    for (const body of ["H:1", "H:1\0"]) {
      const packet = decodeBody(RES, PacketType.JOB_CREATED, bytesOf(body), 0, body.length);
      expect(packet.args).toEqual(["H:1"]);
    }
    for (const body of ["H:1", "H:1\0"]) {
      const packet = decodeBody(REQ, PacketType.WORK_COMPLETE, bytesOf(body), 0, body.length);
      expect([packet.args, packet.data.length]).toEqual([["H:1"], 0]);
    }
  });

  it("keeps NULs of the opaque field, and shows it as a view, not a copy", () => {
    const body = bytesOf("H\0\0a\0");
    const packet = decodeBody(REQ, PacketType.WORK_DATA, body, 0, body.length);
    expect([...packet.data]).toEqual([0, 0x61, 0]);
    expect(packet.data.buffer).toBe(body.buffer);
  });

  it("refuses a body that ends before an argument, and a type that it does not know", () => {
    const body = bytesOf("function");
    expect(() => decodeBody(REQ, PacketType.SUBMIT_JOB, body, 0, body.length)).toThrow(
      expect.objectContaining({
        code: "MALFORMED_PACKET",
        message: expect.stringContaining("function") as string,
      }) as Error,
    );
    expect(() => decodeBody(REQ, 77, body, 0, 0)).toThrow(
      expect.objectContaining({ code: "UNEXPECTED_PACKET" }) as Error,
    );
  });

  it("decodes any body or refuses it, but never reads beyond its end", () => {
    fc.assert(
      fc.property(fc.constantFrom(...PACKETS), fc.uint8Array({ maxLength: 40 }), (definition, body) => {
        const after = new Uint8Array([...body, ...new Uint8Array(20).fill(0x58)]);
        const decode = (from: Uint8Array) => {
          try {
            const { args, data } = decodeBody(REQ, definition.type, from, 0, body.length);
            return { args, data: [...data] };
          } catch (error) {
            return (error as { code: string }).code;
          }
        };
        const result = decode(after);
        expect(result).toEqual(decode(body));
        if (typeof result !== "string") expect(result.args).toHaveLength(definition.args.length);
      }),
    );
  });
});

describe("unsigned numbers", () => {
  it("come back as they were written, up to the largest", () => {
    const bytes = new Uint8Array(6);
    fc.assert(
      fc.property(fc.oneof(fc.nat(0xff), fc.integer({ min: 0, max: 0xffff_ffff })), (value) => {
        writeUint32(bytes, 1, value);
        expect(readUint32(bytes, 1)).toBe(value);
        expect(Buffer.from(bytes).readUInt32BE(1)).toBe(value);
      }),
    );
  });
});
