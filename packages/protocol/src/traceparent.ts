/** Later versions than 00, whose end is known, may have more behind what the first one has; ff is none. */
const TRACEPARENT =
  /^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\w.-]{0,72})?$/;

/** Whether a text is a `traceparent` of W3C's Trace Context, of at most 128 characters. */
export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text);
}

const MAX_TRACESTATE_CHARS = 512;
const MAX_MEMBERS = 32;
/** Without the blanks around it, so that a value never ends with one. */
const MEMBER = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;

/**
 * Whether a text is a `tracestate` of W3C's Trace Context, of at most 512 characters: 1 to 32 members, between which there may
 * be blanks and empty ones.
 */
export function isTracestate(text: string): boolean {
  if (text.length > MAX_TRACESTATE_CHARS) return false;
  const members = text.split(",").map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""));
  const named = members.filter((member) => member !== "");
  return named.length > 0 && named.length <= MAX_MEMBERS && named.every((member) => MEMBER.test(member));
}
