import { byteStringOfText, bytesOf } from "@drover/protocol";
import { ketamaRing, ringRank } from "./ketama.ts";
import { crc32, murmur3 } from "./mixes.ts";

/** A server that keys are spread over. */
export interface RoutedServer {
  /**
   * What keys are spread by: stays when the server moves, and is the same for every client. In mode `ketama` the
   * `host:port` that other clients hash.
   */
  readonly name: string;
  /** Where it is now. */
  readonly address: string;
  /** Its share of the keys, in proportion to the others'. Above 0; not for `perl-crc32`. Default: 1. */
  readonly weight?: number;
}

/**
 * How keys are spread over servers: `rendezvous` unless others have to agree; `perl-crc32` as Perl's Gearman::Client does,
 * by place in the list; `ketama` as libmemcached and other clients of memcached do. See docs/ROUTING.md.
 */
export type RoutingMode = "rendezvous" | "perl-crc32" | "ketama";

/** Servers in the order in which a key goes to them: its owner, then where it goes while that is away. */
export type Ranking = (
  functionName: string | Uint8Array,
  unique: string | Uint8Array,
) => readonly RoutedServer[];

/**
 * The ranking of a list of servers; what it needs for each server is computed once.
 * Text means its UTF-8. For the unique `-` give the workload, by which it joins.
 */
export function ranking(servers: readonly RoutedServer[], mode: RoutingMode = "rendezvous"): Ranking {
  if (mode === "ketama") {
    const ring = ketamaRing(servers);
    return (_, unique) => ringRank(ring, unique);
  }
  if (mode === "perl-crc32") {
    return (_, unique) => {
      const first = servers.length === 0 ? 0 : perlHash(toKeyBytes(unique)) % servers.length;
      return [...servers.slice(first), ...servers.slice(0, first)];
    };
  }
  const named = servers.map((server) => ({ server, name: toKeyBytes(server.name) }));
  const weighted = servers.some(({ weight = 1 }) => weight !== (servers[0]!.weight ?? 1));
  return (functionName, unique) => {
    const key = rendezvousKey(functionName, unique);
    return named
      .map(({ server, name }) => {
        const hash = rendezvousHash(key, name);
        return { server, score: weighted ? -(server.weight ?? 1) / Math.log(hash / 2 ** 53) : hash };
      })
      .sort((a, b) => b.score - a.score || (a.server.name < b.server.name ? -1 : 1))
      .map(({ server }) => server);
  };
}

/** All servers, best first, for one key; `ranking` for many. */
export function rankServers(
  servers: readonly RoutedServer[],
  functionName: string,
  unique: string | Uint8Array,
  mode?: RoutingMode,
): readonly RoutedServer[] {
  return ranking(servers, mode)(functionName, unique);
}

/** Perl's Gearman::Client: 15 bits of a CRC-32. */
export function perlHash(key: Uint8Array): number {
  return (crc32(key) >>> 16) & 0x7fff;
}

/** Function and unique in eight bytes: two MurmurHash3 of `function NUL unique`. */
export function rendezvousKey(functionName: string | Uint8Array, unique: string | Uint8Array): Uint8Array {
  const name = toKeyBytes(functionName);
  const rest = toKeyBytes(unique);
  const bytes = new Uint8Array(name.length + 1 + rest.length);
  bytes.set(name);
  bytes.set(rest, name.length + 1);
  const key = new Uint8Array(8);
  const view = new DataView(key.buffer);
  view.setUint32(0, murmur3(bytes, 0), true);
  view.setUint32(4, murmur3(bytes, 1), true);
  return key;
}

/** How well a server suits a key: an odd number below 2^53, so that it is above 0 as a part of that and below 1. */
export function rendezvousHash(key: Uint8Array, serverName: Uint8Array): number {
  const bytes = new Uint8Array(key.length + serverName.length);
  bytes.set(key);
  bytes.set(serverName, key.length);
  return murmur3(bytes, 0) * 2 ** 21 + (murmur3(bytes, 1) >>> 12) * 2 + 1;
}

/** @internal */
export function toKeyBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? bytesOf(byteStringOfText(text)) : text;
}
