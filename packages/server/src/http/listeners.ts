import http from "node:http";
import http2 from "node:http2";
import net from "node:net";

/** What answers requests of every version of HTTP. */
export type RequestHandler = (request: http.IncomingMessage, response: http.ServerResponse) => void;
export type UpgradeHandler = (request: http.IncomingMessage, socket: net.Socket, head: Buffer) => void;

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
  readonly #plain: http.Server;
  readonly #session: http2.Http2Server;
  readonly #server: net.Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #sockets = new Set<net.Socket>();

  constructor(onRequest: RequestHandler, onUpgrade: UpgradeHandler, limits: HttpLimits) {
    this.#plain = http.createServer(
      {
        maxHeaderSize: limits.maxHeaderBytes,
        headersTimeout: limits.headersTimeoutMs,
        requestTimeout: limits.requestTimeoutMs,
        keepAliveTimeout: limits.idleTimeoutMs,
        connectionsCheckingInterval: 1_000,
        insecureHTTPParser: false,
      },
      onRequest,
    );
    this.#plain.on("upgrade", onUpgrade);
    this.#session = http2.createServer(
      {
        maxHeaderListPairs: 100,
        settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderBytes },
        maxSessionMemory: 32,
      },
      onRequest as unknown as (
        request: http2.Http2ServerRequest,
        response: http2.Http2ServerResponse,
      ) => void,
    );
    this.#session.on("session", (session) => this.#guard(session, limits));
    this.#session.on("sessionError", () => {});
    this.#server = net.createServer({ noDelay: true }, (socket) => this.#sort(socket));
  }

  /**
   * @param host Numeric, a name, or `*` for every address.
   * @returns the port, where 0 was asked for one that is free.
   * @throws The system's error.
   */
  async listen(host: string, port: number): Promise<number> {
    const bind = host === "*" ? { port } : { host, port, ipv6Only: host.includes(":") };
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(bind, () => {
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
    this.#plain.closeIdleConnections();
    for (const session of this.#sessions) session.close();
  }

  /** Ends everything that is still there. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#plain.close();
  }

  /** Looks at what a connection begins with, and gives it to the server that speaks it. */
  #sort(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    socket.setTimeout(FIRST_BYTES_MS, () => socket.destroy());
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      const known = Math.min(chunk.length, PREFACE.length);
      const isPreface = chunk.compare(PREFACE, 0, known, 0, known) === 0;
      // A preface may come in parts, and no request of HTTP/1.1 begins with its first four bytes.
      if (isPreface && known < 4) {
        socket.unshift(chunk);
        socket.once("readable", look);
        return;
      }
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      socket.unshift(chunk);
      (isPreface ? this.#session : this.#plain).emit("connection", socket);
    };
    socket.once("readable", look);
  }

  /** What Node leaves without a limit: sessions that do nothing, and floods of small frames. */
  #guard(session: http2.ServerHttp2Session, limits: HttpLimits): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(limits.idleTimeoutMs, () => session.close());
    session.on("error", () => {});
  }
}
