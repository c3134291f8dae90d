import { TransportError } from "./errors.ts";

/* What holds for WebSockets of Node and of browsers alike. */

/** Path of WebSockets where an address names none. */
export const WEBSOCKET_PATH = "/v1/ws";

/** Bytes of a message sent, at most. */
export const MESSAGE_BYTES = 64 * 1024;

/** What the peer's close code says went wrong: nothing at 1000, at 1001 (it goes away) and without a code. */
export function closeError(name: string, code: number, reason: string): TransportError | undefined {
  if (code === 1000 || code === 1001 || code === 1005) return undefined;
  if (code === 1006) {
    return new TransportError("CONNECTION_LOST", `connection with ${name} broke (no close frame)`);
  }
  return new TransportError(
    "WEBSOCKET_CLOSED",
    `${name} closed with ${code}${reason === "" ? "" : ` ${JSON.stringify(reason)}`}`,
  );
}
