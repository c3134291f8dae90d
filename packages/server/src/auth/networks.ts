import { BlockList, isIP } from "node:net";

/** A set of IP addresses, given by networks (`10.0.0.0/8`, `fd00::/8`) and addresses. */
export class Networks {
  readonly #list = new BlockList();

  /** @throws RangeError for what `isNetwork` denies. */
  constructor(networks: readonly string[]) {
    for (const text of networks) {
      const network = parseNetwork(text);
      if (network === undefined) throw new RangeError(`${JSON.stringify(text)} is no network`);
      this.#list.addSubnet(network.address, network.bits, network.family);
    }
  }

  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

function parseNetwork(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: "ipv4" | "ipv6" } | undefined {
  const [, address, digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (address === undefined) return undefined;
  const family = isIP(address);
  const most = family === 6 ? 128 : 32;
  const bits = digits === undefined ? most : Number(digits);
  return family === 0 || bits > most ? undefined : { address, bits, family: family === 6 ? "ipv6" : "ipv4" };
}
