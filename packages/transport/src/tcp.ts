import { link, lstat, unlink } from "node:fs/promises";
import net from "node:net";
import { dirname, join } from "node:path";
import {
  type Address,
  type AddressDefaults,
  formatAddress,
  parseAddress,
  type SocketAddress,
} from "./address.ts";
import type { Connection, Listener, PeerAddress } from "./connection.ts";
import { type AttemptOptions, attempt } from "./dial-attempt.ts";
import { dialError, listenError, TransportError } from "./errors.ts";
import { ListeningSockets } from "./listening-sockets.ts";
import { Reader, SocketConnection, withReader } from "./socket.ts";

/** TCP keepalive: finds peers that vanished without a word. */
export interface KeepAlive {
  /** Silence before the first probe. Whole seconds count. */
  readonly idleMs: number;
  /** Between probes. Default: the operating system's. */
  readonly intervalMs?: number;
  /** Unanswered probes until the connection counts as lost. Default: the operating system's. */
  readonly count?: number;
}

export interface SocketOptions {
  /** Sends small packets at once instead of waiting for more (TCP_NODELAY). Default: true. */
  readonly noDelay?: boolean;
  /** Default: off. */
  readonly keepAlive?: KeepAlive;
  /** How long an ended connection waits for the peer's end before it is cut. Default: 5,000. */
  readonly endGraceMs?: number;
}

export interface ListenOptions extends SocketOptions, AddressDefaults {
  /** Connections that may wait to be accepted. Default: 511. */
  readonly backlog?: number;
  /** What the process before this one listened on, and the next one shall. Default: every process binds for itself. */
  readonly sockets?: ListeningSockets;
  /** Called when accepting itself fails, such as for want of file descriptors. */
  readonly onError?: (error: Error) => void;
}

export interface SocketDialOptions extends SocketOptions, AttemptOptions {}

const IN_USE = new Set(["EADDRINUSE", "EEXIST"]);
const NO_IPV6 = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"]);

/**
 * Listens on TCP or a Unix socket. `localhost` means 127.0.0.1 and, where the machine has it, ::1; `*` every address.
 * A Unix socket's file left by a dead server is replaced; one that answers is not.
 * @param onConnection Takes each connection; has to call its `attach` before it returns.
 * @throws TransportError with the address and the remedy: `ADDRESS_IN_USE`, `PERMISSION_DENIED`, …
 */
export async function listen(
  address: string | Address,
  onConnection: (connection: Connection) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const where = typeof address === "string" ? parseAddress(address, options) : address;
  if (where.transport !== "tcp" && where.transport !== "unix") {
    throw new TransportError(
      "ADDRESS_INVALID",
      `${formatAddress(where)} needs more than an address to listen on: name host and port alone`,
    );
  }
  const onSocket = (accepted: net.Socket) => {
    const { socket, reader } = withReader(accepted);
    tune(socket, options);
    const peer: PeerAddress =
      where.transport === "unix"
        ? { transport: "unix", address: where.path, port: 0 }
        : { transport: "tcp", address: numeric(socket.remoteAddress), port: socket.remotePort ?? 0 };
    onConnection(new SocketConnection(socket, peer, { ...options, ...(reader && { reader }) }));
  };
  return listenForSockets(where, onSocket, options);
}

