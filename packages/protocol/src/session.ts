import { ProtocolError } from "./errors.ts";
import { encodePacket, type Packet, REQ } from "./packet.ts";
import { PacketType } from "./packets.ts";
import { type ByteSink, ReplyQueue, type Unanswered, type WireError } from "./replies.ts";

/** Who asked and is told the answer; exactly one of the functions is called. */
export interface Asker<T> {
  answer(value: T): void;
  refused(error: WireError): void;
  lost(): void;
}

/** What a client's and a worker's half of a connection have in common: they ask, and are answered in order. */
export class Session {
  protected readonly sink: ByteSink;
  protected readonly replies: ReplyQueue;

  /** @param replies Give the other session's, where one connection is client and worker. */
  constructor(sink: ByteSink, replies: ReplyQueue = new ReplyQueue()) {
    this.sink = sink;
    this.replies = replies;
  }

  /** Asks for the payload back: shows that the server lives, and that all before it was answered. */
  echo(payload: Uint8Array, asker: Pick<Asker<Uint8Array>, "answer" | "lost">): void {
    const lost = () => asker.lost();
    this.ask(PacketType.ECHO_REQ, [], payload, [PacketType.ECHO_RES], { lost }, ({ data }) => {
      if (!equal(data, payload)) throw mismatch("ECHO_RES", "another payload");
      asker.answer(data);
    });
  }

  /** Asks for an option of the connection, such as `exceptions` or `drover.1`. */
  option(name: string, asker: Asker<string>): void {
    this.ask(PacketType.OPTION_REQ, [name], undefined, [PacketType.OPTION_RES], asker, ({ args }) =>
      asker.answer(args[0]!),
    );
  }

  /** @throws ProtocolError `NUL_IN_ARGUMENT`, and nothing was sent. */
  protected ask(
    request: number,
    args: readonly string[],
    data: Uint8Array | undefined,
    answeredBy: readonly number[],
    asker: Unanswered,
    answer: (packet: Packet) => void,
  ): void {
    const bytes = encodePacket(REQ, request, args, data);
    this.replies.expect({ request, answeredBy, answer, asker });
    this.sink.write(bytes);
  }
}

export function mismatch(packet: string, what: string): ProtocolError {
  return new ProtocolError("UNEXPECTED_PACKET", `${packet} has ${what}`);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
