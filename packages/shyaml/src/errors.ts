/** Codes of what shyaml cannot do. */
export type ShyamlErrorCode =
  | "ALIAS_RECURSIVE"
  | "FILE_NOT_WRITABLE"
  | "FILE_UNREADABLE"
  | "GIT_REFUSED"
  | "JSON_CANNOT_SAY"
  | "KEY_DUPLICATE"
  | "KUBECTL_FAILED"
  | "LIMIT_EXCEEDED"
  | "SECRET_REFUSED"
  | "OBJECT_INVALID"
  | "SETTING_INVALID"
  | "SORT_REFUSED"
  | "YAML_INVALID";

/** Where something stands in an input. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/**
 * What shyaml was asked cannot be done: exit code 2. The text begins with `file:line:column` where there is a place.
 * Codes are listed in docs/ERRORS.md.
 */
export class ShyamlError extends Error {
  override readonly name = "ShyamlError";
  readonly code: ShyamlErrorCode;
  readonly place: Place | undefined;
  constructor(code: ShyamlErrorCode, detail: string, place?: Place, options?: ErrorOptions) {
    const where = place === undefined ? "" : `${place.file}:${place.line}:${place.column}: `;
    super(`${where}${code}: ${detail}`, options);
    this.code = code;
    this.place = place;
  }
}
