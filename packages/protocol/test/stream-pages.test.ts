import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodePacket,
  Found,
  HEADER_BYTES,
  PAGE_BYTES,
  PacketStream,
  PacketType,
  PagePool,
  REQ,
  type SharedPages,
} from "../src/index.ts";

const LIMITS = { maxBodyBytes: 1_000_000, maxLineBytes: 100, shareBytes: 5_000 };

interface Body {
  readonly body: string;
  readonly shared: boolean;
}

/** Bodies of all packets. What is shared is held, and looked at only when everything else has been read. */
function bodies(chunks: readonly Uint8Array[], join: boolean): Body[] {
  const pool = new PagePool();
  const stream = new PacketStream(LIMITS, pool);
  const seen: (() => Body)[] = [];
  for (const original of chunks) {
    const chunk = Uint8Array.from(original);
    stream.push(chunk);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      expect(found).toBe(Found.PACKET);
      if (join) stream.join();
      seen.push(bodyOf(stream, pool));
    }
    chunk.fill(0xee);
  }
  return seen.map((tell) => tell());
}

function bodyOf({ pages, bytes, start, end }: PacketStream, pool: PagePool): () => Body {
  if (pages === null) {
    const body = Buffer.from(bytes.subarray(start, end)).toString("latin1");
    return () => ({ body, shared: false });
  }
  hold(pages);
  return () => {
    const body = Buffer.concat(pages.views(start, end)).toString("latin1");
    pool.release(pages);
    return { body, shared: true };
  };
}

function hold(pages: SharedPages): void {
  pages.holders++;
}

function echo(size: number): { data: Uint8Array; packet: Uint8Array } {
  const data = Uint8Array.from({ length: size }, (_, i) => (i * 31 + size + (i >> 8)) & 0xff);
  return { data, packet: encodePacket(REQ, PacketType.ECHO_REQ, [], data) };
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1_500, max: 9_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: PAGE_BYTES - 20, max: PAGE_BYTES + 5_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 300_000 }) },
);

describe("PacketStream with pages", () => {
  it("gives the same bodies in pages, joined and whole, wherever the trace is cut", () => {
    fc.assert(
      fc.property(
        fc.array(sizes, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (wanted, marks) => {
          const all = wanted.map(echo);
          const trace = Buffer.concat(all.map(({ packet }) => packet));
          const cutAt = [...new Set(marks.map((mark) => mark % (trace.length + 1)))].sort((a, b) => a - b);
          const chunks = [...cutAt, trace.length].map((at, i, list) =>
            trace.subarray(i === 0 ? 0 : list[i - 1], at),
          );
          const expected = all.map(({ data }) => Buffer.from(data).toString("latin1"));
          expect(bodies(chunks, false).map(({ body }) => body)).toEqual(expected);
          const joinedBodies = bodies(chunks, true);
          expect(joinedBodies.map(({ body }) => body)).toEqual(expected);
          expect(joinedBodies.some(({ shared }) => shared)).toBe(false);
        },
      ),
    );
  });

  it("shares a packet from the limit on that came in parts, and no other", () => {
    const cut = ({ packet }: { packet: Uint8Array }) => [packet.subarray(0, 100), packet.subarray(100)];
    expect(bodies(cut(echo(4_987)), false)[0]!.shared).toBe(false);
    expect(bodies(cut(echo(4_988)), false)[0]!.shared).toBe(true);
    expect(bodies([echo(20_000).packet], false)[0]!.shared).toBe(false);
  });

  it("takes little more memory than came, whatever size is declared", () => {
    const { packet } = echo(900_000);
    const taken: number[] = [];
    const pool = new (class extends PagePool {
      override take() {
        taken.push(PAGE_BYTES);
        return super.take();
      }
      override takeSmall() {
        const page = super.takeSmall();
        taken.push(page.length);
        return page;
      }
    })();
    const stream = new PacketStream(LIMITS, pool);
    let came = 0;
    for (const size of [HEADER_BYTES - 1, 1, 100, 2_000, 3_000, 60_000, 100_000]) {
      stream.push(packet.subarray(came, came + size));
      came += size;
      expect(stream.next()).toBe(Found.MORE);
      const held = taken.reduce((sum, length) => sum + length, 0);
      expect(held).toBeLessThanOrEqual(came <= 2_048 ? 2_048 : came + PAGE_BYTES + 2_048);
    }
  });

  it("gives its pages back when the next message is looked for and nobody holds them", () => {
    const pool = new PagePool();
    const stream = new PacketStream(LIMITS, pool);
    const { packet } = echo(200_000);
    const before = [pool.take(), pool.take(), pool.take(), pool.take()];
    for (const page of before) pool.give(page);
    stream.push(packet.subarray(0, 70_000));
    expect(stream.next()).toBe(Found.MORE);
    stream.push(packet.subarray(70_000));
    expect(stream.next()).toBe(Found.PACKET);
    const held = stream.pages!;
    expect(held.pages.filter((page) => before.includes(page))).not.toHaveLength(0);
    expect(stream.next()).toBe(Found.MORE);
    expect(held.holders).toBe(0);
    const after = [pool.take(), pool.take(), pool.take(), pool.take()];
    expect(new Set(after)).toEqual(new Set(before));
  });
});
