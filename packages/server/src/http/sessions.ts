import http2 from "node:http2";

/* Sessions of HTTP/2 that keep the server waiting, for which Node has no limits. */

/** Between two looks. */
const LOOK_MS = 500;

interface Session {
  /** Streams that are open, with the time by which their requests have to be here. */
  readonly open: Map<http2.ServerHttp2Stream, number>;
  /** When the last stream ended. */
  idleSinceMs: number;
}

export interface SessionLimits {
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** Ends sessions without a stream, requests that do not come to an end, and sessions that take nothing of their answers. */
export class SessionWatch {
  readonly #limits: SessionLimits;
  readonly #sessions = new Map<http2.ServerHttp2Session, Session>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  /** Begins to watch the sessions of a server. */
  follow(server: http2.Http2Server | http2.Http2SecureServer): void {
    server.on("session", (session) => this.#add(session));
    server.on("sessionError", () => {});
  }

  /** Lets sessions end as soon as their streams have. */
  close(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  destroy(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #add(session: http2.ServerHttp2Session): void {
    const own: Session = { open: new Map(), idleSinceMs: performance.now() };
    this.#sessions.set(session, own);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    session.once("close", () => this.#forget(session));
    session.on("error", () => {});
    session.on("stream", (stream) => this.#addStream(own, stream));
    // Nothing came or went for so long: what waits to be sent is not wanted.
    session.setTimeout(this.#limits.idleTimeoutMs, () => {
      for (const stream of own.open.keys()) {
        if (stream.writableLength === 0) continue;
        session.destroy();
        return;
      }
    });
  }

  #addStream(own: Session, stream: http2.ServerHttp2Stream): void {
    own.open.set(stream, performance.now() + this.#limits.requestTimeoutMs);
    stream.once("close", () => {
      own.open.delete(stream);
      if (own.open.size === 0) own.idleSinceMs = performance.now();
    });
  }

  #forget(session: http2.ServerHttp2Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [session, { open, idleSinceMs }] of this.#sessions) {
      if (open.size === 0) {
        // Pings are no reason to stay, and a header that never ends is no stream.
        if (nowMs - idleSinceMs > this.#limits.idleTimeoutMs) session.close();
        continue;
      }
      for (const [stream, endsMs] of open) {
        if (endsMs <= nowMs && !isHere(stream)) stream.close(http2.constants.NGHTTP2_CANCEL);
      }
    }
  }
}

/** Whether the client has sent all of its request, read or not. */
function isHere(stream: http2.ServerHttp2Stream): boolean {
  const { NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE } = http2.constants;
  if (stream.endAfterHeaders || stream.readableEnded) return true;
  return stream.state.state === NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE;
}
