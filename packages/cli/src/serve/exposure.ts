import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import type { IdentityRule, IdentityRules } from "@drover/server";
import { parseAddress, TransportError } from "@drover/transport";
import { UsageError } from "../errors.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

export function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Those of the addresses that other machines can reach. A name counts as what it resolves to.
 * @throws TransportError `HOST_NOT_FOUND`
 */
export async function exposedAddresses(listen: readonly string[]): Promise<string[]> {
  const exposed: string[] = [];
  for (const text of listen) {
    const address = parseAddress(text);
    if (address.transport === "unix" || address.host === "localhost") continue;
    if (!(await isLoopbackHost(address.host))) exposed.push(text);
  }
  return exposed;
}

async function isLoopbackHost(host: string): Promise<boolean> {
  if (isIP(host) !== 0) return isLoopback(host);
  if (host === "*") return false;
  const found = await lookup(host, { all: true }).catch((error: NodeJS.ErrnoException) => {
    throw new TransportError("HOST_NOT_FOUND", `${host} has no address (${error.code}): check the name`);
  });
  return found.every(({ address }) => isLoopback(address));
}

/** What stands between an exposed address and everybody who reaches it. */
export interface Protection {
  readonly identities: IdentityRules | undefined;
  /** Whether connections to an address are encrypted. Default: none are. */
  readonly isEncrypted?: (address: string) => boolean;
}

/**
 * Refuses addresses at which strangers on other machines could do everything.
 * @returns the exposed addresses to which tokens would come unencrypted.
 * @throws UsageError `ADDRESS_EXPOSED`
 */
export async function refuseExposure(
  listen: readonly string[],
  { identities, isEncrypted = () => false }: Protection,
): Promise<readonly string[]> {
  const exposed = await exposedAddresses(listen);
  const insecure = "or add --insecure where the network keeps strangers out";
  if (exposed.length > 0 && identities === undefined) {
    throw new UsageError(
      "ADDRESS_EXPOSED",
      `${exposed.join(", ")} can be reached from other machines, where everyone could submit, read and cancel jobs: ` +
        "there is no authentication. Listen on localhost or unix:/path, say in drover.yaml who may do what " +
        `(auth: identities, see docs/OPERATING.md), ${insecure}`,
    );
  }
  for (const address of exposed) {
    for (const { rule, why } of givenAway(identities!, address)) {
      if (!isAllPowerful(rule)) continue;
      throw new UsageError(
        "ADDRESS_EXPOSED",
        `${address} can be reached from other machines, where everyone would be the identity ${rule.name}, which may do ` +
          `everything (auth.${why}). Take rights from it, let it be had by a token or certificate only, ${insecure}`,
      );
    }
  }
  return exposed.filter((address) => !isEncrypted(address));
}

/** The identities that somebody anywhere is at an address without showing anything, and what makes him so. */
function givenAway(
  { rules, anonymous }: IdentityRules,
  address: string,
): { rule: IdentityRule; why: string }[] {
  return rules.flatMap((rule) => {
    const { name, listeners = [], networks = [] } = rule;
    if (name === anonymous) return [{ rule, why: "anonymous" }];
    if (listeners.includes(address)) return [{ rule, why: `identities.${name}.listeners` }];
    return networks.some((network) => network.endsWith("/0"))
      ? [{ rule, why: `identities.${name}.networks` }]
      : [];
  });
}

function isAllPowerful({ rights: { admin, submit, work } }: IdentityRule): boolean {
  return admin || (submit.includes("*") && work.includes("*"));
}
