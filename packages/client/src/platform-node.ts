import { createHash } from "node:crypto";
import { type Connection, dial, parseAddress } from "@drover/transport";

/*
 * What differs between Node and browsers, for Node. `platform-browser.ts` has the same names; which of them is `#platform`
 * is said by package.json, and chosen by who bundles.
 */

/** What a connection is made with, besides its address. */
export interface DialTerms {
  /** For transports that want it before the first byte. */
  readonly token: string | undefined;
  /** Jobs at a time, where it is a worker's. */
  readonly slots?: number;
}

/** Where a server is when nobody says. */
export function defaultServer(): string {
  return "localhost:4730";
}

/** @throws TransportError `ADDRESS_INVALID` */
export function checkServer(server: string): void {
  parseAddress(server);
}

export function dialServer(server: string, signal: AbortSignal, { token }: DialTerms): Promise<Connection> {
  return dial(server, { signal, ...(token === undefined ? {} : { webSocket: { token } }) });
}

/** The UTF-8 of a text. */
export function encodeText(text: string): Uint8Array {
  // Node's buffers share memory while they are small, which a `TextEncoder`'s arrays do not.
  return Buffer.from(text);
}

/** Memory that is not shared, with anything in it. */
export function allocate(bytes: number): Uint8Array {
  return Buffer.allocUnsafeSlow(bytes);
}

/** Runs it behind the promises that this turn settles. */
export function runLater(run: () => void): void {
  process.nextTick(run);
}

/** SHA-256 in base64url: 43 characters. Absent where it cannot be had at once. */
export const sha256: ((bytes: Uint8Array) => string) | undefined = (bytes) =>
  createHash("sha256").update(bytes).digest("base64url");
