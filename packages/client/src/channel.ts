import { type ByteSink, Found, type Packet, ProtocolError, packetName } from "@drover/protocol";
import type { Connection } from "@drover/transport";
import { PacketStream, runLater, sendJoined } from "#platform";

export interface ChannelHandlers {
  /** A packet of the server's. May throw a `ProtocolError`: the connection is then cut. */
  packet(packet: Packet): void;
  /** The connection is over; told once. */
  closed(error: Error | undefined): void;
}

/** What one turn may gather before it is sent within the turn: a loop that writes without end is told to wait by then. */
const GATHERED_BYTES = 262_144;

/** Sent at a time. A slow peer has to take so much in one period of the heartbeat. */
const BATCH_BYTES = 1_048_576;

/** Longest text line tolerated; a server sends none on its own. */
const MAX_LINE_BYTES = 1_024;

/** Packets over a connection: reads them from its bytes, and sends what one turn of the event loop wrote in one go. */
export class Channel implements ByteSink {
  /** Bytes arrived, or the peer took some, since the flag was last cleared: it lives. */
  heard = false;
  readonly #connection: Connection;
  readonly #handlers: ChannelHandlers;
  readonly #stream: PacketStream;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #flushScheduled = false;
  #blocked = false;
  #error: Error | undefined;
  #onWritable: (() => void)[] = [];
  // Behind the promises that this turn settles, since their continuations write as well.
  readonly #flushSoon = () => runLater(this.#flush);
  readonly #flush = () => {
    this.#flushScheduled = false;
    if (!this.#blocked) this.#send();
  };

  /**
   * To be made in the turn in which the connection was handed over.
   * @param maxPacketBytes Largest packet body accepted.
   */
  constructor(connection: Connection, handlers: ChannelHandlers, maxPacketBytes: number) {
    this.#connection = connection;
    this.#handlers = handlers;
    this.#stream = new PacketStream({ maxBodyBytes: maxPacketBytes, maxLineBytes: MAX_LINE_BYTES });
    connection.attach({
      data: (chunk) => this.#read(chunk),
      drain: () => this.#drained(),
      close: (error) => this.#closed(error),
    });
  }

  /** Bytes written that the operating system has not taken. */
  get backlogBytes(): number {
    return this.#unsentBytes + this.#connection.unsentBytes;
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (this.#blocked) return;
    if (this.#unsentBytes >= GATHERED_BYTES) {
      this.#send();
      return;
    }
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(this.#flushSoon);
  }

  /** Resolves when the server has taken enough that more may be written; at once while it keeps up. */
  writable(): Promise<void> | undefined {
    if (!this.#blocked) return undefined;
    return new Promise((resolve) => this.#onWritable.push(resolve));
  }

  /** Sends what is written, then closes. */
  end(): void {
    while (this.#unsent.length > 0) sendJoined(this.#connection, this.#takeBatch());
    this.#connection.end();
  }

  /** Closes at once; `closed` is told this reason. */
  destroy(reason: Error): void {
    this.#error ??= reason;
    this.#connection.destroy();
  }

  #send(): void {
    while (this.#unsent.length > 0 && !this.#blocked) {
      if (!sendJoined(this.#connection, this.#takeBatch())) this.#blocked = true;
    }
  }

  /** What is sent next: all that is written, but of much only a part, so that a long sending shows its progress. */
  #takeBatch(): Uint8Array[] {
    const chunks = this.#unsent;
    if (this.#unsentBytes <= BATCH_BYTES) {
      this.#unsent = [];
      this.#unsentBytes = 0;
      return chunks;
    }
    let count = 0;
    let size = 0;
    while (size + chunks[count]!.length <= BATCH_BYTES) size += chunks[count++]!.length;
    const batch = chunks.splice(0, count);
    if (count === 0) {
      batch.push(chunks[0]!.subarray(0, BATCH_BYTES));
      chunks[0] = chunks[0]!.subarray(BATCH_BYTES);
      size = BATCH_BYTES;
    }
    this.#unsentBytes -= size;
    return batch;
  }

  #drained(): void {
    // The peer took some, so it lives.
    this.heard = true;
    this.#blocked = false;
    this.#send();
    if (!this.#blocked) this.#wakeWriters();
  }

  #read(chunk: Uint8Array): void {
    this.heard = true;
    const stream = this.#stream;
    try {
      stream.push(chunk);
      for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
        if (found !== Found.PACKET) throw brokenStream(stream, found);
        this.#handlers.packet(stream.decode());
        // A handler may have given the connection up; what follows is then nobody's.
        if (this.#error !== undefined) return;
      }
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #closed(error: Error | undefined): void {
    this.#blocked = false;
    this.#wakeWriters();
    this.#handlers.closed(this.#error ?? error);
  }

  #wakeWriters(): void {
    const waiting = this.#onWritable;
    this.#onWritable = [];
    for (const wake of waiting) wake();
  }
}

function brokenStream(stream: PacketStream, found: Found): ProtocolError {
  switch (found) {
    case Found.BODY_TOO_LARGE:
      return new ProtocolError(
        "BODY_TOO_LARGE",
        `${packetName(stream.type)} with ${stream.declaredBytes} bytes: raise maxPacketBytes if it is meant`,
      );
    case Found.BAD_MAGIC:
      return new ProtocolError("BAD_MAGIC", "the peer is no Gearman server");
    default:
      return new ProtocolError("UNEXPECTED_PACKET", "the peer answered with text: is it a Gearman server?");
  }
}
