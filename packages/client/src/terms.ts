import type { Connection } from "@drover/transport";
import { checkServer, defaultServer, dialServer } from "#platform";
import { checkToken } from "./authentication.ts";
import type { Backoff } from "./backoff.ts";
import type { Notice } from "./connection.ts";
import type { RoutedServer } from "./routing/rank.ts";

/** A server by its address, or with a name that stays when it moves, and with a weight. */
export type ListedServer =
  | string
  | { readonly name?: string; readonly address: string; readonly weight?: number };

export type ServerList = string | readonly ListedServer[];

/** Where job servers are: a list, or what gives one whenever it is asked. */
export type Servers = ServerList | (() => Promise<ServerList>);

/** What the options of clients and of workers say about connections. */
export interface ConnectionOptions {
  readonly servers?: Servers;
  readonly refreshMs?: number;
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
  /** Empty where they are read from `source`. */
  readonly servers: readonly RoutedServer[];
  readonly source: (() => Promise<ServerList>) | undefined;
  /** Default: 30,000. */
  readonly refreshMs?: number;
  /** @throws TransportError `ADDRESS_INVALID` */
  readonly checkServer: (address: string) => void;
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
export function connectionTerms<T extends ConnectionOptions>(
  options: T,
  slots?: number,
): Omit<T, keyof ConnectionTerms> & ConnectionTerms {
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
  const source = typeof servers === "function" ? servers : undefined;
  const list = source === undefined ? serverList(servers as ServerList) : [];
  const check = dial === undefined ? checkServer : () => {};
  checkToken(token);
  for (const { address } of list) check(address);
  const terms = slots === undefined ? { token } : { token, slots };
  return {
    ...options,
    servers: list,
    source,
    checkServer: check,
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

/** Servers without a name are named by their address. */
export function serverList(list: ServerList): readonly RoutedServer[] {
  const entries = [list].flat() as readonly ListedServer[];
  return entries.map((entry) =>
    typeof entry === "string" ? { name: entry, address: entry } : { name: entry.address, ...entry },
  );
}
