import { byteStringOfText, bytesOf } from "@drover/protocol";
import { md5 } from "./mixes.ts";
import type { RoutedServer } from "./rank.ts";

/** Digests for each server, of four points each. */
const DIGESTS = 40;

/** Points on a circle of 32 bits, each a server's: a key belongs to the first point at or after it. */
export interface KetamaRing {
  readonly points: Uint32Array;
  /** For each point its server. */
  readonly owners: readonly RoutedServer[];
  readonly servers: readonly RoutedServer[];
}

/**
 * The ring that libmemcached makes with `KETAMA_WEIGHTED`: 160 points for each server in the mean, in proportion to its weight.
 * It leaves port 11211 out of what it hashes: name such a server by its host alone.
 */
export function ketamaRing(servers: readonly RoutedServer[]): KetamaRing {
  const found: { readonly point: number; readonly owner: RoutedServer }[] = [];
  const total = servers.reduce((sum, { weight = 1 }) => sum + weight, 0);
  for (const owner of servers) {
    // Each step in the single precision that libmemcached computes in.
    const part = Math.fround(Math.fround(owner.weight ?? 1) / Math.fround(total));
    const digests = Math.floor(Math.fround(Math.fround(part * DIGESTS) * servers.length));
    for (let i = 0; i < digests; i++) {
      const digest = digestOf(`${owner.name}-${i}`);
      for (let at = 0; at < 16; at += 4) found.push({ point: digest.getUint32(at, true), owner });
    }
  }
  found.sort((a, b) => a.point - b.point || (a.owner.name < b.owner.name ? -1 : 1));
  return {
    points: Uint32Array.from(found, ({ point }) => point),
    owners: found.map(({ owner }) => owner),
    servers,
  };
}

/** The server of a key; undefined where there is none. */
export function ringOwner(ring: KetamaRing, key: string | Uint8Array): RoutedServer | undefined {
  return ring.owners[indexOf(ring, key)] ?? ring.servers[0];
}

/** All servers in the order in which the ring names them from the key on; those without a point last. */
export function ringRank(ring: KetamaRing, key: string | Uint8Array): readonly RoutedServer[] {
  const { owners, servers } = ring;
  const rank = new Set<RoutedServer>();
  const first = indexOf(ring, key);
  for (let i = 0; i < owners.length && rank.size < servers.length; i++) {
    rank.add(owners[(first + i) % owners.length]!);
  }
  for (const server of servers) rank.add(server);
  return [...rank];
}

/** Of the first point at or after the key's, round the circle. */
function indexOf({ points }: KetamaRing, key: string | Uint8Array): number {
  const wanted = digestOf(key).getUint32(0, true);
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}

function digestOf(text: string | Uint8Array): DataView {
  return new DataView(md5(typeof text === "string" ? bytesOf(byteStringOfText(text)) : text).buffer);
}
