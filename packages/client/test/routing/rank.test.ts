import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ketamaRing, type RoutedServer, ranking, rankServers, ringOwner, ringRank } from "../../src/index.ts";
import { crc32, md5, murmur3 } from "../../src/routing/mixes.ts";

const bytes = (text: string) => Buffer.from(text);
const serversOf = (count: number, weight = (_: number): number | undefined => undefined): RoutedServer[] =>
  Array.from({ length: count }, (_, i) => {
    const own = weight(i);
    const server = { name: `gm${i + 1}`, address: `gm${i + 1}:4730` };
    return own === undefined ? server : { ...server, weight: own };
  });
const uniques = Array.from({ length: 20_000 }, (_, i) => `user:${i}`);
const modes = ["rendezvous", "perl-crc32", "ketama"] as const;

/** How many of the keys each server owns, by name. */
function shares(servers: readonly RoutedServer[], mode: (typeof modes)[number]): Map<string, number> {
  const rank = ranking(servers, mode);
  const counts = new Map(servers.map(({ name }) => [name, 0]));
  for (const unique of uniques) {
    const { name } = rank("f", unique)[0]!;
    counts.set(name, counts.get(name)! + 1);
  }
  return counts;
}

describe("hashes", () => {
  it("are the ones of zlib and RFC 1321 for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        expect(crc32(input)).toBe(zlibCrc32(input));
        expect(Buffer.from(md5(input)).toString("hex")).toBe(createHash("md5").update(input).digest("hex"));
      }),
    );
  });

  it("are MurmurHash3's of its author", () => {
    const known: readonly [string, number, number][] = [
      ["", 0, 0],
      ["", 1, 0x514e28b7],
      ["", 0xffffffff, 0x81f16f39],
      ["aaaa", 0x9747b28c, 0x5a97808a],
      ["aaa", 0x9747b28c, 0x283e0130],
      ["aa", 0x9747b28c, 0x5d211726],
      ["a", 0x9747b28c, 0x7fa09ea6],
      ["abcd", 0x9747b28c, 0xf0478627],
      ["Hello, world!", 0x9747b28c, 0x24884cba],
      ["ππππππππ", 0x9747b28c, 0xd58063c1],
    ];
    for (const [text, seed, hash] of known) expect(murmur3(bytes(text), seed)).toBe(hash);
  });
});

