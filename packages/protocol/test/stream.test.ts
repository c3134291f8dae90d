import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesOf,
  encodePacket,
  Found,
  PacketStream,
  PacketType,
  REQ,
  RES,
  type StreamLimits,
} from "../src/index.ts";
import { anyPacket, cuts, joined, line, pieces } from "./arbitraries.ts";

const LIMITS: StreamLimits = { maxBodyBytes: 1_000, maxLineBytes: 100 };

type Seen = string;

/**
 * Everything the stream finds, in words. Every chunk is overwritten once the stream asked for more, and owned half way
 * now and then, as a connection that must wait does.
 */
function found(chunks: readonly Uint8Array[], limits: StreamLimits = LIMITS): Seen[] {
  const stream = new PacketStream(limits);
  const seen: Seen[] = [];
  outer: for (const [place, original] of chunks.entries()) {
    const chunk = Uint8Array.from(original);
    stream.push(chunk);
    for (;;) {
      const what = stream.next();
      if (what === Found.MORE) break;
      if (what === Found.PACKET) {
        const { magic, type, bytes, start, end } = stream;
        seen.push(`${magic} ${type} ${Buffer.from(bytes.subarray(start, end)).toString("hex")}`);
        if (place % 3 === 1) {
          stream.own();
          chunk.fill(0xee);
        }
      } else if (what === Found.LINE) {
        seen.push(`${JSON.stringify(stream.line)} ${stream.crlf ? "CRLF" : "LF"}`);
      } else {
        const name = Object.entries(Found).find(([, value]) => value === what)![0];
        seen.push(name);
        break outer;
      }
    }
    chunk.fill(0xee);
  }
  return seen;
}

const message = fc.oneof(
  { weight: 3, arbitrary: anyPacket.map((p) => encodePacket(p.magic, p.type, p.args, p.data)) },
  {
    weight: 1,
    arbitrary: fc.tuple(line, fc.boolean()).map(([text, crlf]) => bytesOf(`${text}${crlf ? "\r\n" : "\n"}`)),
  },
);

const trace = fc.array(message, { maxLength: 8 });

