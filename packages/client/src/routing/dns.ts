import { Resolver } from "node:dns/promises";
import type { ListedServer, ServerList } from "../terms.ts";

export interface DnsOptions {
  /** `HOST:PORT` of the name servers to ask. Default: the system's. */
  readonly nameServers?: readonly string[];
}

/**
 * A list of servers for `servers`: all addresses (A and AAAA) of a name, each with the port. Their names are these
 * addresses, so a server that changes its address is another one for its keys; `serversFromSrv` has names that stay.
 * @param hostAndPort `host:port`
 */
export function serversFromDns(hostAndPort: string, options: DnsOptions = {}): () => Promise<ServerList> {
  const [, host, port] = /^(.+):(\d+)$/.exec(hostAndPort) ?? [];
  if (host === undefined) throw new RangeError(`${JSON.stringify(hostAndPort)} is not host:port`);
  return async () => {
    const resolver = resolverOf(options);
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = [
      ...(four.status === "fulfilled" ? four.value : []),
      ...(six.status === "fulfilled" ? six.value.map((address) => `[${address}]`) : []),
    ];
    if (addresses.length === 0) throw (four as PromiseRejectedResult).reason;
    return addresses.sort().map((address) => `${address}:${port}`);
  };
}

/**
 * A list of servers for `servers`: the targets of SRV records, with their ports and weights, named `target:port`. Of several
 * priorities only the first; a weight of 0 counts as 1.
 * @param service Such as `_gearman._tcp.example.org`.
 */
export function serversFromSrv(service: string, options: DnsOptions = {}): () => Promise<ServerList> {
  return async () => {
    const records = await resolverOf(options).resolveSrv(service);
    const first = Math.min(...records.map(({ priority }) => priority));
    return records
      .filter(({ priority }) => priority === first)
      .map(
        ({ name, port, weight }): ListedServer => ({
          address: `${name}:${port}`,
          weight: Math.max(1, weight),
        }),
      )
      .sort((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));
  };
}

function addressOf(server: ListedServer): string {
  return typeof server === "string" ? server : server.address;
}

function resolverOf({ nameServers }: DnsOptions): Resolver {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (nameServers !== undefined) resolver.setServers([...nameServers]);
  return resolver;
}
