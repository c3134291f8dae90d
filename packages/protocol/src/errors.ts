/** Codes of `ERROR` packets that Drover sends. Three are its own, the others gearmand's; other servers may send others. */
export type WireErrorCode =
  | "ARGUMENT_TOO_LARGE"
  | "FORBIDDEN"
  | "INVALID_ARGUMENT"
  | "INVALID_COMMAND"
  | "INVALID_MAGIC"
  | "JOB_NOT_FOUND"
  | "NOTHING_HELD"
  | "QUEUE_ERROR"
  | "STATE_LOST"
  | "RATE_LIMITED"
  | "UNAUTHENTICATED"
  | "UNKNOWN_OPTION";

/** Codes of `ProtocolError`. */
export type ProtocolErrorCode =
  | "BAD_MAGIC"
  | "BODY_TOO_LARGE"
  | "LINE_TOO_LONG"
  | "MALFORMED_PACKET"
  | "NUL_IN_ARGUMENT"
  | "UNEXPECTED_PACKET";

/** The peer (or the caller) broke the wire protocol. Codes are listed in docs/ERRORS.md. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: ProtocolErrorCode;
  constructor(code: ProtocolErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
