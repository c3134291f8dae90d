import { encodePacket, PACKETS, PacketType, REQ } from "@drover/protocol";

/** A small seeded generator (mulberry32): the same seed gives the same streams everywhere. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const ADMIN_LINES = [
  "status",
  "workers",
  "show jobs",
  "version",
  "cancel job H:x:1",
  "create function fuzz",
  "bogus",
];
const REQUESTS = PACKETS.filter(({ senders }) => senders.some((sender) => sender !== "server"));

/** A stream that is valid packet by packet, though it may make no sense as a whole. */
function validStream(random: Random): Buffer {
  const parts: Uint8Array[] = [];
  for (let n = 1 + random.below(6); n > 0; n--) {
    if (random.below(12) === 0) {
      parts.push(Buffer.from(`${random.pick(ADMIN_LINES)}${random.pick(["\n", "\r\n"])}`));
      continue;
    }
    const { type, args, data } = random.pick(REQUESTS);
    const values = args.map((name) => argument(random, name));
    parts.push(
      encodePacket(REQ, type, values, data === undefined ? undefined : bytes(random, random.below(200))),
    );
  }
  if (random.below(8) === 0) parts.unshift(encodePacket(REQ, PacketType.OPTION_REQ, ["drover.1"]));
  return Buffer.concat(parts);
}

function argument(random: Random, name: string): string {
  if (name === "function" || name === "reducer") return random.pick(["fuzz", "", "fuzz2", "x".repeat(300)]);
  if (name === "unique") return random.pick(["", "-", "u1", "u2", "y".repeat(70)]);
  if (name === "handle") return random.pick(["H:x:1", "", "H:", "z".repeat(80)]);
  if (name === "option") return random.pick(["exceptions", "drover.1", "EXCEPTIONS", "nonsense"]);
  if (name === "options")
    return random.pick(["", "background=1", "at=99999999999999", "deadline=5", "linger=9&keep=1"]);
  return random.pick(["0", "1", "59", "-1", "99999999999999999999", "*", "", "abc"]);
}

function bytes(random: Random, length: number): Buffer {
  const made = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) made[i] = random.below(256);
  return made;
}

/** A valid stream with a few things done to it that a broken or hostile peer might do. */
export function mutatedStream(random: Random): Buffer {
  let stream = validStream(random);
  for (let n = 1 + random.below(4); n > 0; n--) stream = mutate(random, stream);
  return stream;
}

function mutate(random: Random, stream: Buffer): Buffer {
  const at = random.below(stream.length + 1);
  switch (random.below(8)) {
    case 0: {
      const flipped = Buffer.from(stream);
      if (flipped.length > 0) flipped[at % flipped.length]! ^= 1 << random.below(8);
      return flipped;
    }
    case 1:
      return stream.subarray(0, at);
    case 2:
      return Buffer.concat([stream.subarray(0, at), bytes(random, random.below(40)), stream.subarray(at)]);
    case 3:
      return Buffer.concat([
        stream.subarray(0, at),
        stream.subarray(Math.min(stream.length, at + random.below(20))),
      ]);
    case 4: {
      const sized = Buffer.from(stream);
      if (sized.length >= 12)
        sized.writeUInt32BE(random.pick([0, 1, 0xffffffff, 0x7fffffff, 70_000_000, 5000]), 8);
      return sized;
    }
    case 5: {
      const typed = Buffer.from(stream);
      if (typed.length >= 8)
        typed.writeUInt32BE(random.pick([0, 5, 24, 43, 1001, 1008, 0xffffffff, random.below(45)]), 4);
      return typed;
    }
    case 6:
      return Buffer.concat([stream, stream.subarray(at)]);
    default: {
      const zeroed = Buffer.from(stream);
      zeroed.fill(random.pick([0, 0x0a, 0x20, 0xff]), at, Math.min(zeroed.length, at + random.below(16)));
      return zeroed;
    }
  }
}
