import { isIPv6 } from "node:net";
import { TransportError } from "./errors.ts";

/** Where to listen or dial. */
export type Address =
  | { readonly transport: "tcp"; readonly host: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

export interface AddressDefaults {
  /** Host of `:port`. Default: `localhost`, so that nothing listens to the world by an omission. */
  readonly host?: string;
  /** Port of a host alone. Default: 4730, Gearman's. */
  readonly port?: number;
}

/**
 * Reads `host:port`, `host`, `[v6]:port`, `[v6]`, `:port` or `unix:/path`. The host `*` means every address.
 * @throws TransportError `ADDRESS_INVALID`
 */
export function parseAddress(text: string, defaults: AddressDefaults = {}): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "") throw invalid(text, "a path must follow unix:");
    return { transport: "unix", path };
  }
  // What stands before it may be a secret, so that it is not shown.
  if (text.includes("@")) {
    throw new TransportError(
      "ADDRESS_INVALID",
      "an address holds no @: no user, password or token belongs into it",
    );
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]/\s]*))(?::(\d+))?$/.exec(text);
  if (match === null || text === "") throw invalid(text, remedy(text));
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) throw invalid(text, "brackets are for IPv6 addresses");
  const port = digits === undefined ? (defaults.port ?? 4730) : Number(digits);
  if (port > 65_535) throw invalid(text, "ports end at 65535");
  const host = bracketed ?? (plain === "" ? (defaults.host ?? "localhost") : plain!);
  return { transport: "tcp", host, port };
}

/** The text form that `parseAddress` reads. */
export function formatAddress(address: Address): string {
  if (address.transport === "unix") return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function remedy(text: string): string {
  if (text.startsWith("/")) return `write unix:${text} for a Unix socket`;
  if (text.split(":").length > 2) return "write an IPv6 address in brackets, as in [::1]:4730";
  return "write host:port, [v6]:port, :port or unix:/path";
}

function invalid(text: string, why: string): TransportError {
  return new TransportError("ADDRESS_INVALID", `${JSON.stringify(text)} is no address: ${why}`);
}
