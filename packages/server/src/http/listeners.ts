import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { ListeningSockets, type TlsFiles } from "@drover/transport";
import { SessionWatch } from "./sessions.ts";

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
  /**
   * A connection without a request is closed after so long, and one that takes nothing of its answers. Default: 75,000.
   */
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

/**
 * One port for HTTP/1.1, HTTP/2 and WebSocket. Without TLS the first bytes tell which: Node has no such fallback for
 * cleartext.
 */
export class HttpListener {
  /** HTTP/1.1 and HTTP/2 without TLS; undefined with it. */
  readonly #plain: http.Server | undefined;
  readonly #server: net.Server;
  readonly #sessions: SessionWatch;
  readonly #sockets = new Set<Duplex>();

  /** @param files Certificates, with which it speaks TLS only. */
  constructor(handlers: HttpHandlers, limits: HttpLimits, files?: TlsFiles) {
    this.#sessions = new SessionWatch(limits);
    const onRequest = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      // Of a connection that is busy: without a listener Node would end it, waiting or not.
      response.on("timeout", cutStalled);
      handlers.request(request, response);
    };
    const onMultiplexed = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void => {
      const [anyRequest, anyResponse] = [request, response] as unknown as Parameters<HttpHandlers["request"]>;
      if (request.httpVersionMajor === 1) {
        onRequest(anyRequest, anyResponse);
        return;
      }
      // Node obeys its own limit only when the client has confirmed it.
      if (bytesOfFields(request.rawHeaders) > limits.maxHeaderBytes) {
        response.writeHead(431).end();
        return;
      }
      // Fastify looks for a body only where HTTP/1.1 would have one, by the header.
      if (!request.stream.endAfterHeaders) request.headers["content-type"] ??= "application/octet-stream";
      handlers.request(anyRequest, anyResponse);
    };
    const plain = {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      // Others, such as `h2c` of curl's, are to be ignored.
      shouldUpgradeCallback: isForWebSocket,
    };
    const multiplexed = {
      maxHeaderListPairs: 100,
      settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderBytes },
      maxSessionMemory: 32,
    };
    if (files !== undefined) {
      const secure = http2.createSecureServer(
        { ...files.serverOptions, ...multiplexed, ...plain, allowHTTP1: true, noDelay: true },
        onMultiplexed,
      );
      files.follow(secure);
      secure.on("upgrade", handlers.upgrade);
      secure.on("secureConnection", (socket) => this.#know(socket));
      this.#sessions.follow(secure);
      // HTTP/1.1 within it has these as fields rather than options.
      const { headersTimeout, requestTimeout } = plain;
      Object.assign(secure, { headersTimeout, requestTimeout, timeout: limits.idleTimeoutMs });
      this.#server = secure as unknown as net.Server;
      return;
    }
    this.#plain = http.createServer(plain, onRequest);
    this.#plain.timeout = limits.idleTimeoutMs;
    this.#plain.on("upgrade", handlers.upgrade);
    // Its timeouts begin when it listens, and here it is another one that does.
    this.#plain.emit("listening");
    const session = http2.createServer(multiplexed, onMultiplexed);
    this.#sessions.follow(session);
    const server = this.#plain;
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.#know(socket);
      sort(socket, server, session, limits.headersTimeoutMs);
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
    this.#sessions.close();
  }

  /** Ends everything that is still there. */
  destroy(): void {
    this.#sessions.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#plain?.close();
  }

  #know(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
  }
}

function bytesOfFields(namesAndValues: readonly string[]): number {
  let bytes = 0;
  for (const text of namesAndValues) bytes += text.length;
  return bytes;
}

function isForWebSocket({ headers }: http.IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/** Nothing came or went for so long: a client that waits has nothing to take, one that has takes nothing. */
function cutStalled(socket: net.Socket): void {
  if (socket.writableLength > 0) socket.destroy();
}

/** Looks at what a connection begins with, and gives it to the server that speaks it. */
function sort(socket: net.Socket, plain: http.Server, session: http2.Http2Server, withinMs: number): void {
  const giveUp = setTimeout(() => socket.destroy(), withinMs);
  socket.once("close", () => clearTimeout(giveUp));
  let begun: Buffer | undefined;
  const look = (chunk: Buffer): void => {
    begun = begun === undefined ? chunk : Buffer.concat([begun, chunk]);
    const known = Math.min(begun.length, PREFACE.length);
    const isPreface = begun.compare(PREFACE, 0, known, 0, known) === 0;
    // A preface may come in parts, and no request of HTTP/1.1 begins with its first four bytes.
    if (isPreface && known < 4) return;
    clearTimeout(giveUp);
    socket.removeListener("data", look);
    socket.pause();
    socket.unshift(begun);
    (isPreface ? session : plain).emit("connection", socket);
    // HTTP/2 reads by itself.
    if (!isPreface) socket.resume();
  };
  socket.on("data", look);
}
