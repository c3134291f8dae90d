import { MIDDLE_PAGE_BYTES, PAGE_BYTES, PagePool, SharedPages, SMALL_PAGE_BYTES } from "@drover/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Outbox, SHARE_BYTES } from "../src/core/outbox.ts";

/** Bytes as text: comparing that is quick. */
function joined(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString("latin1");
}

/** Small pieces, and some around the sizes of sharing and of pages. */
const piece = fc.oneof(
  fc.nat(40),
  fc.constantFrom(
    SHARE_BYTES - 1,
    SHARE_BYTES,
    SMALL_PAGE_BYTES - 1,
    SMALL_PAGE_BYTES,
    SMALL_PAGE_BYTES + 1,
    MIDDLE_PAGE_BYTES - 10,
    PAGE_BYTES,
    PAGE_BYTES + 1,
    150_000,
  ),
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
            if (i % 4 === 0) out.append(bytes);
            else if (i % 4 === 1) out.share(bytes);
            else if (i % 4 === 2) out.hold(new SharedPages([bytes]), 0, bytes.length);
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
    out.share(large);
    out.share(small);
    const chunks = out.take();
    expect(chunks[0]).toBe(large);
    expect(chunks[1]!.buffer).not.toBe(small.buffer);
  });

  it("moves what outgrows a small page to a larger one, so that it leaves in one piece, and gives the small one back", () => {
    const pool = new PagePool();
    const out = new Outbox(pool);
    const pieces = Array.from({ length: 20 }, (_, i) => new Uint8Array(300).fill(i));
    out.append(pieces[0]!);
    const small = out.page;
    for (const piece of pieces.slice(1)) out.append(piece);
    const chunks = out.take();
    expect(chunks).toHaveLength(1);
    expect(joined(chunks)).toBe(joined(pieces));
    expect(pool.takeSmall()).toBe(small);
    const middle = chunks[0]!.buffer;
    out.recycle();
    expect(pool.takeMiddle().buffer).toBe(middle);
  });

  it("holds pages until they have been sent, and for ever when that is not known", () => {
    const pool = new PagePool();
    const out = new Outbox(pool);
    const pages = new SharedPages([pool.take(), pool.take()]);
    const expected = joined([pages.pages[0]!.subarray(10), pages.pages[1]!.subarray(0, 5)]);
    out.hold(pages, 10, PAGE_BYTES + 5);
    expect(pages.holders).toBe(2);
    expect(joined(out.take())).toBe(expected);
    out.recycle();
    expect(pages.holders).toBe(1);
    out.hold(pages, 0, 5);
    out.take();
    out.abandon();
    pool.release(pages);
    expect(pages.holders).toBe(1);
    expect(pages.pages).not.toContain(pool.take());
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
