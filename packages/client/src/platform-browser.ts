import { byteStringOfText, bytesOf } from "@drover/protocol";
import { type Connection, dialBrowserWebSocket } from "@drover/transport";
import { InvalidArgument } from "./errors.ts";
import { SmallPacketStream } from "./packet-stream.ts";
import type { DialTerms } from "./platform-node.ts";
import { ownWebSocket, webAddress } from "./web-address.ts";

/* What differs between Node and browsers, for browsers. */

export type { DialTerms };
export { SmallPacketStream as PacketStream };

export function defaultServer(): string {
  const { location } = globalThis as { location?: { readonly href: string } };
  const page = location === undefined ? undefined : new URL(location.href);
  if (page?.protocol !== "http:" && page?.protocol !== "https:") {
    throw new InvalidArgument("name servers: this page comes from none");
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
  const isWebSocket = url.protocol.startsWith("ws");
  let unavailable: unknown;
  try {
    if (isWebSocket) return await dialBrowserWebSocket(url.href, { token, signal });
  } catch (error) {
    signal.throwIfAborted();
    unavailable = error;
  }
  // Loaded by who needs it.
  const { FetchConnection } = await import("./fetch-connection.ts");
  if (!isWebSocket) return FetchConnection.open(url, { token, slots, signal });
  await FetchConnection.tellShutOut(url, server, { token, signal });
  throw unavailable;
}

/** Pages that trace are few. One that cannot load this works on, and is not traced. */
export function loadTracing() {
  return import("./tracing.ts").catch(() => undefined);
}

/** A page that cannot load this works on with its first server. */
export function loadRouting() {
  return import("./routing/index.ts").catch(() => undefined);
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
