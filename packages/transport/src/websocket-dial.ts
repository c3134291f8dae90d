import net from "node:net";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import { verifiedCertificate } from "./certificate.ts";
import { attempt } from "./dial-attempt.ts";
import { dialError, TransportError } from "./errors.ts";
import { SUBPROTOCOL } from "./subprotocols.ts";
import { numeric, type SocketDialOptions, tune } from "./tcp.ts";
import { TlsClient, type TlsClientOptions } from "./tls.ts";
import { libraryOptions, WebSocketConnection, type WebSocketOptions } from "./websocket.ts";

export interface WebSocketClientOptions extends Omit<WebSocketOptions, "endGraceMs"> {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** Further headers of the request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WebSocketDialOptions extends SocketDialOptions {
  readonly tls?: TlsClientOptions;
  readonly webSocket?: WebSocketClientOptions;
}

/**
 * Connects to `ws://host:port/path` or `wss://…`; `dial` does so too.
 * @throws TransportError `UPGRADE_REFUSED`, `CERTIFICATE_INVALID`, `TLS_FAILED`, and those of `dialSocket`
 */
export async function dialWebSocket(
  address: string | Address,
  options: WebSocketDialOptions = {},
): Promise<WebSocketConnection> {
  const where = typeof address === "string" ? parseAddress(address) : address;
  const name = formatAddress(where);
  if (where.transport !== "websocket") {
    throw new TransportError("ADDRESS_INVALID", `${name} is no WebSocket's: write ws:// or wss://`);
  }
  const { host, port, secure } = where;
  const { token, headers, ...webSocket } = options.webSocket ?? {};
  const settings = {
    ...webSocket,
    ...(options.endGraceMs === undefined ? {} : { endGraceMs: options.endGraceMs }),
  };
  const [{ WebSocket }, client] = await Promise.all([
    import("ws"),
    secure ? TlsClient.of(name, host, options.tls) : undefined,
  ]);
  return attempt(name, options, (connected, failed) => {
    let socket!: net.Socket;
    const ws = new WebSocket(name, [SUBPROTOCOL], {
      ...libraryOptions(settings),
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      createConnection: () => {
        socket = client === undefined ? net.connect({ host, port }) : client.connect(where);
        return socket;
      },
    });
    ws.on("error", (error) => {
      failed(client?.isSecure === false ? client.dialError(error) : upgradeError(name, error));
    });
    ws.once("unexpected-response", (_request, { statusCode = 0 }) => {
      failed(new TransportError("UPGRADE_REFUSED", `${name} answered ${statusCode}${hint(statusCode)}`));
    });
    ws.once("open", () => {
      tune(socket, options);
      const certificate = verifiedCertificate(socket);
      const address = numeric(socket.remoteAddress);
      const peer = { transport: "websocket" as const, address, port, ...(certificate && { certificate }) };
      connected(new WebSocketConnection(ws, socket, peer, settings));
    });
    return () => ws.terminate();
  });
}

function upgradeError(name: string, error: Error): TransportError {
  const { code } = error as NodeJS.ErrnoException;
  // Those of `ws` have no code, those of HTTP's parser begin with HPE; and who is no HTTP server hangs up.
  if (code !== undefined && code !== "ECONNRESET" && !code.startsWith("HPE_")) return dialError(name, error);
  return new TransportError(
    "UPGRADE_REFUSED",
    `${name} gave no WebSocket for Gearman (${code ?? error.message}): is it a job server's HTTP address?`,
    { cause: error },
  );
}

function hint(status: number): string {
  switch (status) {
    case 401:
      return ": it wants a token that it knows";
    case 403:
      return ": this token, or this origin, may not";
    case 404:
      return ": is the path right?";
    default:
      return ", not a WebSocket: is it a job server's address?";
  }
}
