import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Outbox, PagePool, SHARE_BYTES } from "../src/core/outbox.ts";

/** Bytes as text: comparing that is quick. */
function joined(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString("latin1");
}

/** Small pieces, and some around the sizes of sharing and of pages. */
const piece = fc.oneof(
  fc.nat(40),
  fc.constantFrom(SHARE_BYTES - 1, SHARE_BYTES, 2_047, 2_048, 2_049, 32_768, 40_000),
);

describe("Outbox", () => {
  it("gives back all bytes in the order they were added, whatever their sizes, turn after turn", () => {
    const turn = fc.record({ pieces: fc.array(piece, { maxLength: 12 }), recycles: fc.boolean() });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 5 }), (turns) => {
        const out = new Outbox(new PagePool());
        let next = 0;
        for (const { pieces, recycles } of turns) {
          const expected = pieces.map((size) => new Uint8Array(size).fill(next++));
          for (const [i, bytes] of expected.entries()) {
            if (i % 2 === 0) out.append(bytes);
            else {
              const offset = out.reserve(bytes.length);
              out.page.set(bytes, offset);
            }
          }
          expect(out.bytes).toBe(pieces.reduce((sum, size) => sum + size, 0));
          expect(joined(out.take()) === joined(expected)).toBe(true);
          expect(out.bytes).toBe(0);
          if (recycles) out.recycle();
          else out.abandon();
        }
      }),
      { numRuns: 60 },
    );
  });

  it("passes large pieces on by reference and copies small ones", () => {
    const out = new Outbox(new PagePool());
    const large = new Uint8Array(SHARE_BYTES);
    const small = new Uint8Array(SHARE_BYTES - 1);
    out.append(large);
    out.append(small);
    const chunks = out.take();
    expect(chunks[0]).toBe(large);
    expect(chunks[1]!.buffer).not.toBe(small.buffer);
  });

  it("adds a part of an array", () => {
    const out = new Outbox(new PagePool());
    const bytes = Uint8Array.from({ length: 5_000 }, (_, i) => i & 0xff);
    out.append(bytes, 10, 20);
    out.append(bytes, 100, 4_000);
    expect(joined(out.take())).toBe(joined([bytes.subarray(10, 20), bytes.subarray(100, 4_000)]));
  });

  it("uses recycled pages again, and never abandoned ones", () => {
    const pool = new PagePool();
    const [first, second] = [new Outbox(pool), new Outbox(pool)];
    const pageOf = (out: Outbox) => {
      out.append(new Uint8Array(10));
      const [chunk] = out.take();
      return chunk!.buffer;
    };
    const page = pageOf(first);
    first.recycle();
    expect(pageOf(second)).toBe(page);
    second.abandon();
    expect(pageOf(first)).not.toBe(page);
  });
});
