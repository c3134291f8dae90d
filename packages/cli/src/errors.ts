import type { ForgeErrorCode } from "@drover/gate";

/** What a user can do something about. Codes are listed in docs/ERRORS.md. */
export type CliErrorCode =
  | "ADDRESS_EXPOSED"
  | "ADMIN_REFUSED"
  | "CONFIG_INVALID"
  | "DEMO_WRONG"
  | "DRILL_FAILED"
  | "GATE_REFUSED"
  | "NEEDS_DROVER"
  | "FILE_NOT_WRITABLE"
  | "INPUT_BAD"
  | "INPUT_UNREADABLE"
  | "INPUT_UNSORTED"
  | "OPTION_REFUSED"
  | "OPTION_INVALID"
  | "PID_FILE_HELD"
  | "PORT_TAKEN"
  | "SERVER_SILENT"
  | "START_FAILED"
  | "STORE_DAMAGED"
  | "STORE_IN_USE"
  | "TOKEN_UNREADABLE"
  | "UNAUTHENTICATED"
  | "USER_UNKNOWN";

/** The command cannot do what it was asked, and says what to change. Ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code: CliErrorCode;
  constructor(code: CliErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** The command was understood and failed; a gate's refusal keeps the gate's own code. Ends the program with exit code 1. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly code: CliErrorCode | ForgeErrorCode;
  constructor(code: CliErrorCode | ForgeErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
