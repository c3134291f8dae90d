import { byteStringOfText, bytesOf } from "@drover/protocol";
import { type Connection, dialBrowserWebSocket } from "@drover/transport";
import { InvalidArgument, Unauthenticated } from "./errors.ts";
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
  if (url.protocol.startsWith("http")) {
    // Loaded by who needs it.
    const { FetchConnection } = await import("./fetch-connection.ts");
    return FetchConnection.open(url, { token, slots, signal });
  }
  try {
    return await dialBrowserWebSocket(url.href, { token, signal });
  } catch (error) {
    signal.throwIfAborted();
    const http = besideWebSocket(url);
    if (http !== undefined) await tellShutOut(http, token, server, signal);
    throw error;
  }
}

/**
 * A page is not told why there is no WebSocket, but it is why a request beside it is refused.
 * @throws Unauthenticated when it is the token
 */
async function tellShutOut(
  http: URL,
  token: string | undefined,
  server: string,
  signal: AbortSignal,
): Promise<void> {
  const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  const asked = fetch(new URL("v1/echo", http), { method: "POST", signal, ...(headers && { headers }) });
  const response = await asked.catch(() => undefined);
  if (response?.status !== 401) return;
  const { detail = "401" } = (await response.json().catch(() => ({}))) as { detail?: string };
  throw new Unauthenticated(server, detail);
}

export function encodeText(text: string): Uint8Array {
  return bytesOf(byteStringOfText(text));
}

/** The connection joins them itself. */
export function sendJoined(connection: Connection, chunks: readonly Uint8Array[]): boolean {
  return connection.send(chunks);
}

/** No timer, since those of a page in the background are slow. */
export function runLater(run: () => void): void {
  queueMicrotask(run);
}

/** Browsers hash in their own time, and only where the page came by TLS. */
export const sha256 = undefined as ((bytes: Uint8Array) => string) | undefined;
