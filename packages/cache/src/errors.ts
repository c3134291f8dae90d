/** Codes of the cache's errors. */
export type CacheErrorCode =
  | "BATCH_TOO_LARGE"
  | "CACHE_CLOSED"
  | "CACHE_TIMEOUT"
  | "COMPUTATION_FAILED"
  | "INVALIDATION_LOST"
  | "KEY_INVALID"
  | "NOBODY_COMPUTES"
  | "STORE_SLOW"
  | "TOO_MANY_FLIGHTS"
  | "TOO_MANY_WAITERS";

/** What all errors of the cache have in common: a stable code. Codes are listed in docs/ERRORS.md. */
export class CacheError extends Error {
  override readonly name: string = "CacheError";
  readonly code: CacheErrorCode;
  constructor(code: CacheErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** The computation threw, or a failure less than `failureMs` ago is remembered. All who wait get it; later ones try again. */
export class ComputationFailed extends CacheError {
  override readonly name = "ComputationFailed";
  constructor(detail: string, options?: ErrorOptions) {
    super("COMPUTATION_FAILED", detail, options);
  }
}
