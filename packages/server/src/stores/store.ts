import type { Commit, Fired, StoredJob } from "../core/index.ts";

/**
 * Where jobs with a background claim live, so that they survive the server. One server at a time has a store; whoever
 * comes second is refused.
 */
export interface Store {
  /** As an operator would name it, without secrets. */
  readonly name: string;
  /**
   * Everything that is stored, in the order of ids. To be read to its end before the first commit.
   * @throws StoreError
   */
  load(): AsyncIterable<readonly StoredJob[]>;
  /** When each schedule fired last. */
  fired(): Promise<readonly Fired[]>;
  /** How many rows `load` will give. */
  count(): Promise<number>;
  /**
   * Reserves `count` decimals of handles, and waits until that is stored: no server of this store will ever be given one of
   * them again, whatever its clock says.
   * @param wanted The first of them, if none from it on was reserved before.
   * @returns the first of them.
   */
  reserve(wanted: number, count: number): Promise<number>;
  /**
   * Does all of a commit or nothing. When it resolves it is on disk, and survives the loss of power. One at a time.
   * @throws StoreError when nothing has been changed, as far as can be told.
   */
  commit(commit: Commit): Promise<void>;
  /** Jobs of servers that have died, in a store that several share. */
  orphans(): Promise<number>;
  /**
   * Makes jobs of a server that has died this one's own, each for one server only, under new ids from `firstId` on. To be
   * called again with the same ids until it succeeds: then it gives what it gave, or would have given, the first time.
   * @throws StoreError
   */
  takeOver(firstId: number, limit: number): Promise<readonly StoredJob[]>;
  close(): Promise<void>;
}

/** For stores that one server has alone. */
export const NOT_SHARED: Pick<Store, "orphans" | "takeOver"> = {
  orphans: async () => 0,
  takeOver: async () => [],
};

/** A commit of nothing, for those that do one thing. */
export const NO_CHANGES: Commit = { puts: [], changes: [], deletes: [], fired: [] };

export type StoreErrorCode =
  /** Another server has it. */
  | "STORE_IN_USE"
  /** It cannot be opened, read or written: a file, a right, a full disk, a lost database. */
  | "STORE_UNAVAILABLE"
  /** It was made by a newer version. */
  | "STORE_TOO_NEW"
  /** It is something else than a store, or damaged. */
  | "STORE_DAMAGED";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  /** The message without the code. */
  readonly detail: string;

  constructor(code: StoreErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}