/** What `listen` does, for sockets that something else becomes of. They are paused. */
export async function listenForSockets(
  where: SocketAddress,
  onSocket: (socket: net.Socket) => void,
  options: ListenOptions,
): Promise<Listener> {
  const servers: net.Server[] = [];
  const add = async (bind: net.ListenOptions) => {
    servers.push(await bound(bind, onSocket, options));
  };
  const { sockets } = options;
  const file = where.transport === "unix" && sockets !== undefined ? where.path : undefined;
  try {
    if (file !== undefined) {
      const asked = `unix:${file}`;
      if (sockets!.has(asked)) await add({ path: file });
      else {
        const bind = (path: string) => bound({ path }, onSocket, options, asked);
        servers.push(await withoutStaleFile(file, () => boundBeside(file, bind)));
      }
    } else if (where.transport === "unix") {
      await withoutStaleFile(where.path, () => add({ path: where.path }));
    } else if (where.host === "localhost") {
      await add({ host: "127.0.0.1", port: where.port });
      const chosen = (servers[0]!.address() as net.AddressInfo).port;
      try {
        await add({ host: "::1", port: chosen, ipv6Only: true });
      } catch (error) {
        if (!NO_IPV6.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    } else {
      await add(where.host === "*" ? { port: where.port } : { host: where.host, port: where.port });
    }
  } catch (error) {
    await Promise.all(servers.map(closed));
    throw error instanceof TransportError ? error : listenError(formatAddress(where), error as Error);
  }
  const addresses = servers.map((server) => listeningAddress(where, server));
  return {
    address: addresses[0]!,
    addresses,
    close: async () => {
      await Promise.all(servers.map(closed));
      if (file !== undefined && !sockets!.isHandedOver) await unlink(file).catch(() => {});
    },
  };
}

/**
 * Connects to a TCP address or a Unix socket; tries every address of a host name. The connection's `attach` is to be
 * called in the turn in which the promise resolves.
 * @throws TransportError with the address and the remedy: `CONNECTION_REFUSED`, `CONNECT_TIMEOUT`, …
 */
export function dialSocket(where: SocketAddress, options: SocketDialOptions = {}): Promise<Connection> {
  const name = formatAddress(where);
  return attempt(name, options, (connected, failed) => {
    const reader = new Reader();
    const socket = new net.Socket({ allowHalfOpen: true, onread: reader.onread });
    // A socket given up on may still have an error to tell, which nobody waits for.
    socket.on("error", (error) => failed(dialError(name, error)));
    socket.once("connect", () => {
      tune(socket, options);
      const peer: PeerAddress =
        where.transport === "unix"
          ? { transport: "unix", address: where.path, port: 0 }
          : { transport: "tcp", address: numeric(socket.remoteAddress), port: where.port };
      connected(new SocketConnection(socket, peer, { ...options, reader }));
    });
    if (where.transport === "unix") socket.connect({ path: where.path });
    else socket.connect({ host: where.host, port: where.port });
    return () => socket.destroy();
  });
}

function bound(
  bind: net.ListenOptions,
  onSocket: (socket: net.Socket) => void,
  options: ListenOptions,
  asked?: string,
): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, onSocket);
    server.once("error", reject);
    const sockets = options.sockets ?? new ListeningSockets();
    const onListening = () => {
      server.removeListener("error", reject);
      server.on("error", (error) => options.onError?.(error));
      resolve(server);
    };
    sockets.listen(server, { backlog: options.backlog ?? 511, ...bind }, onListening, asked);
  });
}

/** Sets what the options say of a connected socket. */
export function tune(socket: net.Socket, options: SocketOptions): void {
  if (options.noDelay !== false) socket.setNoDelay(true);
  const keepAlive = options.keepAlive;
  if (keepAlive === undefined) return;
  // Node takes interval and count too, though its types do not say so; where it does not, they are ignored.
  const set = socket.setKeepAlive as (
    this: net.Socket,
    enable: boolean,
    idleMs: number,
    intervalMs?: number,
    count?: number,
  ) => net.Socket;
  set.call(socket, true, keepAlive.idleMs, keepAlive.intervalMs, keepAlive.count);
}

/**
 * Binds beside the path and links it there: Node takes the file away that it made, when the server closes, though another
 * process may listen on it by then.
 */
async function boundBeside(path: string, bind: (path: string) => Promise<net.Server>): Promise<net.Server> {
  const own = join(dirname(path), `.${process.pid}`);
  // Left by another process of this number.
  await unlink(own).catch(() => {});
  const server = await bind(own);
  try {
    await link(own, path);
    return server;
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await unlink(own).catch(() => {});
  }
}

async function withoutStaleFile<T>(path: string, tryToBind: () => Promise<T>): Promise<T> {
  try {
    return await tryToBind();
  } catch (error) {
    if (!IN_USE.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    const file = await lstat(path);
    if (!file.isSocket()) {
      throw new TransportError(
        "ADDRESS_IN_USE",
        `unix:${path} is a file of another kind: choose another path`,
      );
    }
    if (await answers(path)) throw error;
    await unlink(path);
  }
  return tryToBind();
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // Anything but a refusal (no permission, a full backlog) means that somebody may be there.
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

function listeningAddress(where: SocketAddress, server: net.Server): PeerAddress {
  if (where.transport === "unix") return { transport: "unix", address: where.path, port: 0 };
  const { address, port } = server.address() as net.AddressInfo;
  return { transport: "tcp", address, port };
}

function closed(server: net.Server): Promise<void> {
  // Not close's callback: it waits for the connections too, while the endpoint is free at once.
  server.close();
  return new Promise((resolve) => setImmediate(resolve));
}

/** An IPv4 peer of a socket that listens to both families is shown as the IPv4 address that it is. */
export function numeric(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
