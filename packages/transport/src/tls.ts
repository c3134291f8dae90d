import net from "node:net";
import type tls from "node:tls";
import { type Address, formatAddress, parseAddress, type TlsAddress } from "./address.ts";
import { verifiedCertificate } from "./certificate.ts";
import type { Connection, Listener, PeerAddress } from "./connection.ts";
import { attempt } from "./dial-attempt.ts";
import { dialError, TransportError } from "./errors.ts";
import { SocketConnection } from "./socket.ts";
import { type ListenOptions, listenForSockets, numeric, type SocketDialOptions, tune } from "./tcp.ts";
import type { TlsFiles } from "./tls-files.ts";

/** PEM text: of one, or of several behind each other. */
export type Pem = string | Uint8Array | readonly (string | Uint8Array)[];

export interface TlsClientOptions {
  /** Roots that the server's certificate is verified against. Default: those of the system and of Node. */
  readonly ca?: Pem;
  /** Name that the server's certificate has to be for. Default: the host dialled. */
  readonly servername?: string;
  /** What proves who we are, where the server asks for it. */
  readonly cert?: Pem;
  readonly key?: string | Uint8Array;
  /** Takes any certificate, so that anybody on the way may read and change everything. Default: false. */
  readonly insecure?: boolean;
}

export interface TlsListenOptions extends ListenOptions {
  /** Connections that are not encrypted yet, at one time; more are closed. Default: 1,000. */
  readonly maxHandshakes?: number;
  /** Told of each connection that did not come to be encrypted. */
  readonly onHandshakeFailure?: (error: TransportError) => void;
}

/**
 * Listens for TLS on `host:port` or `tls://host:port`, otherwise as `listen` does.
 * @param onConnection Takes each connection once it is encrypted; has to call its `attach` before it returns.
 * @throws TransportError with the address and the remedy: `ADDRESS_IN_USE`, `PERMISSION_DENIED`, …
 */
export async function listenTls(
  address: string | Address,
  files: TlsFiles,
  onConnection: (connection: Connection) => void,
  options: TlsListenOptions = {},
): Promise<Listener> {
  const where = typeof address === "string" ? parseAddress(address, options) : address;
  if (where.transport !== "tcp" && where.transport !== "tls") {
    throw new TransportError("ADDRESS_INVALID", `${formatAddress(where)} is not for TLS: name host and port`);
  }
  const { maxHandshakes = 1_000, onHandshakeFailure = () => {} } = options;
  const { default: library } = await import("node:tls");
  const server = library.createServer(files.serverOptions);
  files.follow(server);
  let handshakes = 0;
  server.on("tlsClientError", (error, socket) => {
    handshakes--;
    onHandshakeFailure(handshakeError(clientName(socket), error));
    // Node does not, when it only took too long.
    socket.destroy();
  });
  server.on("secureConnection", (socket) => {
    handshakes--;
    if (socket.destroyed) {
      const error = new Error(String(socket.authorizationError));
      onHandshakeFailure(handshakeError(clientName(socket), error));
      return;
    }
    socket.allowHalfOpen = true;
    const peer = tlsPeer(socket, socket.remotePort ?? 0);
    onConnection(new SocketConnection(socket, peer, { ...options, encrypted: true }));
  });
  const listener = await listenForSockets(
    { ...where, transport: "tcp" },
    (socket) => {
      if (handshakes >= maxHandshakes) {
        socket.destroy();
        return;
      }
      handshakes++;
      tune(socket, options);
      // Whoever hangs up before it is encrypted is gone; the socket made of this one takes that over.
      socket.allowHalfOpen = false;
      server.emit("connection", socket);
    },
    options,
  );
  const addresses = listener.addresses.map((one): PeerAddress => ({ ...one, transport: "tls" }));
  return {
    address: addresses[0]!,
    addresses,
    close: async () => {
      await listener.close();
      // It never listened itself, and so does not tell that it is closed.
      server.emit("close");
    },
  };
}

/**
 * Connects by TLS; use `dial`.
 * @throws TransportError `CERTIFICATE_INVALID`, `TLS_FAILED`, and those of `dialSocket`
 */
