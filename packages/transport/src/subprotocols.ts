/** What a WebSocket that carries Gearman packets is opened with. */
export const SUBPROTOCOL = "gearman";
const BEARER = "gearman.bearer.";

export interface OfferedSubprotocols {
  /** `gearman` is among them, and a token, if any, can be read. */
  readonly isGearman: boolean;
  /** Of `gearman.bearer.<base64url token>`, by which browsers, which cannot set headers, say who they are. */
  readonly token: string | undefined;
}

/** The subprotocol that shows a token of visible ASCII. */
export function bearerSubprotocol(token: string): string {
  return BEARER + btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads the header `Sec-WebSocket-Protocol` of a request. */
export function readSubprotocols(header: string | undefined): OfferedSubprotocols {
  const offered = (header ?? "").split(",").map((one) => one.trim());
  const tokens = offered.filter((one) => one.startsWith(BEARER)).map((one) => one.slice(BEARER.length));
  if (!offered.includes(SUBPROTOCOL) || tokens.length > 1) return { isGearman: false, token: undefined };
  if (tokens.length === 0) return { isGearman: true, token: undefined };
  const bytes = Buffer.from(tokens[0]!, "base64url");
  const token = bytes.toString();
  const isText = Buffer.from(token).equals(bytes);
  // Not everything that decodes is what the same token would be encoded to.
  const isReadable = isText && bytes.length > 0 && bytes.toString("base64url") === tokens[0];
  return { isGearman: isReadable, token: isReadable ? token : undefined };
}
