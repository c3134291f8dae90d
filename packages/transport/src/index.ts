/*
 * Importing this loads neither `ws` nor TLS nor HTTP: a job server on TCP, and every command that talks to one, starts without
 * them. What needs them loads them when it is called first.
 */
export {
  type Address,
  type AddressDefaults,
  formatAddress,
  parseAddress,
  type SocketAddress,
  type TlsAddress,
  type WebSocketAddress,
} from "./address.ts";
export { type BrowserDialOptions, dialBrowserWebSocket } from "./browser-websocket.ts";
export { verifiedCertificate } from "./certificate.ts";
export type {
  Connection,
  ConnectionHandlers,
  EndReason,
  Listener,
  PeerAddress,
  PeerCertificate,
} from "./connection.ts";
export { type DialOptions, dial } from "./dial.ts";
export { listenError, TransportError, type TransportErrorCode } from "./errors.ts";
export { type ListeningSocket, ListeningSockets } from "./listening-sockets.ts";
export {
  MemoryConnection,
  MemoryNetwork,
  type MemoryOptions,
  type MemoryScheduler,
  memoryPair,
  SeededScheduler,
} from "./memory.ts";
export {
  bearerSubprotocol,
  type OfferedSubprotocols,
  readSubprotocols,
  SUBPROTOCOL,
} from "./subprotocols.ts";
export { type KeepAlive, type ListenOptions, listen, type SocketOptions } from "./tcp.ts";
export { listenTls, type Pem, type TlsClientOptions, type TlsListenOptions } from "./tls.ts";
export { type CertificateFiles, MAX_TLS_FILE_BYTES, TlsFiles, type TlsFilesOptions } from "./tls-files.ts";
export { WebSocketConnection, type WebSocketOptions } from "./websocket.ts";
export { dialWebSocket, type WebSocketClientOptions, type WebSocketDialOptions } from "./websocket-dial.ts";
export { MESSAGE_BYTES, WEBSOCKET_PATH } from "./websocket-rules.ts";
export {
  type Admit,
  type UpgradeRefusal,
  type WebSocketUpgradeOptions,
  WebSocketUpgrades,
} from "./websocket-upgrades.ts";
