import type { Owed } from "./held-replies.ts";
import type { Peer } from "./peer.ts";
import { releaseReplies, sendWhenStored } from "./replies.ts";
import type { ServerState } from "./state.ts";

/** What is asked of another server of the fleet. Names are byte strings. */
export type Question =
  | { readonly kind: "status"; readonly handle: string }
  | { readonly kind: "unique"; readonly unique: string }
  /** With an empty unique the function is a handle. */
  | { readonly kind: "outcome"; readonly fn: string; readonly unique: string };

/**
 * Arguments of the answer: of `status` known, running, numerator, denominator; of `unique` those and how many wait; of
 * `outcome` those behind the unique. Null: the server does not know the job, refused, or was lost.
 */
export type Answer = readonly string[] | null;

interface Asked {
  readonly owed: Owed;
  readonly question: Question;
  /** Who is asked now. */
  member: string;
  /** Who is asked when that one knows nothing. */
  readonly others: string[];
  readonly encode: (answer: Answer) => Uint8Array;
}

/** Questions under way at one time; past it a server answers by what it knows itself. */
export const MAX_QUESTIONS = 10_000;

/** What connections ask of jobs that other servers have: one server after the other, until one knows the job. */
export class Questions {
  readonly #state: ServerState;
  readonly #send: (member: string, question: Question) => number | undefined;
  readonly #asked = new Map<number, Asked>();

  /** @param send Asks a member. @returns the number under which its answer comes, or undefined when it is away. */
  constructor(state: ServerState, send: (member: string, question: Question) => number | undefined) {
    this.#state = state;
    this.#send = send;
  }

  /**
   * Asks for a connection, whose later replies wait.
   * @param encode The reply.
   * @returns false when nobody can be asked.
   */
  ask(
    peer: Peer,
    members: readonly string[],
    question: Question,
    encode: (answer: Answer) => Uint8Array,
  ): boolean {
    if (this.#asked.size >= MAX_QUESTIONS) return false;
    const owed: Owed = { peer, stored: undefined, packet: null };
    if (!this.#next({ owed, question, member: "", others: [...members], encode })) return false;
    sendWhenStored(this.#state, owed);
    return true;
  }

  answered(id: number, answer: Answer): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    if (answer === null && this.#next(asked)) return;
    const { owed, encode } = asked;
    owed.packet = encode(answer);
    owed.stored = true;
    releaseReplies(this.#state, owed.peer);
  }

  /** A member cannot be asked any more. */
  lost(member: string): void {
    for (const [id, asked] of [...this.#asked]) if (asked.member === member) this.answered(id, null);
  }

  #next(asked: Asked): boolean {
    for (let member = asked.others.shift(); member !== undefined; member = asked.others.shift()) {
      const id = this.#send(member, asked.question);
      if (id === undefined) continue;
      asked.member = member;
      this.#asked.set(id, asked);
      return true;
    }
    return false;
  }
}
