import { RE2JS, RE2JSException } from "re2js";
import { CONFIG_LIMITS } from "./limits.ts";

/**
 * A regular expression of the configuration. It is RE2's, as in Zuul, and takes time linear in the text: whoever may push
 * configuration may not stop the gate with it.
 */
export interface Regex {
  readonly pattern: string;
  /** Matches what the pattern does not. */
  readonly negate: boolean;
  /** Whether `text` begins with a match. */
  matches(text: string): boolean;
}

const LITERAL = /^\^?[\w/ =,:;~@%-]*$/;
const KEPT = 10_000;

/** By pattern, since most configuration repeats the same few. Emptied when it is full. */
const compiled = new Map<string, (text: string) => boolean>();

/** @returns The regular expression, or in a few words what is wrong with it. */
export function compileRegex(pattern: string, negate = false): Regex | string {
  let test = compiled.get(pattern);
  if (test === undefined) {
    const found = compile(pattern);
    if (typeof found === "string") return found;
    if (compiled.size >= KEPT) compiled.clear();
    compiled.set(pattern, found);
    test = found;
  }
  const test_ = test;
  return { pattern, negate, matches: negate ? (text) => !test_(text) : test_ };
}

function compile(pattern: string): ((text: string) => boolean) | string {
  if (pattern.length > CONFIG_LIMITS.maxRegexLength) {
    return `a regular expression may have ${CONFIG_LIMITS.maxRegexLength} characters, not ${pattern.length}`;
  }
  if (LITERAL.test(pattern)) {
    const start = pattern.startsWith("^") ? pattern.slice(1) : pattern;
    return (text) => text.startsWith(start);
  }
  let repeats = 0;
  for (const [, low, high] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) repeats += Number(high || low);
  if (repeats > CONFIG_LIMITS.maxRegexRepeats) {
    return `a regular expression may repeat ${CONFIG_LIMITS.maxRegexRepeats} times in all, not ${repeats}`;
  }
  try {
    const regex = RE2JS.compile(pattern);
    return (text) => regex.matcher(text).lookingAt();
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    if (/\(\?<?[!=]/.test(pattern)) {
      return `${JSON.stringify(pattern)} looks ahead or behind, which RE2 cannot; use {regex: …, negate: true}`;
    }
    return error.message;
  }
}

/** Whether any of them matches. */
export function anyMatches(regexes: readonly Regex[], text: string): boolean {
  return regexes.some((regex) => regex.matches(text));
}

/** As it is told to people. */
export function showRegex({ pattern, negate }: Regex): string {
  return negate ? `not ${pattern}` : pattern;
}
