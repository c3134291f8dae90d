/** What keeps the server from knowing who is who. */
export type AuthErrorCode = "AUTH_INVALID" | "TOKEN_FILE_EXPOSED" | "TOKEN_FILE_INVALID" | "TOKEN_UNKNOWN";

/** Identities or tokens cannot be used as they are. Codes are listed in docs/ERRORS.md. */
export class AuthError extends Error {
  override readonly name = "AuthError";
  readonly code: AuthErrorCode;
  constructor(code: AuthErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
