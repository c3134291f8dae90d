import { BackendError } from "../backend-errors.ts";

/** Longest key, as it is sent. */
export const MAX_KEY_BYTES = 250;

/** Longest time to live that memcached takes for a length; above, it takes the number for a date. */
const MAX_RELATIVE_TTL_S = 2_592_000;

const MAX_FLAGS = 0xffff_ffff;

/** A key as it is sent: as it is, or in base64 where it holds what no key may. */
export interface WireKey {
  readonly text: string;
  readonly base64: boolean;
}

/**
 * A text of printable ASCII goes as it is; other texts in UTF-8, and bytes, in base64, of which memcached stores the bytes.
 * @throws BackendError `BACKEND_KEY_INVALID`
 */
export function wireKey(key: string | Uint8Array): WireKey {
  const plain = typeof key === "string" && /^[\x21-\x7e]*$/.test(key);
  const text = plain ? key : Buffer.from(key as string).toString("base64");
  if (text.length === 0) throw new BackendError("BACKEND_KEY_INVALID", "a key is empty");
  if (text.length > MAX_KEY_BYTES) {
    const why = plain ? "" : " in base64";
    throw new BackendError(
      "BACKEND_KEY_INVALID",
      `a key has ${text.length} bytes${why}, memcached takes ${MAX_KEY_BYTES}: hash what is longer`,
    );
  }
  return { text, base64: !plain };
}

/** One token of a meta command: its letter, and the argument where it takes one. */
export type Token = readonly [letter: string, argument?: string | number | undefined];

/** The line of a meta command, with its end. */
export function metaLine(
  verb: "mg" | "ms" | "md" | "ma",
  key: WireKey,
  tokens: readonly Token[],
  bytes?: number,
) {
  let line = `${verb} ${key.text}`;
  if (bytes !== undefined) line += ` ${bytes}`;
  if (key.base64) line += " b";
  for (const [letter, argument = ""] of tokens) line += ` ${letter}${argument}`;
  return `${line}\r\n`;
}

/**
 * The argument of `T`.
 * @param ttlS Whole seconds, above 0; undefined for no end.
 */
export function ttlArgument(ttlS: number | undefined, nowMs: number): number {
  if (ttlS === undefined) return 0;
  // 0 would mean no end, and below 0 at once: neither is what a length says.
  checkWhole("ttlS", ttlS, 1, Number.MAX_SAFE_INTEGER);
  if (ttlS <= MAX_RELATIVE_TTL_S) return ttlS;
  // The date is in 32 bits with a sign on servers of today.
  return Math.min(Math.floor(nowMs / 1_000) + ttlS, 0x7fff_ffff);
}

/** The argument of `N` and `R`, which are lengths only. */
export function lengthArgument(name: string, seconds: number): number {
  return checkWhole(name, seconds, 1, MAX_RELATIVE_TTL_S);
}

export function flagsArgument(flags: number): number {
  // A placeholder is told from an empty value by its flags, which are 0.
  return checkWhole("flags", flags, 1, MAX_FLAGS);
}

export function checkWhole(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new BackendError(
    "BACKEND_OPTION_INVALID",
    `${name} is ${value}, not a whole number from ${min} to ${max}`,
  );
}
