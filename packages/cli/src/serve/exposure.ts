import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
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

/**
 * Whoever reaches the port may submit jobs, take jobs and give orders: there is no password on it.
 * @throws UsageError `ADDRESS_EXPOSED`
 */
export async function refuseExposure(listen: readonly string[]): Promise<void> {
  const exposed = await exposedAddresses(listen);
  if (exposed.length === 0) return;
  throw new UsageError(
    "ADDRESS_EXPOSED",
    `${exposed.join(", ")} can be reached from other machines, where everyone could submit, read and cancel jobs. ` +
      "Listen on localhost or unix:/path, or add --insecure where the network keeps strangers out",
  );
}
