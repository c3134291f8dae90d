import { ProtocolError } from "./errors.ts";
import type { Packet } from "./packet.ts";
import { PacketType, packetName } from "./packets.ts";

/** Where a session's bytes go: a connection, or a test. */
export interface ByteSink {
  /** Takes one or more whole packets. The array belongs to the sink. */
  write(bytes: Uint8Array<ArrayBuffer>): void;
}

/** An `ERROR` packet. The set of codes is open: other servers have their own. */
export interface WireError {
  readonly code: string;
  readonly text: string;
}

/** Who is told when a request gets no answer. */
export interface Unanswered {
  /** An `ERROR` answered it. Absent where no server refuses the request. */
  refused?(error: WireError): void;
  /** The connection is over. */
  lost(): void;
}

/** One request that waits for its answer. Exactly one of these functions is called, once: `answer`, or one of `asker`. */
export interface PendingReply {
  /** Its packet type. */
  readonly request: number;
  /** Packet types that answer it. */
  readonly answeredBy: readonly number[];
  readonly answer: (packet: Packet) => void;
  readonly asker: Unanswered;
}

/**
 * Requests of one connection that wait, in the order in which they were sent: Gearman matches answers by order alone.
 * A connection that is client and worker at once has one queue for both.
 */
export class ReplyQueue {
  /** Reports of a worker were sent: then `JOB_NOT_FOUND` is about one of them, since they have no reply. */
  reportsSent = false;
  readonly #pending: PendingReply[] = [];
  #head = 0;

  /** Requests that wait. */
  get length(): number {
    return this.#pending.length - this.#head;
  }

  /** Remembers a request. To be called as its bytes are written. */
  expect(reply: PendingReply): void {
    this.#pending.push(reply);
  }

  /**
   * Hands an answer to the request that it answers.
   * @throws ProtocolError `UNEXPECTED_PACKET` when the oldest request is not answered by it: from then on no answer
   * could be matched, so the connection is of no more use.
   */
  answer(packet: Packet): void {
    let reply = this.#next();
    // Some servers ignore options that they do not know.
    while (reply?.request === PacketType.OPTION_REQ && packet.type !== PacketType.OPTION_RES) {
      this.#shift();
      reply.asker.refused?.({ code: "UNKNOWN_OPTION", text: "the server did not answer" });
      reply = this.#next();
    }
    if (reply === undefined || !reply.answeredBy.includes(packet.type)) {
      const waiting = reply === undefined ? "nothing was asked" : `${packetName(reply.request)} waits`;
      throw new ProtocolError("UNEXPECTED_PACKET", `${packetName(packet.type)} came while ${waiting}`);
    }
    this.#shift();
    reply.answer(packet);
  }

  /**
   * Hands an `ERROR` to the oldest request, if it may be refused and such a code may refuse it.
   * @returns false when the error answers none, such as one about a packet that has no reply.
   */
  refuse(error: WireError): boolean {
    const reply = this.#next();
    if (reply?.asker.refused === undefined) return false;
    if (error.code === "JOB_NOT_FOUND" && this.reportsSent) return false;
    if (error.code === "UNKNOWN_OPTION" && reply.request !== PacketType.OPTION_REQ) return false;
    this.#shift();
    reply.asker.refused(error);
    return true;
  }

  /** The connection is over: tells every request that waits. */
  lost(): void {
    while (this.length > 0) {
      const reply = this.#next()!;
      this.#shift();
      reply.asker.lost();
    }
  }

  #next(): PendingReply | undefined {
    return this.#pending[this.#head];
  }

  #shift(): void {
    this.#head++;
    // Half at a time: each entry is moved once in the mean.
    if (this.#head * 2 >= this.#pending.length) {
      this.#pending.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