export async function dialTls(
  where: TlsAddress,
  options: SocketDialOptions & { readonly tls?: TlsClientOptions } = {},
): Promise<Connection> {
  const name = formatAddress(where);
  const client = await TlsClient.of(name, where.host, options.tls);
  return attempt(name, options, (connected, failed) => {
    const socket = client.connect(where);
    socket.on("error", (error) => failed(client.dialError(error)));
    socket.once("secureConnect", () => {
      tune(socket, options);
      const peer = tlsPeer(socket, where.port);
      connected(new SocketConnection(socket, peer, { ...options, encrypted: true }));
    });
    return () => socket.destroy();
  });
}

/** What a client needs for TLS with one server. */
export class TlsClient {
  readonly #library: typeof tls;
  readonly #name: string;
  readonly #options: tls.ConnectionOptions;
  #socket: tls.TLSSocket | undefined;
  #isSecure = false;

  private constructor(library: typeof tls, name: string, options: tls.ConnectionOptions) {
    this.#library = library;
    this.#name = name;
    this.#options = options;
  }

  /**
   * @param name Of the server in errors.
   * @throws TransportError `TLS_FAILED` when `ca`, `cert` or `key` cannot be used
   */
  static async of(name: string, host: string, options: TlsClientOptions = {}): Promise<TlsClient> {
    const { default: library } = await import("node:tls");
    const { ca, cert, key, insecure = false } = options;
    const servername = options.servername ?? (net.isIP(host) === 0 ? host : undefined);
    try {
      return new TlsClient(library, name, {
        secureContext:
          ca === undefined && cert === undefined && key === undefined
            ? trustingContext(library)
            : library.createSecureContext({
                ca: (ca as string | undefined) ?? trustedRoots(library),
                cert: cert as string | undefined,
                key: key as string | undefined,
                minVersion: "TLSv1.2",
              }),
        rejectUnauthorized: !insecure,
        ...(servername === undefined ? {} : { servername }),
      });
    } catch (error) {
      throw new TransportError("TLS_FAILED", `cannot use the ca, cert or key given for ${name}`, {
        cause: error,
      });
    }
  }

  /** Begins a connection, whose halves end one by one. */
  connect({ host, port }: { readonly host: string; readonly port: number }): tls.TLSSocket {
    // Node's types do not have all that its documentation has.
    const to: tls.ConnectionOptions & net.SocketConstructorOpts = { host, port, allowHalfOpen: true };
    this.#socket = this.#library.connect({ ...to, ...this.#options });
    this.#socket.once("secureConnect", () => {
      this.#isSecure = true;
    });
    return this.#socket;
  }

  /** The handshake is done. */
  get isSecure(): boolean {
    return this.#isSecure;
  }

  /** What went wrong before it was secure. */
  dialError(error: Error): TransportError {
    const { code = error.message } = error as NodeJS.ErrnoException;
    if (this.#socket?.authorizationError) {
      return new TransportError(
        "CERTIFICATE_INVALID",
        `${this.#name} showed a certificate that proves nothing (${code}): give its root as ca, or dial a name that it is for`,
        { cause: error },
      );
    }
    const isOfTls = code === "EPROTO" || code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_");
    // Whoever hangs up in between does not speak TLS, or does not want us.
    const wasConnected = code === "ECONNRESET";
    return isOfTls || wasConnected
      ? handshakeError(this.#name, error, ": does it speak TLS there?")
      : dialError(this.#name, error);
  }
}

/** A socket that is destroyed already knows no address any more. */
function clientName(socket: tls.TLSSocket): string {
  return numeric(socket.remoteAddress) || "a client";
}

function handshakeError(name: string, error: Error, remedy = ""): TransportError {
  const { code = error.message } = error as NodeJS.ErrnoException;
  return new TransportError("TLS_FAILED", `no TLS with ${name} (${code})${remedy}`, { cause: error });
}

function tlsPeer(socket: tls.TLSSocket, port: number): PeerAddress {
  const certificate = verifiedCertificate(socket);
  const address = numeric(socket.remoteAddress);
  return { transport: "tls", address, port, ...(certificate && { certificate }) };
}

let roots: string[] | undefined;
let trusting: tls.SecureContext | undefined;

/** Node knows the roots of browsers; those of a company are in the system. */
function trustedRoots(library: typeof tls): string[] {
  roots ??= [...new Set([...library.getCACertificates("default"), ...library.getCACertificates("system")])];
  return roots;
}

/** Made once: it takes as long as a hundred handshakes. */
function trustingContext(library: typeof tls): tls.SecureContext {
  trusting ??= library.createSecureContext({ ca: trustedRoots(library), minVersion: "TLSv1.2" });
  return trusting;
}
