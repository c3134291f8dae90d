export { type Address, type AddressDefaults, formatAddress, parseAddress } from "./address.ts";
export type { Connection, ConnectionHandlers, Listener, PeerAddress } from "./connection.ts";
export { listenError, TransportError, type TransportErrorCode } from "./errors.ts";
export {
  MemoryConnection,
  MemoryNetwork,
  type MemoryOptions,
  type MemoryScheduler,
  memoryPair,
  SeededScheduler,
} from "./memory.ts";
export {
  type DialOptions,
  dial,
  type KeepAlive,
  type ListenOptions,
  listen,
  type SocketOptions,
} from "./tcp.ts";
