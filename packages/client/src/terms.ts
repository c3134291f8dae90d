import type { Connection } from "@drover/transport";
import { checkServer, defaultServer, dialServer } from "#platform";
import { checkToken } from "./authentication.ts";
import type { Backoff } from "./backoff.ts";
import type { Notice } from "./connection.ts";

/** What the options of clients and of workers say about connections. */
export interface ConnectionOptions {
  readonly servers?: string | readonly string[];
  readonly dial?: (server: string, signal: AbortSignal) => Promise<Connection>;
  readonly token?: string | undefined;
  readonly connectTimeoutMs?: number;
  readonly heartbeatMs?: number;
  readonly backoff?: Backoff;
  readonly random?: () => number;
  readonly maxPacketBytes?: number;
  readonly onNotice?: (notice: Notice) => void;
}

/** The same, with nothing left open. */
export interface ConnectionTerms {
  readonly servers: readonly string[];
  readonly dial: (server: string, signal: AbortSignal) => Promise<Connection>;
  readonly token: string | undefined;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly backoff: Backoff;
  readonly random: () => number;
  readonly maxPacketBytes: number;
  readonly notice: (notice: Notice) => void;
}

/**
 * @param slots Jobs at a time, where it is a worker's.
 * @throws TransportError `ADDRESS_INVALID`; RangeError for what can be no token
 */
export function connectionTerms(options: ConnectionOptions, slots?: number): ConnectionTerms {
  const {
    servers = defaultServer(),
    token,
    dial,
    connectTimeoutMs = 5_000,
    heartbeatMs = 15_000,
    backoff = {},
    random = Math.random,
    maxPacketBytes = 1_073_741_824,
    onNotice: notice = () => {},
  } = options;
  const list = typeof servers === "string" ? [servers] : [...servers];
  checkToken(token);
  if (dial === undefined) for (const server of list) checkServer(server);
  const terms = slots === undefined ? { token } : { token, slots };
  return {
    servers: list,
    dial: dial ?? ((server, signal) => dialServer(server, signal, terms)),
    token,
    connectTimeoutMs,
    heartbeatMs,
    backoff,
    random,
    maxPacketBytes,
    notice,
  };
}
