import type { PagePool } from "@drover/protocol";
import { Fifo } from "./fifo.ts";
import type { Ack } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import type { Peer } from "./peer.ts";

/** A reply that waits for another server's answer. */
export interface Owed {
  readonly peer: Peer;
  /** Undefined until it is known. */
  stored: boolean | undefined;
  packet: Uint8Array | null;
}

/** Acknowledgements that wait for the store, and the replies behind the last of them. */
interface Segment {
  readonly acks: Fifo<Ack | Owed>;
  replies: Outbox | null;
}

/**
 * The replies of a connection that must not leave before an acknowledgement that waits for the store: clients tell by
 * their order alone which answer belongs to which request.
 */
export class HeldReplies {
  readonly #pool: PagePool;
  #segments: Segment[] = [];
  /** Bytes of all segments but the last, to which nothing is added any more. */
  #bytesBefore = 0;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytesBefore + (this.#segments.at(-1)?.replies?.bytes ?? 0);
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /** Where the next reply goes: behind everything that waits. */
  get tail(): Outbox {
    const last = this.#segments.at(-1)!;
    last.replies ??= new Outbox(this.#pool);
    return last.replies;
  }

  add(ack: Ack | Owed): void {
    let last = this.#segments.at(-1);
    if (last === undefined || last.replies !== null) {
      this.#bytesBefore += last?.replies?.bytes ?? 0;
      last = { acks: new Fifo(), replies: null };
      this.#segments.push(last);
    }
    last.acks.push(ack);
  }

  /**
   * Lets go what need not wait any more.
   * @param answer Writes the answer of a settled acknowledgement.
   */
  release(out: Outbox, answer: (ack: Ack | Owed) => void): void {
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      for (let ack = first.acks.peek(); ack !== undefined; ack = first.acks.peek()) {
        if (ack.stored === undefined) return;
        first.acks.shift();
        answer(ack);
      }
      this.#segments.shift();
      if (first.replies === null) continue;
      if (this.#segments.length > 0) this.#bytesBefore -= first.replies.bytes;
      out.absorb(first.replies);
    }
  }
}
