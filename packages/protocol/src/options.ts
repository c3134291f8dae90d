import { ProtocolError } from "./errors.ts";

/*
 * The options argument of SUBMIT_JOB_EXT and JOB_ASSIGN_EXT: `key=value` pairs joined by `&`, bytes other than letters,
 * digits, `-`, `.`, `_` and `~` written as `%XX`. Bytes, not text, so that a function name of any bytes fits.
 */

const SPECIAL = /[^A-Za-z0-9\-._~]/g;

/** Encodes options given as byte strings. An `undefined` value leaves its key out. */
export function encodeOptions(options: Readonly<Record<string, string | undefined>>): string {
  let text = "";
  for (const key of Object.keys(options)) {
    const value = options[key];
    if (value === undefined) continue;
    text += `${text === "" ? "" : "&"}${encoded(key)}=${encoded(value)}`;
  }
  return text;
}

/**
 * Decodes an options argument into byte strings. Of a key given twice the last counts; a key without `=` has an empty
 * value; `+` is a space, as in a URL's query.
 * @throws ProtocolError `MALFORMED_PACKET` at a `%` without two hexadecimal digits.
 */
export function decodeOptions(text: string): Map<string, string> {
  const options = new Map<string, string>();
  if (text === "") return options;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair : pair.slice(0, equals);
    options.set(decoded(key), equals < 0 ? "" : decoded(pair.slice(equals + 1)));
  }
  return options;
}

function encoded(bytes: string): string {
  return bytes.replace(
    SPECIAL,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function decoded(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  return text.replaceAll("+", " ").replace(/%(.{0,2})/gs, (_, digits: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) {
      throw new ProtocolError("MALFORMED_PACKET", `%${digits} in an options argument is no byte`);
    }
    return String.fromCharCode(Number.parseInt(digits, 16));
  });
}
