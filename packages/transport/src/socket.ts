import net from "node:net";
import type { Connection, ConnectionHandlers, PeerAddress } from "./connection.ts";
import { DirectWriter } from "./direct-write.ts";
import { lostError } from "./errors.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Where the sockets of the process are read into. A fresh buffer for each read, as sockets get by default, costs a
 * third of the server's time (docs/decisions/0006).
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

/** Views of the first bytes of the read buffer, by their number: small reads are most, and a view each adds up. */
const FRONTS: (Buffer | undefined)[] = Array.from({ length: 2048 });

function front(length: number): Buffer {
  if (length >= FRONTS.length) return READ_BUFFER.subarray(0, length);
  FRONTS[length] ??= READ_BUFFER.subarray(0, length);
  return FRONTS[length];
}

/** What a socket reads, for a connection that does not exist yet when the socket is made. */
export class Reader {
  onData: (chunk: Buffer) => void = () => {};

  /** For the constructor of `net.Socket`. */
  readonly onread = {
    buffer: READ_BUFFER,
    callback: (length: number): boolean => {
      this.onData(front(length));
      return true;
    },
  };
}

/**
 * The socket of a server's connection, made anew so that it reads into the common buffer: Node offers that for the
 * sockets of clients only. Where a runtime's sockets have no such handle, the socket stays what it is.
 * @param accepted Just accepted, and paused since (`pauseOnConnect`).
 */
export function withReader(accepted: net.Socket): { readonly socket: net.Socket; readonly reader?: Reader } {
  const inner = accepted as unknown as { _handle: { useUserBuffer?: unknown } | null };
  const handle = inner._handle;
  if (typeof handle?.useUserBuffer !== "function") return { socket: accepted };
  inner._handle = null;
  const reader = new Reader();
  const options = { handle, allowHalfOpen: true, onread: reader.onread };
  return { socket: new net.Socket(options as unknown as net.SocketConstructorOpts), reader };
}

/** TLS takes nothing at once, each write ends in a later turn. So much at most is copied, and counts as taken. */
const COPIED_BYTES = 64 * 1024;

export interface SocketConnectionOptions {
  /** Through which the socket reads; without one it tells `data` events. */
  readonly reader?: Reader;
  /** How long an ended connection waits for the peer's end before it is cut. Default: 5,000. */
  readonly endGraceMs?: number;
  /** The socket is a `TLSSocket`. Default: false. */
  readonly encrypted?: boolean;
}

/** A connection over a connected `net.Socket` that was made with `allowHalfOpen`. */
export class SocketConnection implements Connection {
  readonly peer: PeerAddress;
  readonly #socket: net.Socket;
  readonly #writer: DirectWriter | undefined;
  readonly #encrypted: boolean;
  readonly #endGraceMs: number;
  #handlers: ConnectionHandlers | undefined;
  #error: Error | undefined;
  /** An `end` or `destroy` was asked for, or the connection is over. */
  #finished = false;
  #peerEnded = false;
  #awaitingDrain = false;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(socket: net.Socket, peer: PeerAddress, options: SocketConnectionOptions = {}) {
    const { reader, endGraceMs = 5_000, encrypted = false } = options;
    this.#socket = socket;
    this.#writer = encrypted ? undefined : DirectWriter.of(socket, this.#onQueuedEnd);
    this.#encrypted = encrypted;
    this.peer = peer;
    this.#endGraceMs = endGraceMs;
    if (reader === undefined) this.#socket.on("data", this.#onData).pause();
    else reader.onData = this.#onData;
    socket.on("error", (error) => {
      this.#error ??= error;
    });
  }

  get unsentBytes(): number {
    return this.#socket.writableLength + (this.#writer?.queuedBytes ?? 0);
  }

  attach(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error("bug: a connection is attached once");
    this.#handlers = handlers;
    const socket = this.#socket;
    socket.on("close", this.#onClose);
    if (socket.closed) {
      queueMicrotask(this.#onClose);
      return;
    }
    socket.on("end", this.#onEnd);
    socket.resume();
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#finished) return true;
    if (this.#encrypted) return this.#sendCopy(chunks);
    // What waits, here or in the stream, goes first.
    if (this.#writer === undefined || this.#awaitingDrain) return this.#sendThroughStream(chunks);
    const written = this.#writer.write(chunks);
    if (written === "taken") return true;
    if (written === "refused") return this.#sendThroughStream(chunks);
    this.#awaitingDrain = true;
    return false;
  }

  #sendThroughStream(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (chunks.length === 1) {
      socket.write(chunks[0]!);
    } else {
      socket.cork();
      for (let i = 0; i < chunks.length; i++) socket.write(chunks[i]!);
      socket.uncork();
    }
    if (this.unsentBytes === 0) return true;
    if (!this.#awaitingDrain) this.#askForDrain();
    return false;
  }

  /** Joins what is small, so that it becomes one record. */
  #sendCopy(chunks: readonly Uint8Array[]): boolean {
    let bytes = 0;
    for (let i = 0; i < chunks.length; i++) bytes += chunks[i]!.length;
    if (bytes > COPIED_BYTES) return this.#sendThroughStream(chunks);
    const socket = this.#socket;
    if (bytes > 0) socket.write(Buffer.concat(chunks, bytes));
    if (this.#awaitingDrain) return false;
    if (socket.writableLength <= COPIED_BYTES) return true;
    this.#askForDrain();
    return false;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#finished) return;
    this.#finished = true;
    const socket = this.#socket;
    // Reading goes on, since closing with unread bytes would reset the connection and take from the peer what
    // it has not read yet.
    socket.resume();
    socket.end(this.#onFinished);
    // Until then the peer has to keep reading, however slowly.
    socket.setTimeout(this.#endGraceMs, this.#cut);
  }

  destroy(): void {
    this.#finished = true;
    this.#socket.destroy();
  }

  /**
   * The socket's own drain event comes only above its high-water mark, while `send` promises one for every false.
   * An empty write queues behind what is unsent and costs nothing where everything was taken at once.
   */
  #askForDrain(): void {
    this.#awaitingDrain = true;
    this.#socket.write(NOTHING, this.#onDrained);
  }

  readonly #onDrained = (error?: Error | null): void => {
    this.#awaitingDrain = false;
    if (error || this.#finished) return;
    if (this.unsentBytes > 0) this.#askForDrain();
    else this.#handlers?.drain();
  };

  readonly #onQueuedEnd = (failed: boolean): void => {
    if (this.#socket.destroyed) return;
    // Of what it failed the stream's next write will fail too, and tell.
    if (failed) this.#askForDrain();
    else this.#onDrained();
  };

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#finished) this.#handlers?.data(chunk);
  };

  readonly #onEnd = (): void => {
    this.#peerEnded = true;
    if (this.#finished) return;
    if (this.#handlers?.ended === undefined) this.end();
    else this.#handlers.ended();
  };

  readonly #onFinished = (): void => {
    const socket = this.#socket;
    socket.setTimeout(0);
    if (this.#peerEnded || socket.destroyed) return;
    this.#graceTimer = setTimeout(this.#cut, this.#endGraceMs);
    // A peer that does not hang up need not hold the process.
    this.#graceTimer.unref();
  };

  readonly #cut = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#finished = true;
    clearTimeout(this.#graceTimer);
    const error = this.#error;
    this.#handlers?.close(error === undefined ? undefined : lostError(this.#name(), error));
  };

  #name(): string {
    return this.peer.port === 0 ? this.peer.address : `${this.peer.address}:${this.peer.port}`;
  }
}
