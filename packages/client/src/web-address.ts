import { TransportError, WEBSOCKET_PATH } from "@drover/transport";

/* Addresses that a page can reach. */

/** A plain WebSocket goes to Drover itself, as in Node; all else to where a browser would go. */
const PLAIN_WEBSOCKET_PORT = "4780";

/**
 * Reads `wss://host:port/path` and `https://host:port/prefix`, or the same without the `s`. A WebSocket's path is `/v1/ws`
 * where there is none.
 * @throws TransportError `ADDRESS_INVALID`
 */
export function webAddress(text: string): URL {
  const [, authority] = /^(?:ws|http)s?:\/\/([^/?#@\s]+)(?:\/[^?#\s]*)?$/i.exec(text) ?? [];
  if (authority === undefined || !URL.canParse(text)) {
    throw new TransportError(
      "ADDRESS_INVALID",
      `${JSON.stringify(text)} is nothing that a page can reach: write wss://host for a WebSocket, https://host for requests`,
    );
  }
  const url = new URL(text);
  if (url.protocol.startsWith("ws") && url.pathname === "/") url.pathname = WEBSOCKET_PATH;
  if (url.protocol === "ws:" && !/:\d+$/.test(authority)) url.port = PLAIN_WEBSOCKET_PORT;
  return url;
}

/** A WebSocket to where the page comes from. */
export function ownWebSocket(page: URL): string {
  const scheme = page.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${page.hostname}:${page.port || (scheme === "wss" ? 443 : 80)}`;
}