describe("PacketStream", () => {
  it("finds the same in a trace that is whole, in single messages, or cut anywhere", () => {
    fc.assert(
      fc.property(
        trace.chain((messages) => fc.tuple(fc.constant(messages), cuts(joined(messages)))),
        ([messages, chunks]) => {
          const alone = messages.flatMap((one) => found([one]));
          expect(alone).toHaveLength(messages.length);
          expect(found([joined(messages)])).toEqual(alone);
          expect(found(messages)).toEqual(alone);
          expect(found(chunks)).toEqual(alone);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("finds the same wherever one fixed trace is cut once or twice", () => {
    const whole = joined([
      encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], bytesOf("w\0w")),
      bytesOf("status\r\n"),
      encodePacket(REQ, PacketType.GRAB_JOB),
      bytesOf("x\n"),
      encodePacket(RES, PacketType.WORK_COMPLETE, ["H:1"], bytesOf("done")),
    ]);
    const expected = found([whole]);
    expect(expected).toHaveLength(5);
    for (let first = 0; first < whole.length; first++) {
      for (let second = first; second < whole.length; second++) {
        expect(found(pieces(whole, [first, second]))).toEqual(expected);
      }
    }
  });

  it("finds the same when what follows is broken, wherever it is cut", () => {
    const broken = fc.constantFrom(
      bytesOf("\0REX\0\0\0\x01\0\0\0\0"),
      bytesOf("\0XXX"),
      bytesOf("\0R\0\0"),
      bytesOf("\0REQ\0\0\0\x07\0\0\x03\xe9"),
      bytesOf("\0RES\0\0\0\x07\xff\xff\xff\xff"),
      bytesOf("x".repeat(200)),
    );
    fc.assert(
      fc.property(
        fc
          .tuple(trace, broken)
          .chain(([messages, tail]) =>
            fc.tuple(fc.constant([...messages, tail]), cuts(joined([...messages, tail]))),
          ),
        ([messages, chunks]) => {
          const expected = found([joined(messages)]);
          expect(["BAD_MAGIC", "BODY_TOO_LARGE", "LINE_TOO_LONG"]).toContain(expected.at(-1));
          expect(found(chunks)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("finds nothing in what is unfinished, and says how much that is", () => {
    const packet = encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(50));
    for (let length = 1; length < packet.length; length++) {
      const stream = new PacketStream(LIMITS);
      stream.push(packet.subarray(0, length));
      expect(stream.next()).toBe(Found.MORE);
      expect(stream.unfinishedBytes).toBe(length);
      stream.push(packet.subarray(length));
      expect(stream.next()).toBe(Found.PACKET);
      expect(stream.next()).toBe(Found.MORE);
      expect(stream.unfinishedBytes).toBe(0);
    }
  });

  it("takes a body of exactly the limit, and refuses one more from the header alone", () => {
    const limits = { maxBodyBytes: 10, maxLineBytes: 10 };
    const most = encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(10));
    expect(found([most], limits)).toHaveLength(1);
    const over = encodePacket(REQ, PacketType.ECHO_REQ, [], new Uint8Array(11));
    const stream = new PacketStream(limits);
    stream.push(over.subarray(0, 12));
    expect(stream.next()).toBe(Found.BODY_TOO_LARGE);
    expect([stream.type, stream.declaredBytes]).toEqual([PacketType.ECHO_REQ, 11]);
  });

  it("takes a line of exactly the limit with either end, and refuses a longer one", () => {
    const limits = { maxBodyBytes: 10, maxLineBytes: 10 };
    for (const end of ["\n", "\r\n"]) {
      expect(found([bytesOf(`0123456789${end}`)], limits)).toEqual([
        `"0123456789" ${end === "\n" ? "LF" : "CRLF"}`,
      ]);
    }
    for (const text of ["01234567890\n", "012345678901\n", "01234567890\r\n", "0123456789012345"]) {
      const seen = [1, 2, 5, 11, 12, 13, 16].map((size) => {
        const whole = bytesOf(text);
        const places = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => i * size);
        return found(pieces(whole, places), limits).join();
      });
      expect(new Set(seen)).toEqual(new Set(["LINE_TOO_LONG"]));
    }
  });

  it("takes a line longer than a page that comes in small parts", () => {
    const text = "long ".repeat(40_000);
    const whole = bytesOf(`${text}\nshort\n`);
    const places = Array.from({ length: Math.ceil(whole.length / 999) }, (_, i) => i * 999);
    const seen = found(pieces(whole, places), { maxBodyBytes: 10, maxLineBytes: 1_000_000 });
    expect(seen).toEqual([`${JSON.stringify(text)} LF`, '"short" LF']);
  });

  it("gives away a decoded packet's data for good", () => {
    const packet = encodePacket(RES, PacketType.WORK_COMPLETE, ["H:1"], bytesOf("result"));
    for (const at of [0, 5, 20]) {
      const stream = new PacketStream(LIMITS);
      const kept: Uint8Array[] = [];
      for (const piece of [packet.slice(0, at), packet.slice(at), packet.slice(0, at), packet.slice(at)]) {
        if (piece.length === 0) continue;
        stream.push(piece);
        while (stream.next() === Found.PACKET) kept.push(stream.decode().data);
        piece.fill(0xee);
      }
      expect(kept.map((data) => Buffer.from(data).toString())).toEqual(["result", "result"]);
    }
  });

  it("joins a large packet that came in many parts once", () => {
    const body = Uint8Array.from({ length: 5_000_000 }, (_, i) => (i * 7) & 0xff);
    const packet = encodePacket(REQ, PacketType.ECHO_REQ, [], body);
    const stream = new PacketStream({ maxBodyBytes: 8_000_000, maxLineBytes: 100 });
    const bodies: Uint8Array[] = [];
    for (let offset = 0; offset < packet.length; offset += 65_536) {
      stream.push(packet.subarray(offset, offset + 65_536));
      while (stream.next() === Found.PACKET) bodies.push(stream.bytes.subarray(stream.start, stream.end));
    }
    expect(bodies).toHaveLength(1);
    expect(Buffer.from(bodies[0]!).equals(body)).toBe(true);
  });

  it("survives any bytes at all, cut anywhere, alike", () => {
    const some = fc.uint8Array({ maxLength: 200 });
    const nearly = fc
      .tuple(trace, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([messages, changes]) => {
        const whole = joined(messages);
        for (const [place, value] of changes) if (whole.length > 0) whole[place % whole.length] = value;
        return whole;
      });
    fc.assert(
      fc.property(
        fc.oneof(some, nearly).chain((whole) => fc.tuple(fc.constant(whole), cuts(whole))),
        ([whole, chunks]) => {
          expect(found(chunks)).toEqual(found([whole]));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
