import { byteStringOfText, bytesOf } from "@drover/protocol";
import { type Connection, dialBrowserWebSocket } from "@drover/transport";
import { InvalidArgument, Unauthenticated } from "./errors.ts";
import { FetchConnection, probe } from "./fetch-connection.ts";
import { HttpApi } from "./http-api.ts";
import type { DialTerms } from "./platform-node.ts";
import { besideWebSocket, ownWebSocket, webAddress } from "./web-address.ts";

/* What differs between Node and browsers, for browsers. */

export type { DialTerms };

export function defaultServer(): string {
  const { location } = globalThis as { location?: { readonly href: string } };
  const page = location === undefined ? undefined : new URL(location.href);
  if (page?.protocol !== "http:" && page?.protocol !== "https:") {
    throw new InvalidArgument("servers is missing, and this page comes from no server");
  }
  return ownWebSocket(page);
}

export function checkServer(server: string): void {
  webAddress(server);
}

export async function dialServer(
  server: string,
  signal: AbortSignal,
  { token, slots }: DialTerms,
): Promise<Connection> {
  const url = webAddress(server);
  if (url.protocol.startsWith("http")) return FetchConnection.open(url, { token, slots, signal });
  try {
    return await dialBrowserWebSocket(url.href, { token, signal });
  } catch (error) {
    signal.throwIfAborted();
    // A page is not told why there is no WebSocket; a request beside it is, if it is the token.
    const http = besideWebSocket(url);
    if (http !== undefined)
      await probe(new HttpApi(http, token, signal), server, signal).catch(rethrowShutOut);
    throw error;
  }
}

function rethrowShutOut(error: unknown): void {
  if (error instanceof Unauthenticated) throw error;
}

export function encodeText(text: string): Uint8Array {
  return bytesOf(byteStringOfText(text));
}

export function allocate(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

/** No timer, since those of a page in the background are slow. */
export function runLater(run: () => void): void {
  queueMicrotask(run);
}

/** Browsers hash in their own time, and only where the page came by TLS. */
export const sha256 = undefined as ((bytes: Uint8Array) => string) | undefined;
