import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BackendError } from "../src/index.ts";
import { type Reply, ReplyStream } from "../src/memcached/reply-stream.ts";

const LIMITS = { maxValueBytes: 1_000, maxLineBytes: 200 };

function read(stream: Uint8Array, cuts: readonly number[]): Reply[] {
  const replies: Reply[] = [];
  const reader = new ReplyStream(LIMITS);
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    // A chunk is lent: what is kept of it has to be a copy.
    const chunk = Uint8Array.from(stream.subarray(from, end));
    reader.push(chunk, (reply) => {
      replies.push(reply);
      return true;
    });
    chunk.fill(0);
    from = end;
  }
  return replies;
}

const reply = fc.oneof(
  fc.constantFrom("HD", "EN", "NS", "HD c5 O1", "MN", "CLIENT_ERROR bad data chunk", "END").map((line) => ({
    wire: Buffer.from(`${line}\r\n`),
    expected: {
      status: line.split(" ")[0]!,
      words: line.split(" ").slice(1),
      value: undefined as string | undefined,
    },
  })),
  fc.uint8Array({ maxLength: 300 }).map((value) => ({
    wire: Buffer.concat([Buffer.from(`VA ${value.length} f1 W\r\n`), value, Buffer.from("\r\n")]),
    expected: {
      status: "VA",
      words: ["f1", "W"],
      value: Buffer.from(value).toString("hex") as string | undefined,
    },
  })),
);

describe("ReplyStream", () => {
  test("reads the same replies wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 10 }), fc.array(fc.nat(), { maxLength: 20 }), (all, cuts) => {
        const found = read(Buffer.concat(all.map(({ wire }) => wire)), cuts);
        const shown = found.map(({ status, words, value }) => ({
          status,
          words,
          value: value && Buffer.from(value).toString("hex"),
        }));
        expect(shown).toEqual(all.map(({ expected }) => expected));
      }),
    );
  });

  test("takes any bytes, or refuses them with a BackendError", () => {
    const bits = fc.oneof(
      fc.uint8Array({ maxLength: 50 }),
      fc.constantFrom("VA 5", "\r\n", "VA -1\r\n", "VA 3 c\r\nabc\r\n", " ").map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(bits), fc.array(fc.nat()), (all, cuts) => {
        try {
          read(Buffer.concat(all), cuts);
        } catch (error) {
          expect(error).toBeInstanceOf(BackendError);
          expect(error).toMatchObject({ code: "BACKEND_BROKEN" });
        }
      }),
    );
  });

  test.each([
    ["a line beyond the limit", "x".repeat(201)],
    ["a value beyond the limit", "VA 1001\r\n"],
    ["a value without its end", "VA 2\r\nabcd"],
    ["a line without CR", "HD\n"],
    ["an empty line", "\r\n"],
    ["a size that is none", "VA 1e3\r\n"],
  ])("refuses %s", (_what, text) => {
    expect(() => read(Buffer.from(text), [])).toThrow("BACKEND_BROKEN");
  });
});
