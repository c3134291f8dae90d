export type ForgeErrorCode =
  | "CHANGE_CLOSED"
  | "CHANGE_UNKNOWN"
  | "FORGE_LIMIT"
  | "IMPORT_FAILED"
  | "LANDING_KEY_REUSED"
  | "LANDING_UNFINISHED"
  | "NOT_PERMITTED"
  | "PROJECT_EXISTS"
  | "PROJECT_NAME_INVALID"
  | "PROJECT_UNKNOWN"
  | "PROJECT_UNREADABLE"
  | "REVISION_UNKNOWN"
  | "TOKEN_UNKNOWN"
  | "USER_INVALID"
  | "USER_UNKNOWN";

/** The forge does not do what was asked. */
export class ForgeError extends Error {
  override readonly name = "ForgeError";
  readonly code: ForgeErrorCode;

  constructor(code: ForgeErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** A ref of a push is not taken; the text is for the one who pushed. */
export class PushRefused extends Error {
  override readonly name = "PushRefused";
}
