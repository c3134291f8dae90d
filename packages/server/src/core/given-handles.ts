import { encodePacket, PacketType, RES } from "@drover/protocol";
import type { Owed } from "./held-replies.ts";
import type { Peer } from "./peer.ts";
import { releaseReplies, sendWhenStored } from "./replies.ts";
import type { ServerState } from "./state.ts";

/** A background job that another member has. */
interface Given {
  readonly member: string;
  /** There. */
  readonly handle: string;
  readonly fn: string;
}

/** Handles remembered, and questions under way at one time. */
const MAX_GIVEN = 10_000;

/** The handles that this server gave to background jobs of others, so that `GET_STATUS` can ask those. */
export class GivenHandles {
  readonly #state: ServerState;
  readonly #given = new Map<number, Given>();
  readonly #questions = new Map<
    number,
    { readonly member: string; readonly handle: string; readonly owed: Owed }
  >();

  constructor(state: ServerState) {
    this.#state = state;
  }

  /** Remembers one; the oldest goes when there are too many. */
  add(number: number, given: Given): void {
    this.#given.set(number, given);
    if (this.#given.size <= MAX_GIVEN) return;
    for (const oldest of this.#given.keys()) {
      this.#given.delete(oldest);
      break;
    }
  }

  /** The job of a handle, if the connection may know and another question has room. */
  find(peer: Peer, number: number): Given | undefined {
    const given = this.#given.get(number);
    if (given === undefined || !peer.identity.mayLookAt(given.fn)) return undefined;
    return this.#questions.size >= MAX_GIVEN ? undefined : given;
  }

  /** Notes that a connection waits for the answer to a question. */
  ask(peer: Peer, id: number, member: string, handle: string): void {
    const owed: Owed = { peer, stored: undefined, packet: null };
    this.#questions.set(id, { member, handle, owed });
    sendWhenStored(this.#state, owed);
  }

  /** @param args Of the `STATUS_RES` behind its handle. */
  answer(id: number, args: readonly string[]): void {
    const question = this.#questions.get(id);
    if (question === undefined) return;
    this.#questions.delete(id);
    const { owed, handle } = question;
    owed.packet = encodePacket(RES, PacketType.STATUS_RES, [handle, ...args]);
    owed.stored = true;
    releaseReplies(this.#state, owed.peer);
  }

  /** A member cannot be asked any more. */
  lost(member: string): void {
    for (const [id, question] of [...this.#questions]) {
      if (question.member === member) this.answer(id, ["0", "0", "0", "0"]);
    }
  }
}
