import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ketamaRing, type RoutedServer, rankServers, ringRank } from "../../src/index.ts";
import { md5 } from "../../src/routing/mixes.ts";
import { perlHash, rendezvousHash, rendezvousKey, toKeyBytes } from "../../src/routing/rank.ts";

type Named = Omit<RoutedServer, "address">;

interface Vectors {
  readonly rendezvous: {
    readonly hashes: readonly {
      readonly function: string;
      readonly unique: string;
      readonly key: string;
      readonly server: string;
      readonly hash: number;
    }[];
    readonly ranks: readonly {
      readonly servers: readonly Named[];
      readonly function: string;
      readonly unique: string;
      readonly rank: readonly number[];
    }[];
  };
  readonly "perl-crc32": {
    readonly hashes: readonly { readonly unique: string; readonly hash: number }[];
    readonly ranks: readonly {
      readonly servers: number;
      readonly unique: string;
      readonly rank: readonly number[];
    }[];
  };
  readonly ketama: {
    readonly points: readonly { readonly unique: string; readonly point: number }[];
    readonly ranks: readonly {
      readonly servers: readonly Named[];
      readonly unique: string;
      readonly rank: readonly number[];
    }[];
  };
}

const vectors = JSON.parse(
  readFileSync(resolve(import.meta.dirname, "../../../../docs/routing-vectors.json"), "utf8"),
) as Vectors;

const placed = (servers: readonly Named[]) => servers.map((server) => ({ ...server, address: "anywhere" }));
const indexes = (rank: readonly RoutedServer[], servers: readonly RoutedServer[]) =>
  rank.map((server) => servers.indexOf(server));

describe("docs/routing-vectors.json, which other languages rely on,", () => {
  it("has the keys, hashes and ranks of rendezvous", () => {
    for (const { function: name, unique, key, server, hash } of vectors.rendezvous.hashes) {
      const bytes = rendezvousKey(name, unique);
      expect(Buffer.from(bytes).toString("hex")).toBe(key);
      expect(rendezvousHash(bytes, toKeyBytes(server))).toBe(hash);
    }
    for (const { servers, function: name, unique, rank } of vectors.rendezvous.ranks) {
      const list = placed(servers);
      expect(indexes(rankServers(list, name, unique), list)).toEqual(rank);
    }
  });

  it("has the hashes and ranks of perl-crc32, those of its design among them", () => {
    const known = Object.fromEntries(
      vectors["perl-crc32"].hashes.map(({ unique, hash }) => [unique, hash] as const),
    );
    expect(known).toMatchObject({ foo: 3187, "user:42": 25711, something: 2522 });
    for (const [unique, hash] of Object.entries(known)) expect(perlHash(toKeyBytes(unique))).toBe(hash);
    for (const { servers, unique, rank } of vectors["perl-crc32"].ranks) {
      const list = placed(Array.from({ length: servers }, (_, i) => ({ name: `gm${i}` })));
      expect(indexes(rankServers(list, "any", unique, "perl-crc32"), list)).toEqual(rank);
    }
  });

  it("has the points and ranks of ketama", () => {
    for (const { unique, point } of vectors.ketama.points) {
      expect(new DataView(md5(toKeyBytes(unique)).buffer).getUint32(0, true)).toBe(point);
    }
    for (const { servers, unique, rank } of vectors.ketama.ranks) {
      const list = placed(servers);
      expect(indexes(ringRank(ketamaRing(list), unique), list)).toEqual(rank);
    }
  });
});
