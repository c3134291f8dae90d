import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { ListeningSockets, type TlsFiles } from "@drover/transport";

/** What answers requests of every version of HTTP. */
export interface HttpHandlers {
  request(request: http.IncomingMessage, response: http.ServerResponse): void;
  /** A request of HTTP/1.1 that may become a WebSocket. */
  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpLimits {
  /** All header fields of a request. Default: 16 KiB. */
  readonly maxHeaderBytes: number;
  /** How long a request's header may take. Default: 10,000. */
  readonly headersTimeoutMs: number;
  /** How long a whole request may take to arrive. Default: 60,000. */
  readonly requestTimeoutMs: number;
  /** Streams at a time on one HTTP/2 session. Default: 256. */
  readonly maxStreams: number;
  /** An HTTP/2 session or HTTP/1.1 connection without a request is closed after so long. Default: 75,000. */
  readonly idleTimeoutMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  maxStreams: 256,
  idleTimeoutMs: 75_000,
};

/** With which every connection of HTTP/2 begins (RFC 9113, section 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** How long a connection may say nothing before it is known what it speaks. */
const FIRST_BYTES_MS = 10_000;

/**
 * One port for HTTP/1.1, HTTP/2 and WebSocket. Without TLS the first bytes tell which: Node has no such fallback for
 * cleartext.
 */
export class HttpListener {
  /** HTTP/1.1 and HTTP/2 without TLS; undefined with it. */
  readonly #plain: http.Server | undefined;
  readonly #server: net.Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #sockets = new Set<Duplex>();

  /** @param files Certificates, with which it speaks TLS only. */
  constructor(handlers: HttpHandlers, limits: HttpLimits, files?: TlsFiles) {
    const onRequest = handlers.request as unknown as (
      request: http2.Http2ServerRequest,
      response: http2.Http2ServerResponse,
    ) => void;
    const plain = {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: 1_000,
    };
    const multiplexed = {
      maxHeaderListPairs: 100,
      settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderBytes },
      maxSessionMemory: 32,
    };
    if (files !== undefined) {
      const secure = http2.createSecureServer(
        { ...files.serverOptions, ...multiplexed, ...plain, allowHTTP1: true },
        onRequest,
      );
      files.follow(secure);
      secure.on("upgrade", handlers.upgrade);
      secure.on("secureConnection", (socket) => this.#know(socket));
      this.#guard(secure, limits);
      // HTTP/1.1 within it has these as fields rather than options.
      Object.assign(secure, { headersTimeout: plain.headersTimeout, requestTimeout: plain.requestTimeout });
      this.#server = secure as unknown as net.Server;
      return;
    }
    this.#plain = http.createServer(plain, handlers.request);
    this.#plain.on("upgrade", handlers.upgrade);
    const session = http2.createServer(multiplexed, onRequest);
    this.#guard(session, limits);
    const server = this.#plain;
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.#know(socket);
      sort(socket, server, session);
    });
  }

  /**
   * @param host Numeric, a name, or `*` for every address.
   * @returns the port, where 0 was asked for one that is free.
   * @throws The system's error.
   */
  async listen(host: string, port: number, sockets = new ListeningSockets()): Promise<number> {
    const bind = host === "*" ? { port } : { host, port, ipv6Only: host.includes(":") };
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      sockets.listen(this.#server, bind, () => {
        this.#server.removeListener("error", reject);
        this.#server.on("error", () => {});
        resolve();
      });
    });
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Takes no more connections, and lets those that are idle go. */
  async close(): Promise<void> {
    this.#server.close();
    this.#plain?.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Ends everything that is still there. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#plain?.close();
  }

  #know(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
  }

  /** What Node leaves without a limit: sessions that do nothing. */
  #guard(server: http2.Http2Server | http2.Http2SecureServer, limits: HttpLimits): void {
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.setTimeout(limits.idleTimeoutMs, () => session.close());
      session.on("error", () => {});
    });
    server.on("sessionError", () => {});
  }
}

/** Looks at what a connection begins with, and gives it to the server that speaks it. */
function sort(socket: net.Socket, plain: http.Server, session: http2.Http2Server): void {
  const giveUp = () => socket.destroy();
  socket.setTimeout(FIRST_BYTES_MS, giveUp);
  const look = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      if (!socket.readableEnded && !socket.destroyed) socket.once("readable", look);
      return;
    }
    const known = Math.min(chunk.length, PREFACE.length);
    const isPreface = chunk.compare(PREFACE, 0, known, 0, known) === 0;
    socket.unshift(chunk);
    // A preface may come in parts, and no request of HTTP/1.1 begins with its first four bytes.
    if (isPreface && known < 4) {
      socket.once("readable", look);
      return;
    }
    socket.setTimeout(0);
    socket.removeListener("timeout", giveUp);
    (isPreface ? session : plain).emit("connection", socket);
  };
  socket.once("readable", look);
}
