import { byteString, bytesOf } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Handles } from "../src/core/handles.ts";

function written(handles: Handles, number: number): string {
  const size = handles.measure(number);
  const bytes = new Uint8Array(size + 4).fill(0x2e);
  expect(handles.write(number, bytes, 2)).toBe(2 + size);
  expect([bytes[1], bytes[size + 2]]).toEqual([0x2e, 0x2e]);
  return byteString(bytes, 2, 2 + size);
}

function parsed(handles: Handles, text: string): number {
  const bytes = bytesOf(`xx${text}yy`);
  return handles.parse(bytes, 2, bytes.length - 2);
}

const first = fc.oneof(
  fc.nat(200),
  fc.integer({ min: 0, max: 2 ** 52 }),
  fc.constantFrom(99_999_990, 10 ** 15),
);
const number = fc.oneof(fc.nat(200), fc.nat(0x7ffffffe), fc.integer({ min: 2 ** 31 - 2, max: 2 ** 51 }));

describe("Handles", () => {
  it("writes what text says, and parses it back, for any first number and job", () => {
    fc.assert(
      fc.property(first, fc.array(number, { maxLength: 5 }), (firstNumber, numbers) => {
        const handles = new Handles("H:host", firstNumber);
        for (const job of numbers) {
          const text = `H:host:${firstNumber + job}`;
          expect(handles.text(job)).toBe(text);
          expect(written(handles, job)).toBe(text);
          expect(parsed(handles, text)).toBe(job);
        }
      }),
    );
  });

  it.each([
    ["another prefix", "H:other:5"],
    ["no number", "H:host:"],
    ["a number before the first", "H:host:4"],
    ["a leading zero", "H:host:05"],
    ["a sign", "H:host:+5"],
    ["letters", "H:host:5a"],
    ["too many digits", "H:host:12345678901234567"],
    ["nothing", ""],
  ])("does not know a handle with %s", (_, text) => {
    expect(parsed(new Handles("H:host", 5), text)).toBe(-1);
  });

  it("knows the handle with number 0, which is no leading zero", () => {
    expect(parsed(new Handles("H:host", 0), "H:host:0")).toBe(0);
  });

  it("does not give a handle of another start of the server to one of this start", () => {
    const before = new Handles("H:host", 1_000);
    const after = new Handles("H:host", 2_000);
    expect(parsed(after, before.text(999))).toBe(-1);
    expect(parsed(before, after.text(0))).toBe(1_000);
  });
});
