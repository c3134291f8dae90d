export type TrialErrorCode = "CLONE_UNUSABLE" | "TRIAL_REFUSED";

/** What is in some clones cannot be tried. */
export class TrialError extends Error {
  override readonly name = "TrialError";
  readonly code: TrialErrorCode;

  constructor(code: TrialErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}
