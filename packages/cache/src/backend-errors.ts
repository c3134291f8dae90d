/** Codes of `BackendError`. */
export type BackendErrorCode =
  | "BACKEND_BROKEN"
  | "BACKEND_BUSY"
  | "BACKEND_CLOSED"
  | "BACKEND_CONTENDED"
  | "BACKEND_KEY_INVALID"
  | "BACKEND_LOST"
  | "BACKEND_OPTION_INVALID"
  | "BACKEND_REFUSED"
  | "BACKEND_TIMEOUT"
  | "BACKEND_UNAVAILABLE"
  | "BACKEND_VALUE_TOO_LARGE";

/** A store did not do what was asked. Codes are listed in docs/ERRORS.md. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  readonly code: BackendErrorCode;
  constructor(code: BackendErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
