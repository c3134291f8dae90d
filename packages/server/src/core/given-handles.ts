import type { Peer } from "./peer.ts";

/** A background job that another member has. */
interface Given {
  readonly member: string;
  /** There. */
  readonly handle: string;
  readonly fn: string;
}

/** Handles remembered. */
const MAX_GIVEN = 10_000;

/** The handles that this server gave to background jobs of others, so that those can be asked about them. */
export class GivenHandles {
  readonly #given = new Map<number, Given>();

  /** Remembers one; the oldest goes when there are too many. */
  add(number: number, given: Given): void {
    this.#given.set(number, given);
    if (this.#given.size <= MAX_GIVEN) return;
    for (const oldest of this.#given.keys()) {
      this.#given.delete(oldest);
      break;
    }
  }

  /** The job of a handle, if the connection may know. */
  find(peer: Peer, number: number): Given | undefined {
    const given = this.#given.get(number);
    return given !== undefined && peer.identity.mayLookAt(given.fn) ? given : undefined;
  }
}
