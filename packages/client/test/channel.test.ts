import { bytesOf, encodePacket, type Packet, PacketType, RES } from "@drover/protocol";
import { memoryPair } from "@drover/transport";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Channel, Heartbeat } from "../src/index.ts";
import { settled } from "./scripted-server.ts";

/** A channel, and what the other end of its connection gets. */
function pair(options: { bufferBytes?: number } = {}) {
  const [near, far] = memoryPair(options);
  const packets: Packet[] = [];
  const ends: (Error | undefined)[] = [];
  const channel = new Channel(
    near,
    { packet: (packet) => packets.push(packet), closed: (error) => ends.push(error) },
    1_000_000,
  );
  const arrived: Uint8Array[] = [];
  far.attach({ data: (chunk) => arrived.push(Uint8Array.from(chunk)), drain() {}, close() {} });
  return { channel, far, packets, ends, arrived, received: () => Buffer.concat(arrived) };
}

describe("Channel", () => {
  it("sends what one turn and its promises write in one go", async () => {
    const { channel, arrived, received } = pair();
    channel.write(bytesOf("a"));
    channel.write(bytesOf("b"));
    await Promise.resolve();
    await Promise.resolve();
    channel.write(bytesOf("c"));
    await settled();
    channel.write(bytesOf("d"));
    await settled();
    expect(arrived.map((chunk) => Buffer.from(chunk).toString())).toEqual(["abc", "d"]);
    expect(received().toString()).toBe("abcd");
  });

  it("keeps the order of small and large chunks, and splits very large ones", async () => {
    const { channel, received } = pair();
    const parts = [10, 5_000, 20, 30, 3_000_000, 40, 2_000_000, 4_095, 4_096, 1].map((size, i) =>
      new Uint8Array(size).fill(i),
    );
    for (const part of parts) channel.write(part);
    await settled();
    while (channel.backlogBytes > 0) await settled();
    await settled();
    expect(received().equals(Buffer.concat(parts))).toBe(true);
  });

  it("does not overwrite what a connection could not send yet", async () => {
    const [near] = memoryPair();
    let unsent: readonly Uint8Array[] = [];
    near.send = (chunks) => {
      unsent = chunks;
      return false;
    };
    const slow = new Channel(near, { packet() {}, closed() {} }, 1_000_000);
    const other = pair();
    slow.write(bytesOf("a"));
    slow.write(bytesOf("b"));
    await settled();
    other.channel.write(bytesOf("x"));
    other.channel.write(bytesOf("y"));
    await settled();
    expect(Buffer.concat(unsent).toString()).toBe("ab");
    expect(other.received().toString()).toBe("xy");
  });

  it("makes a writer wait while the peer does not read, also one that never leaves its turn", async () => {
    const { channel, far } = pair({ bufferBytes: 1_000 });
    expect(channel.writable()).toBeUndefined();
    far.pause();
    let written = 0;
    while (channel.writable() === undefined && written < 100) {
      channel.write(new Uint8Array(100_000));
      written++;
    }
    expect(written).toBeLessThan(100);
    let writable = false;
    const waiting = channel.writable()!.then(() => {
      writable = true;
    });
    await settled();
    expect(writable).toBe(false);
    far.resume();
    await waiting;
    expect(channel.backlogBytes).toBe(0);
  });

  it("frees writers that wait when the connection is lost", async () => {
    const { channel, far, ends } = pair({ bufferBytes: 1_000 });
    far.pause();
    channel.write(new Uint8Array(1_000_000));
    const waiting = channel.writable();
    expect(waiting).toBeDefined();
    far.sever();
    await waiting;
    expect(ends).toMatchObject([{ code: "CONNECTION_LOST" }]);
  });

  it("ends after what is written, and tells it once", async () => {
    const { channel, far, ends, received } = pair();
    channel.write(new Uint8Array(3_000_000));
    channel.write(bytesOf("last"));
    channel.end();
    await settled();
    while (received().length < 3_000_004) await settled();
    far.end();
    await settled();
    expect(received().subarray(-4).toString()).toBe("last");
    expect(ends).toEqual([undefined]);
  });

  it("reads no packet behind one that broke the protocol", async () => {
    const { far, packets, ends } = pair();
    const good = encodePacket(RES, PacketType.NOOP);
    far.send([good, bytesOf("\0RES\0\0\0\x63\0\0\0\0"), good]);
    await settled();
    expect(packets.map(({ type }) => type)).toEqual([PacketType.NOOP]);
    expect(ends).toMatchObject([{ code: "UNEXPECTED_PACKET" }]);
  });
});

describe("Heartbeat", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function beating(channel: Channel) {
    const told = { asked: 0, stale: 0 };
    const heartbeat = new Heartbeat(
      channel,
      1_000,
      () => told.asked++,
      () => told.stale++,
    );
    return { told, heartbeat, period: () => vi.advanceTimersByTime(1_000) };
  }

  it("asks after a silent period, and gives up after another", async () => {
    const { channel, far } = pair();
    const { told, period } = beating(channel);
    period();
    expect(told).toEqual({ asked: 1, stale: 0 });
    far.send([encodePacket(RES, PacketType.NOOP)]);
    await settled();
    period();
    expect(told).toEqual({ asked: 1, stale: 0 });
    period();
    period();
    expect(told).toEqual({ asked: 2, stale: 1 });
    period();
    expect(told).toEqual({ asked: 2, stale: 1 });
  });

  it("does nothing when it is off or stopped", () => {
    const { channel } = pair();
    const { told, heartbeat, period } = beating(channel);
    heartbeat.stop();
    new Heartbeat(
      channel,
      0,
      () => told.asked++,
      () => told.stale++,
    );
    for (let i = 0; i < 5; i++) period();
    expect(told).toEqual({ asked: 0, stale: 0 });
  });

  it("does not give up a peer that takes what it is sent, however slowly", async () => {
    const { channel, far, arrived } = pair({ bufferBytes: 500_000 });
    const { told, period } = beating(channel);
    far.pause();
    channel.write(new Uint8Array(5_000_000));
    for (let taken = 0; channel.backlogBytes > 0; taken++) {
      expect(taken).toBeLessThan(1_000);
      // It reads until it has taken another part, and answers nothing.
      channel.heard = false;
      while (!channel.heard) {
        const before = arrived.length;
        far.resume();
        while (arrived.length === before) await Promise.resolve();
        far.pause();
      }
      period();
      period();
    }
    expect(told.stale).toBe(0);
    expect(told.asked).toBeGreaterThan(0);
  });
});
