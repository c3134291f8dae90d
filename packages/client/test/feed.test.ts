import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventsDropped } from "../src/errors.ts";
import { EventFeed, type FeedReader, type JobEvent } from "../src/feed.ts";

const data = (text: string): JobEvent => ({ type: "data", data: Buffer.from(text) });
const status = (numerator: number): JobEvent => ({ type: "status", numerator, denominator: 10 });
const created: JobEvent = { type: "created", handle: "H:1" };
const restarted: JobEvent = { type: "restarted", reason: "worker lost", attempt: 2 };

function word(event: JobEvent | undefined): string {
  if (event === undefined) return "done";
  if (event.type === "data") return Buffer.from(event.data).toString();
  return event.type === "status" ? `s${event.numerator}` : event.type;
}

async function next(reader: FeedReader): Promise<string> {
  const { value, done } = await reader.next();
  return done ? "done" : word(value);
}

async function rest(reader: FeedReader): Promise<string[]> {
  const words: string[] = [];
  for await (const event of reader) words.push(word(event));
  return words;
}

describe("EventFeed", () => {
  it("gives every reader everything from the beginning, whenever it begins", async () => {
    const feed = new EventFeed(1_000);
    const early = feed.read();
    feed.push(created);
    feed.push(data("a"));
    const late = feed.read();
    feed.push(data("b"));
    feed.end({ type: "fail" });
    const told = ["created", "a", "b", "fail"];
    expect(await rest(early)).toEqual(told);
    expect(await rest(late)).toEqual(told);
    expect(await rest(feed.read())).toEqual(told);
  });

  it("wakes a reader that waits", async () => {
    const feed = new EventFeed(1_000);
    const reader = feed.read();
    const first = next(reader);
    feed.push(data("a"));
    expect(await first).toBe("a");
    const second = next(reader);
    feed.end(new Error("lost"));
    await expect(second).rejects.toThrow("lost");
    expect(await next(reader)).toBe("done");
  });

  it("keeps one status, the newest, in its place", async () => {
    const feed = new EventFeed(1_000);
    for (const event of [status(1), data("a"), status(2), data("b"), status(3), status(4)]) feed.push(event);
    feed.end({ type: "fail" });
    expect(await rest(feed.read())).toEqual(["a", "b", "s4", "fail"]);
  });

  it("shows a quick reader every status", async () => {
    const feed = new EventFeed(1_000);
    const reader = feed.read();
    for (let i = 1; i <= 500; i++) {
      feed.push(status(i));
      expect(await next(reader)).toBe(`s${i}`);
    }
  });

  it("keeps little of many statuses, whoever reads", async () => {
    const feed = new EventFeed(1_000);
    const reader = feed.read();
    feed.push(data("a"));
    for (let i = 0; i < 100_000; i++) feed.push(status(i));
    expect(feed.outgrown).toBe(false);
    expect([await next(reader), await next(reader)]).toEqual(["a", "s99999"]);
  });

  it("drops what present readers have read once it has outgrown its bound, and fails who is behind", async () => {
    const feed = new EventFeed(1_000);
    const [quick, slow] = [feed.read(), feed.read()];
    for (let i = 0; i < 30; i++) {
      feed.push(data(`d${i}`));
      expect(await next(quick)).toBe(`d${i}`);
    }
    expect(feed.outgrown).toBe(true);
    await expect(slow.next()).rejects.toThrow(EventsDropped);
    await expect(feed.read().next()).rejects.toThrow(EventsDropped);
    feed.end({ type: "fail" });
    expect(await rest(quick)).toEqual(["fail"]);
  });

  it("forgets what was void at a restart, but for who created it", async () => {
    const feed = new EventFeed(1_000);
    const [unread, read] = [feed.read(), feed.read()];
    feed.push(created);
    feed.push(data("void"));
    feed.push(status(1));
    expect([await next(read), await next(read)]).toEqual(["created", "void"]);
    feed.reset(true);
    feed.push(restarted);
    feed.push(data("anew"));
    feed.end({ type: "fail" });
    expect(await rest(unread)).toEqual(["created", "restarted", "anew", "fail"]);
    expect(await rest(read)).toEqual(["restarted", "anew", "fail"]);
    expect(await rest(feed.read())).toEqual(["created", "restarted", "anew", "fail"]);
  });

  it("stops for a reader that returns", async () => {
    const feed = new EventFeed(1_000);
    const reader = feed.read();
    feed.push(data("a"));
    await reader.return();
    expect(await next(reader)).toBe("done");
  });

  it("agrees with a list, for any readers, with statuses and restarts, or within a bound", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("data" as const), size: fc.nat(200) }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant("status" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("join" as const) }) },
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant("read" as const), who: fc.nat(5), times: fc.nat(12) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 300 }),
        fc.constantFrom(400, 3_000, 1_000_000),
        async (steps, bound) => {
          const bounded = bound < 1_000_000;
          const feed = new EventFeed(bound);
          /** All events of the present attempt, and their numbers since the beginning. */
          let list: { word: string; number: number }[] = [];
          let number = 0;
          const readers: { reader: FeedReader; seen: number; failed: boolean }[] = [];
          const push = (event: JobEvent) => {
            feed.push(event);
            list.push({ word: word(event), number: number++ });
          };
          push(created);
          for (const one of steps) {
            if (one.do === "data") push(data(`${number}:`.padEnd(one.size, ".")));
            else if (one.do === "status") {
              list = list.filter((entry) => !entry.word.startsWith("s"));
              push(status(number));
            } else if (one.do === "restart") {
              if (bounded) continue;
              feed.reset(true);
              list = list.slice(0, 1);
              push(restarted);
            } else if (one.do === "join")
              readers.push({ reader: feed.read(), seen: -1, failed: feed.outgrown });
            else {
              const entry = readers[one.who % Math.max(1, readers.length)];
              for (let i = 0; entry !== undefined && !entry.failed && i < one.times; i++) {
                const expected = list.find((item) => item.number > entry.seen);
                if (expected === undefined) break;
                try {
                  const got = await next(entry.reader);
                  expect(got).toBe(expected.word);
                  entry.seen = expected.number;
                } catch (error) {
                  expect(error).toBeInstanceOf(EventsDropped);
                  expect(bounded).toBe(true);
                  entry.failed = true;
                }
              }
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