describe.each(modes)("%s", (mode) => {
  it("ranks every server once, for any key and any servers", () => {
    const list = fc.uniqueArray(fc.string(), { maxLength: 8 });
    fc.assert(
      fc.property(list, fc.string(), fc.string(), (names, functionName, unique) => {
        const servers = names.map((name) => ({ name, address: name }));
        const rank = rankServers(servers, functionName, unique, mode);
        expect(rank.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
        const again = rankServers(servers, functionName, bytes(unique), mode);
        if (unique.isWellFormed()) expect(again).toEqual(rank);
      }),
    );
  });

  it("asks where the server is of nobody: addresses do not count", () => {
    const servers = serversOf(5);
    const moved = servers.map((server) => ({ ...server, address: "elsewhere" }));
    for (const unique of uniques.slice(0, 100)) {
      expect(rankServers(moved, "f", unique, mode).map(({ name }) => name)).toEqual(
        rankServers(servers, "f", unique, mode).map(({ name }) => name),
      );
    }
  });
});

describe("rendezvous", () => {
  it("spreads keys evenly: each of five servers has a fifth, within five standard deviations", () => {
    const deviation = Math.sqrt(uniques.length * 0.2 * 0.8);
    for (const count of shares(serversOf(5), "rendezvous").values()) {
      expect(Math.abs(count - uniques.length / 5)).toBeLessThan(5 * deviation);
    }
  });

  it("moves only the keys of the server that leaves, each to its next, and evenly", () => {
    const servers = serversOf(5);
    const all = ranking(servers);
    const fewer = ranking(servers.filter(({ name }) => name !== "gm3"));
    const moved = new Map<string, number>();
    for (const unique of uniques) {
      const before = all("f", unique);
      const after = fewer("f", unique);
      expect(after).toEqual(before.filter(({ name }) => name !== "gm3"));
      if (before[0]!.name === "gm3") moved.set(after[0]!.name, (moved.get(after[0]!.name) ?? 0) + 1);
    }
    const sum = [...moved.values()].reduce((a, b) => a + b);
    for (const count of moved.values()) {
      expect(Math.abs(count - sum / 4)).toBeLessThan(5 * Math.sqrt(sum * 0.25 * 0.75));
    }
  });

  it("moves one key in N + 1 when a server comes, all of them to it", () => {
    const before = ranking(serversOf(5));
    const after = ranking(serversOf(6));
    let moved = 0;
    for (const unique of uniques) {
      const owner = after("f", unique)[0]!.name;
      if (owner === before("f", unique)[0]!.name) continue;
      expect(owner).toBe("gm6");
      moved++;
    }
    const deviation = Math.sqrt((uniques.length * 5) / 36);
    expect(Math.abs(moved - uniques.length / 6)).toBeLessThan(5 * deviation);
  });

  it("gives each server keys by its weight", () => {
    const counts = [
      ...shares(
        serversOf(4, (i) => i + 1),
        "rendezvous",
      ).values(),
    ];
    for (const [i, count] of counts.entries()) {
      const share = (i + 1) / 10;
      const deviation = Math.sqrt(uniques.length * share * (1 - share));
      expect(Math.abs(count - uniques.length * share)).toBeLessThan(5 * deviation);
    }
  });

  it("moves keys only to the server whose weight grows", () => {
    const before = ranking(serversOf(4, () => 2));
    const after = ranking(serversOf(4, (i) => (i === 1 ? 3 : 2)));
    for (const unique of uniques.slice(0, 5_000)) {
      const owner = after("f", unique)[0]!.name;
      if (owner !== before("f", unique)[0]!.name) expect(owner).toBe("gm2");
    }
  });

  it("does not ask for the order of the list", () => {
    const servers = serversOf(7);
    const backwards = servers.toReversed();
    for (const unique of uniques.slice(0, 500)) {
      expect(rankServers(backwards, "f", unique)).toEqual(rankServers(servers, "f", unique));
    }
  });

  it("spreads one unique over functions", () => {
    const rank = ranking(serversOf(5));
    const owners = new Set(Array.from({ length: 50 }, (_, i) => rank(`f${i}`, "hot")[0]!.name));
    expect(owners.size).toBe(5);
  });
});

describe("perl-crc32", () => {
  it("takes the place in the list, and the following ones in turn", () => {
    const order = (count: number, unique: string) =>
      rankServers(serversOf(count), "any", unique, "perl-crc32").map(({ name }) => name);
    expect(order(3, "foo")).toEqual(["gm2", "gm3", "gm1"]);
    expect(order(5, "foo")).toEqual(["gm3", "gm4", "gm5", "gm1", "gm2"]);
    expect(order(3, "user:42")[0]).toBe("gm2");
    expect(order(5, "user:42")[0]).toBe("gm2");
    expect(order(3, "something")[0]).toBe("gm3");
    expect(order(5, "something")[0]).toBe("gm3");
  });
});

describe("ketama", () => {
  it("has 160 points for each server, more for the heavier", () => {
    expect(ketamaRing(serversOf(5)).points.length).toBe(800);
    const ring = ketamaRing(serversOf(2, (i) => (i === 0 ? 3 : 1)));
    const first = ring.owners.filter(({ name }) => name === "gm1").length;
    expect([first, ring.points.length]).toEqual([240, 320]);
  });

  it("names the owner first, and moves only keys of the server that leaves", () => {
    const servers = serversOf(5);
    const ring = ketamaRing(servers);
    const fewer = ketamaRing(servers.slice(1));
    for (const unique of uniques.slice(0, 2_000)) {
      const rank = ringRank(ring, unique);
      expect(ringOwner(ring, unique)).toBe(rank[0]);
      expect(ringRank(fewer, unique)).toEqual(rank.filter(({ name }) => name !== "gm1"));
    }
  });

  it("has no owner where there is no server", () => {
    expect(ringOwner(ketamaRing([]), "k")).toBeUndefined();
  });
});
