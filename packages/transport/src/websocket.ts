import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ServerOptions, WebSocket } from "ws";
import type { Connection, ConnectionHandlers, EndReason, PeerAddress } from "./connection.ts";
import { lostError, TransportError } from "./errors.ts";
import { closeError, MESSAGE_BYTES } from "./websocket-rules.ts";

export interface WebSocketOptions {
  /** Largest message taken; a larger one ends the connection with 1009. Packets may span messages. Default: 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Most fragments of one message; more end the connection with 1008. Default: 256. */
  readonly maxFragments?: number;
  /**
   * Compresses messages from 4 KiB on, each for itself. Costs memory and time, and tells the length of secrets that share a
   * message with an attacker's text. Default: false.
   */
  readonly perMessageDeflate?: boolean;
  /** Between pings; after two that brought nothing back the peer counts as lost. 0 = no pings. Default: 25,000. */
  readonly pingIntervalMs?: number;
  /** How long an ended connection waits for the peer's end before it is cut. Default: 5,000. */
  readonly endGraceMs?: number;
}

/** So much at most is copied and then counts as taken. */
const COPIED_BYTES = 64 * 1024;
/**
 * What may have arrived before a pause and wait for its end. Uncompressed it is at most one read of the socket with one
 * message; compressed messages can be a thousand times as large as what was read.
 */
const MAX_HELD_BYTES = 16 * 1_048_576;
/** Parts of one message that arrived and are not joined yet. */
const MAX_BUFFERED_PARTS = 16_384;
const UNANSWERED_PINGS = 2;
const DEFLATE_THRESHOLD_BYTES = 4_096;
const OPEN = 1;
const BINARY = { binary: true };

/**
 * What `ws` is to be told of the options, on either side.
 * @internal
 */
export function libraryOptions(options: WebSocketOptions): Partial<ServerOptions> {
  const { maxMessageBytes = 1_048_576, maxFragments = 256, endGraceMs = 5_000 } = options;
  const limits = {
    maxPayload: maxMessageBytes,
    maxFragments,
    maxBufferedChunks: MAX_BUFFERED_PARTS,
    closeTimeout: endGraceMs,
  };
  if (options.perMessageDeflate !== true) return { ...limits, perMessageDeflate: false };
  return {
    ...limits,
    perMessageDeflate: {
      threshold: DEFLATE_THRESHOLD_BYTES,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    },
  };
}

const CLOSE_CODES: Readonly<Record<EndReason, number>> = {
  done: 1000,
  draining: 1001,
  malformed: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  limited: 4429,
};

/**
 * A connection over an open WebSocket. Its binary messages are a stream: where one ends and the next begins means nothing.
 * WebSockets have no half that stays open, so `ended` is never told.
 */
export class WebSocketConnection implements Connection {
  readonly peer: PeerAddress;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #encrypted: boolean;
  readonly #endGraceMs: number;
  #handlers: ConnectionHandlers | undefined;
  #paused = true;
  /** Arrived while paused. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** Messages that have not left the process. */
  #unwritten = 0;
  #awaitingDrain = false;
  /** An end was asked for, or the connection is over. */
  #finished = false;
  /** How to close once all is sent. */
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #error: Error | undefined;
  /** Over, but what is held goes first. */
  #isOver = false;
  #told = false;
  readonly #pings: NodeJS.Timeout | undefined;
  #unansweredPings = 0;
  #bytesHeard = 0;

