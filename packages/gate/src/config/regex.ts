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
  /** Whether there is a match anywhere in `text`. */
  isIn(text: string): boolean;
}

type Test = Pick<Regex, "matches" | "isIn">;

const LITERAL = /^\^?[\w/ =,:;~@%-]*$/;
const KEPT = 10_000;

/** By pattern, since most configuration repeats the same few. Emptied when it is full. */
const compiled = new Map<string, Test>();

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
  const { matches, isIn } = test;
  if (!negate) return { pattern, negate, matches, isIn };
  return { pattern, negate, matches: (text) => !matches(text), isIn: (text) => !isIn(text) };
}

function compile(pattern: string): Test | string {
  if (pattern.length > CONFIG_LIMITS.maxRegexLength) {
    return `a regular expression may have ${CONFIG_LIMITS.maxRegexLength} characters, not ${pattern.length}`;
  }
  if (LITERAL.test(pattern)) {
    const isAtStart = pattern.startsWith("^");
    const literal = isAtStart ? pattern.slice(1) : pattern;
    const matches = (text: string): boolean => text.startsWith(literal);
    return { matches, isIn: isAtStart ? matches : (text) => text.includes(literal) };
  }
  let repeats = 0;
  for (const [, low, high] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) repeats += Number(high || low);
  if (repeats > CONFIG_LIMITS.maxRegexRepeats) {
    return `a regular expression may repeat ${CONFIG_LIMITS.maxRegexRepeats} times in all, not ${repeats}`;
  }
  try {
    const regex = RE2JS.compile(pattern);
    return { matches: (text) => regex.matcher(text).lookingAt(), isIn: (text) => regex.matcher(text).find() };
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
