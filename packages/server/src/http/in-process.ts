import { Found, PacketStream } from "@drover/protocol";
import type { Connection, ConnectionHandlers, EndReason, PeerAddress } from "@drover/transport";

/** Who is told what the server says to a peer of this process. Handlers must not throw. */
export interface InProcessHandlers {
  /** A packet, whose body is `bytes[start, end)` until the handler returns. */
  packet(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** The server has ended the connection. */
  closed(reason: EndReason): void;
}

/** Bodies come from the server's own core, which has its limits. */
const LIMITS = { maxBodyBytes: 0xffff_ffff, maxLineBytes: 1024 };

/**
 * A connection whose other end is in this process: what a request over HTTP is for the job server. So limits, rights, joins
 * and stores are those of any peer, and nothing of them is written twice.
 */
export class InProcessPeer implements Connection {
  readonly peer: PeerAddress;
  /** What the far end has not got rid of; its owner sets it, and calls `drained` when it is 0 again. */
  unsentBytes = 0;
  readonly #own: InProcessHandlers;
  readonly #stream = new PacketStream(LIMITS);
  #server: ConnectionHandlers | undefined;
  #isPaused = false;
  /** The server is telling something, and must not be told anything before it is done. */
  #isTold = false;
  #waiting: Uint8Array[] = [];
  #isOver = false;

  constructor(address: string, own: InProcessHandlers) {
    this.peer = { transport: "http", address, port: 0 };
    this.#own = own;
  }

  /** Says something to the server, which takes it at once unless it has paused or is speaking itself. */
  write(bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#isPaused || this.#isTold || this.#waiting.length > 0) this.#waiting.push(bytes);
    else this.#server!.data(bytes);
  }

  /** The far end has taken everything. */
  drained(): void {
    this.unsentBytes = 0;
    if (!this.#isOver) this.#server!.drain();
  }

  /** Hangs up. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // The server may be in the middle of telling something to this very peer.
    queueMicrotask(() => this.#server!.close());
  }

  attach(handlers: ConnectionHandlers): void {
    this.#server = handlers;
  }

  send(chunks: readonly Uint8Array[]): boolean {
    this.#isTold = true;
    for (const chunk of chunks) {
      this.#stream.push(chunk);
      while (!this.#isOver && this.#stream.next() === Found.PACKET) {
        this.#own.packet(this.#stream.type, this.#stream.bytes, this.#stream.start, this.#stream.end);
      }
      if (this.#isOver) return true;
    }
    this.#isTold = false;
    // What was answered meanwhile goes to the server when it has finished what it is doing.
    if (this.#waiting.length > 0) queueMicrotask(() => this.#sayWaiting());
    return this.unsentBytes === 0;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#sayWaiting();
  }

  #sayWaiting(): void {
    while (this.#waiting.length > 0 && !this.#isPaused && !this.#isTold && !this.#isOver) {
      this.#server!.data(this.#waiting.shift()!);
    }
  }

  end(reason: EndReason = "done"): void {
    if (this.#isOver) return;
    this.close();
    queueMicrotask(() => this.#own.closed(reason));
  }

  destroy(): void {
    this.end("limited");
  }
}
