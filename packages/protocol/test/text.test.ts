import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  byteString,
  byteStringOfText,
  bytesOf,
  copyBytes,
  decodeOptions,
  encodeOptions,
  indexOfNul,
  ProtocolError,
  printable,
  textOfByteString,
} from "../src/index.ts";
import { argument } from "./arbitraries.ts";

describe("byte strings", () => {
  it("hold any bytes and give them back, of plain arrays and of Buffers", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(5), fc.nat(5), (bytes, skip, leave) => {
        const start = Math.min(skip, bytes.length);
        const end = Math.max(start, bytes.length - leave);
        for (const from of [bytes, Buffer.from(bytes)]) {
          const text = byteString(from, start, end);
          expect(text).toHaveLength(end - start);
          expect([...bytesOf(text)]).toEqual([...bytes.subarray(start, end)]);
        }
      }),
    );
  });

  it("carry any text as UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 30 }), (text) => {
        const bytes = byteStringOfText(text);
        expect(Buffer.from(bytes, "latin1").toString("utf8")).toBe(text);
        expect(textOfByteString(bytes)).toBe(text);
      }),
    );
    expect(textOfByteString("caf\xe9")).toBe("caf\ufffd");
  });
});

describe("copyBytes and indexOfNul", () => {
  it("agree with the built-in ways, below and above the size at which they change", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(120), fc.nat(120), (bytes, a, b) => {
        const start = Math.min(a, b, bytes.length);
        const end = Math.min(Math.max(a, b), bytes.length);
        const target = new Uint8Array(130).fill(0xee);
        expect(copyBytes(bytes, start, end, target, 3)).toBe(3 + end - start);
        const expected = new Uint8Array(130).fill(0xee);
        expected.set(bytes.subarray(start, end), 3);
        expect([...target]).toEqual([...expected]);
        const nul = bytes.subarray(start, end).indexOf(0);
        expect(indexOfNul(bytes, start, end)).toBe(nul < 0 ? -1 : start + nul);
      }),
    );
  });
});

describe("printable", () => {
  it("shows plain text as it is and everything else as an escape", () => {
    expect(printable("resize images/2")).toBe("resize images/2");
    expect(printable("a\nb\x1b[31m\x7f\\")).toBe("a\\x0ab\\x1b[31m\\x7f\\x5c");
    expect(printable(Uint8Array.of(0x61, 0, 0xff))).toBe("a\\x00\\xff");
    expect(printable("\u202e\u{1f600}")).toBe("\\u202e\\ud83d\\ude00");
  });

  it("gives printable ASCII only, and different texts for different bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 20 }), (a, b) => {
        expect(printable(a)).toMatch(/^[\x20-\x7e]*$/);
        expect(printable(a) === printable(b)).toBe(Buffer.from(a).equals(b));
      }),
    );
  });

  it("cuts what is too long and says so, never within an escape", () => {
    expect(printable("abcdef", 6)).toBe("abcdef");
    expect(printable("abcdefg", 6)).toBe("abcdef…");
    expect(printable("abcd\n", 6)).toBe("abcd…");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(60), (bytes, maxLength) => {
        const cut = printable(bytes, maxLength);
        const whole = printable(bytes);
        if (whole.length <= maxLength) expect(cut).toBe(whole);
        else {
          expect(cut.endsWith("…")).toBe(true);
          expect(whole.startsWith(cut.slice(0, -1))).toBe(true);
          expect(cut.length).toBeLessThanOrEqual(maxLength + 1);
        }
      }),
    );
  });
});

describe("options arguments", () => {
  it("give back any keys and values, and are ASCII without NUL", () => {
    fc.assert(
      fc.property(
        fc.dictionary(argument, fc.oneof(argument, fc.constant("\0")), { noNullPrototype: true }),
        (options) => {
          const text = encodeOptions(options);
          expect(text).toMatch(/^[\x21-\x7e]*$/);
          expect(decodeOptions(text)).toEqual(new Map(Object.entries(options)));
        },
      ),
    );
  });

  it("are written as a URL's query is", () => {
    expect(encodeOptions({ at: "17", traceparent: "00-ab-cd-01", reducer: "a b\xe9", gone: undefined })).toBe(
      "at=17&traceparent=00-ab-cd-01&reducer=a%20b%E9",
    );
    expect(decodeOptions("a=1&&b&a=2&c=x+y%2B=")).toEqual(
      new Map([
        ["a", "2"],
        ["b", ""],
        ["c", "x y+="],
      ]),
    );
    expect(decodeOptions("")).toEqual(new Map());
  });

  it("refuse a percent sign without two digits", () => {
    for (const text of ["a=%", "a=%1", "a=%zz", "%g0=1"])
      expect(() => decodeOptions(text)).toThrow(ProtocolError);
  });
});
