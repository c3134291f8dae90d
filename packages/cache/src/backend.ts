/*
 * What the cache needs of a store: memory, memcached and Redis do it alike. A backend knows bytes and times to live; what
 * the bytes mean (expiry, version, error) is the cache's, in core/value.ts.
 */

/** A store that a cache keeps its values in. What it loses is computed again; what it invents is not noticed. */
export interface CacheBackend {
  /**
   * Reads keys, in one round trip where it can.
   * @returns One answer for each key, in their order; an error where the key's node does not answer or answered amiss.
   * Rejects only when closed.
   */
  get(keys: readonly string[], options?: GetOptions): Promise<readonly (CacheEntry | Error)[]>;
  /**
   * Replaces what a key holds by what `change` makes of it, as one step: when another writer came between, `change` is asked
   * again about what that one wrote. Ends the key's election.
   * @returns Whether something was stored: false when `change` wanted nothing. Rejects when the store does not answer, refuses
   * the value, or others came between too often.
   */
  set(key: string, change: Change): Promise<boolean>;
  /**
   * As `set`, but never leaves what was held: when others come between too often, the key is removed. Rejects when what was
   * held may still be there.
   */
  invalidate(key: string, change: Change): Promise<void>;
  /** Lets go of connections. Whatever waits rejects. */
  close(): Promise<void>;
}

/** From 1 to 200 printable ASCII characters without a space are what keys consist of: a backend may add 50 of its own. */
export const MAX_BACKEND_KEY_BYTES = 200;

export interface GetOptions {
  /**
   * Holds an election: of all who ask for the key with this, one is `elected`, and for so long no other. It ends before when
   * the key is set or invalidated. A store that counts in seconds rounds up.
   */
  readonly electMs?: number | undefined;
}

/** What a key holds. */
export interface CacheEntry {
  /** As it was stored. Undefined when there is nothing; an election leaves nothing that could be taken for a value. */
  readonly value: Uint8Array | undefined;
  /** Whether this reader is the one who should compute, whatever is held. False without `electMs`. */
  readonly elected: boolean;
}

/** What is to be stored in place of what is held, if anything; undefined leaves that. Pure: may be asked several times. */
export type Change = (held: Uint8Array | undefined) => Replacement | undefined;

export interface Replacement {
  readonly value: Uint8Array;
  /** For how long, above 0. A store that counts in seconds rounds up. */
  readonly ttlMs: number;
}
