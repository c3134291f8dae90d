const PARENT = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}";
/** Later versions may have more behind what the first one has. */
const TRACEPARENT = new RegExp(`^(?:00-${PARENT}|(?!00|ff)[0-9a-f]{2}-${PARENT}(?:-[0-9A-Za-z._-]{0,72})?)$`);

/** Whether a text is a `traceparent` of W3C's Trace Context, of at most 128 characters. */
export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text);
}
