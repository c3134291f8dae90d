import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "../src/core/value.ts";

const time = fc.integer({ min: 0, max: 4_102_444_800_000 });
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  asOfMs: time,
  freshUntilMs: time,
  serveUntilMs: time,
  version: time,
  tookMs: fc.integer({ min: 0, max: 1_000_000 }),
  value: fc.option(fc.uint8Array({ maxLength: 100 }), { nil: undefined }),
  failure: fc.option(fc.record({ untilMs: time, text: fc.string({ maxLength: 100 }) }), { nil: undefined }),
});

describe("the envelope of a value", () => {
  it("is decoded as it was encoded", () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
      }),
    );
  });

  it("is a miss when it is cut or has bytes too many", () => {
    fc.assert(
      fc.property(
        envelopes,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 9 }),
        (envelope, cut, more) => {
          const bytes = encodeEnvelope(envelope);
          expect(decodeEnvelope(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
          expect(decodeEnvelope(Buffer.concat([bytes, more]))).toBeUndefined();
        },
      ),
    );
  });

  it("is a miss, and never an error, whatever the bytes are", () => {
    fc.assert(
      fc.property(envelopes, fc.nat(), fc.nat(255), (envelope, at, byte) => {
        const bytes = encodeEnvelope(envelope);
        bytes[at % bytes.length] = byte;
        decodeEnvelope(bytes);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeEnvelope(bytes) === undefined));
  });

  it("cuts the text of an error at its limit", () => {
    const failure = { untilMs: 1, text: "x".repeat(2_000) };
    const bytes = encodeEnvelope({
      asOfMs: 0,
      freshUntilMs: 0,
      serveUntilMs: 0,
      version: 0,
      tookMs: 0,
      value: undefined,
      failure,
    });
    expect(decodeEnvelope(bytes)!.failure!.text).toHaveLength(1_000);
  });
});
