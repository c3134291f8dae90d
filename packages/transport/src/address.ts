import { isIPv6 } from "node:net";
import { TransportError } from "./errors.ts";
import { WEBSOCKET_PATH } from "./websocket-rules.ts";

/** Where to listen or dial. */
export type Address = SocketAddress | TlsAddress | WebSocketAddress;

export type SocketAddress =
  | { readonly transport: "tcp"; readonly host: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

export interface TlsAddress {
  readonly transport: "tls";
  readonly host: string;
  readonly port: number;
}

export interface WebSocketAddress {
  readonly transport: "websocket";
  /** Over TLS: `wss://`. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface AddressDefaults {
  /** Host of `:port`. Default: `localhost`, so that nothing listens to the world by an omission. */
  readonly host?: string;
  /** Port of a host alone; not of WebSockets. Default: 4730, Gearman's. */
  readonly port?: number;
}

/** A plain WebSocket goes to Drover itself; `wss://host` to whatever a browser would reach there. */
const WEBSOCKET_PORTS = { ws: 4780, wss: 443 };

/**
 * Reads `host:port`, `host`, `[v6]:port`, `[v6]`, `:port`, `unix:/path`, `tls://host:port`, `ws://host:port/path` or
 * `wss://host:port/path`. The host `*` means every address. Without a path, or with `/` alone, a WebSocket's is
 * `/v1/ws`; without a port that of `ws:` is 4780, of `wss:` 443.
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
  const url = /^(tls|wss?):\/\/([^/?#]*)(.*)$/i.exec(text);
  if (url === null) return { transport: "tcp", ...parseHost(text, text, defaults) };
  const scheme = url[1]!.toLowerCase() as "tls" | "ws" | "wss";
  const [, , authority, path] = url as unknown as [string, string, string, string];
  if (scheme === "tls") {
    if (path !== "") throw invalid(`tls://${authority}…`, "nothing may follow host and port");
    return { transport: "tls", ...parseHost(authority, text, defaults) };
  }
  if (!/^(?:\/[^\s?#]*)?$/.test(path)) throw invalid(`${scheme}://${authority}…`, "it ends with its path");
  const { host = "localhost" } = defaults;
  return {
    transport: "websocket",
    secure: scheme === "wss",
    ...parseHost(authority, text, { host, port: WEBSOCKET_PORTS[scheme] }),
    path: path === "" || path === "/" ? WEBSOCKET_PATH : path,
  };
}

/** The text form that `parseAddress` reads. */
export function formatAddress(address: Address): string {
  if (address.transport === "unix") return `unix:${address.path}`;
  const authority = `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
  switch (address.transport) {
    case "tcp":
      return authority;
    case "tls":
      return `tls://${authority}`;
    case "websocket":
      return `${address.secure ? "wss" : "ws"}://${authority}${address.path}`;
  }
}

function parseHost(text: string, whole: string, defaults: AddressDefaults): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]/\s]*))(?::(\d+))?$/.exec(text);
  if (match === null || text === "") throw invalid(whole, remedy(text));
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) throw invalid(whole, "brackets are for IPv6 addresses");
  const port = digits === undefined ? (defaults.port ?? 4730) : Number(digits);
  if (port > 65_535) throw invalid(whole, "ports end at 65535");
  const host = bracketed ?? (plain === "" ? (defaults.host ?? "localhost") : plain!);
  return { host, port };
}

function remedy(text: string): string {
  if (text.startsWith("/")) return `write unix:${text} for a Unix socket`;
  if (text.includes("://")) return "of URLs there are tls://host:port, ws://host:port/path and wss://…";
  if (text.split(":").length > 2) return "write an IPv6 address in brackets, as in [::1]:4730";
  return "write host:port, [v6]:port, :port, unix:/path, tls://host:port or wss://host";
}

function invalid(text: string, why: string): TransportError {
  return new TransportError("ADDRESS_INVALID", `${JSON.stringify(text)} is no address: ${why}`);
}