  /**
   * @param socket What `ws` runs on.
   * @internal Published types must not need those of `ws`, which nobody has installed.
   */
  constructor(ws: WebSocket, socket: Socket, peer: PeerAddress, options: WebSocketOptions = {}) {
    const { pingIntervalMs = 25_000, endGraceMs = 5_000 } = options;
    this.#ws = ws;
    this.#socket = socket;
    this.#encrypted = (socket as Partial<TLSSocket>).encrypted === true;
    this.peer = peer;
    this.#endGraceMs = endGraceMs;
    ws.pause();
    ws.on("message", this.#onMessage);
    ws.on("error", this.#onViolation);
    ws.on("close", this.#onClose);
    socket.on("error", (error) => {
      this.#error ??= lostError(this.#name(), error);
    });
    if (pingIntervalMs > 0) this.#pings = setInterval(this.#ping, pingIntervalMs).unref();
  }

  get unsentBytes(): number {
    return this.#ws.bufferedAmount;
  }

  attach(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error("bug: a connection is attached once");
    this.#handlers = handlers;
    if (this.#isOver) queueMicrotask(this.#release);
    this.resume();
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#finished || this.#ws.readyState !== OPEN) return true;
    let bytes = 0;
    for (let i = 0; i < chunks.length; i++) bytes += chunks[i]!.length;
    let isCopy = false;
    if (bytes > MESSAGE_BYTES) {
      this.#sendSplit(chunks);
    } else if (bytes > 0) {
      // TLS takes nothing at once, so the memory of the chunk would be needed longer than this call.
      isCopy = chunks.length > 1 || this.#encrypted;
      this.#sendMessage(isCopy ? Buffer.concat(chunks, bytes) : chunks[0]!);
    }
    if (this.#awaitingDrain) return false;
    const unsent = this.#ws.bufferedAmount;
    if (unsent === 0 || (isCopy && unsent <= COPIED_BYTES)) return true;
    this.#awaitingDrain = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
    this.#ws.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#held.length > 0) queueMicrotask(this.#release);
    else this.#ws.resume();
  }

  end(reason: EndReason = "done"): void {
    this.closeWith(CLOSE_CODES[reason], reason === "done" ? "" : reason);
  }

  /**
   * `end` with another close code than 1000.
   * @param reason Told to the peer; at most 123 bytes.
   */
  closeWith(code: number, reason = ""): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#dropHeld();
    this.#closing = { code, reason };
    this.#ws.resume();
    // Until it is closed the peer has to keep reading, however slowly.
    this.#socket.setTimeout(this.#endGraceMs, this.#cut);
    if (this.#unwritten === 0) this.#ws.close(code, reason);
  }

  destroy(): void {
    this.#finished = true;
    this.#error = undefined;
    this.#dropHeld();
    this.#ws.terminate();
    if (this.#isOver) queueMicrotask(this.#release);
  }

  #sendSplit(chunks: readonly Uint8Array[]): void {
    let gathered: Uint8Array[] = [];
    let room = MESSAGE_BYTES;
    const flush = () => {
      this.#sendMessage(gathered.length === 1 ? gathered[0]! : Buffer.concat(gathered));
      gathered = [];
      room = MESSAGE_BYTES;
    };
    for (const chunk of chunks) {
      for (let offset = 0; offset < chunk.length; ) {
        const piece = chunk.subarray(offset, offset + room);
        gathered.push(piece);
        offset += piece.length;
        room -= piece.length;
        if (room === 0) flush();
      }
    }
    if (gathered.length > 0) flush();
  }

  #sendMessage(bytes: Uint8Array): void {
    this.#unwritten++;
    this.#ws.send(bytes, BINARY, this.#onWritten);
  }

  readonly #onWritten = (error?: Error | null): void => {
    this.#unwritten--;
    if (this.#unwritten > 0 || error) return;
    if (this.#closing !== undefined) this.#ws.close(this.#closing.code, this.#closing.reason);
    if (!this.#awaitingDrain) return;
    this.#awaitingDrain = false;
    if (!this.#finished) this.#handlers?.drain();
  };

  readonly #onMessage = (message: unknown, isBinary: boolean): void => {
    if (this.#finished) return;
    if (!isBinary) {
      this.#refuse(1003, "a text message, where only binary ones are taken");
      return;
    }
    const bytes = message as Buffer;
    if (bytes.length === 0) return;
    if (!this.#paused && this.#held.length === 0) {
      this.#handlers?.data(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    // One message is within its own limit.
    if (this.#heldBytes > MAX_HELD_BYTES && this.#held.length > 1) {
      this.#refuse(1008, `compressed messages of more than ${MAX_HELD_BYTES} bytes at once`);
    }
  };

  /** Hands over what was held, then goes on reading or tells the end. */
  readonly #release = (): void => {
    while (!this.#paused && this.#held.length > 0) {
      const bytes = this.#held.shift()!;
      this.#heldBytes -= bytes.length;
      this.#handlers?.data(bytes);
    }
    if (this.#held.length > 0) return;
    if (this.#isOver) this.#tellClose();
    else if (!this.#paused) this.#ws.resume();
  };

  #dropHeld(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  #refuse(code: number, what: string): void {
    this.#onViolation(new Error(what));
    this.#ws.close(code);
    // As `ws` does for violations that it finds: not waiting for a close frame in return.
    this.#socket.end();
    this.#ws.resume();
  }

  /** Also told by `ws`, which then closes with the code that fits. */
  readonly #onViolation = (error: Error): void => {
    if (this.#finished) return;
    this.#finished = true;
    this.#dropHeld();
    this.#error ??= new TransportError(
      "WEBSOCKET_VIOLATION",
      `${this.#name()} sent what no WebSocket of Gearman may carry: ${error.message}`,
      { cause: error },
    );
  };

  readonly #onClose = (code: number, reason: Buffer): void => {
    clearInterval(this.#pings);
    if (!this.#finished) this.#error ??= closeError(this.#name(), code, reason.toString());
    this.#isOver = true;
    if (this.#held.length === 0) this.#tellClose();
  };

  #tellClose(): void {
    this.#finished = true;
    if (this.#told || this.#handlers === undefined) return;
    this.#told = true;
    this.#handlers.close(this.#error);
  }

  readonly #ping = (): void => {
    // Who is not read cannot be heard.
    if (this.#paused || this.#finished) return;
    const { bytesRead } = this.#socket;
    if (bytesRead !== this.#bytesHeard) this.#unansweredPings = 0;
    this.#bytesHeard = bytesRead;
    if (this.#unansweredPings >= UNANSWERED_PINGS) {
      this.#error ??= lostError(this.#name(), new Error(`${UNANSWERED_PINGS} pings brought nothing back`));
      this.#ws.terminate();
      return;
    }
    this.#unansweredPings++;
    this.#ws.ping();
  };

  readonly #cut = (): void => {
    this.#ws.terminate();
  };

  #name(): string {
    return `${this.peer.address}:${this.peer.port}`;
  }
}
