import { type Address, type AddressDefaults, parseAddress } from "./address.ts";
import type { Connection } from "./connection.ts";
import { dialSocket, type SocketDialOptions } from "./tcp.ts";
import { dialTls, type TlsClientOptions } from "./tls.ts";
import { dialWebSocket, type WebSocketClientOptions } from "./websocket-dial.ts";

export interface DialOptions extends SocketDialOptions, AddressDefaults {
  /** Of `tls://` and `wss://`. */
  readonly tls?: TlsClientOptions;
  /** Of `ws://` and `wss://`. */
  readonly webSocket?: WebSocketClientOptions;
}

/**
 * Connects to an address of any transport; tries every address of a host name. The connection's `attach` is to be
 * called in the turn in which the promise resolves. What TLS and WebSockets need is loaded when the first is dialled.
 * @throws TransportError with the address and the remedy: `CONNECTION_REFUSED`, `CERTIFICATE_INVALID`, …
 */
export async function dial(address: string | Address, options: DialOptions = {}): Promise<Connection> {
  const where = typeof address === "string" ? parseAddress(address, options) : address;
  switch (where.transport) {
    case "tls":
      return dialTls(where, options);
    case "websocket":
      return dialWebSocket(where, options);
    default:
      return dialSocket(where, options);
  }
}
