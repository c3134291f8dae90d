import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocketServer } from "ws";
import { verifiedCertificate } from "./certificate.ts";
import { readSubprotocols, SUBPROTOCOL } from "./subprotocols.ts";
import { numeric } from "./tcp.ts";
import { libraryOptions, WebSocketConnection, type WebSocketOptions } from "./websocket.ts";

export interface WebSocketUpgradeOptions extends WebSocketOptions {
  /**
   * Web pages that may connect, such as `https://jobs.example.com`: a browser says which one it shows. Who says nothing is no
   * browser, and let in. `any` where somebody else judges them before. Default: none.
   */
  readonly origins?: readonly string[] | "any";
  /** Told when an `admit` fails, which is answered with 500. */
  readonly onError?: (error: unknown) => void;
}

/** Why a request does not become a WebSocket. */
export interface UpgradeRefusal {
  readonly status: number;
  /** For the one who asks. */
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Says whether a request may become a WebSocket.
 * @param token Of the subprotocols; one of the header `Authorization` is in the request.
 */
export type Admit = (
  request: IncomingMessage,
  token: string | undefined,
) => UpgradeRefusal | undefined | Promise<UpgradeRefusal | undefined>;

/** Makes connections of the `upgrade` events of an HTTP server, which has judged the path already. */
export class WebSocketUpgrades {
  readonly #library: WebSocketServer;
  readonly #titles: Readonly<Record<number, string | undefined>>;
  readonly #options: WebSocketUpgradeOptions;
  readonly #origins: ReadonlySet<string> | "any";

  private constructor(
    library: WebSocketServer,
    titles: Readonly<Record<number, string | undefined>>,
    options: WebSocketUpgradeOptions,
  ) {
    this.#library = library;
    this.#titles = titles;
    this.#options = options;
    const { origins = [] } = options;
    this.#origins = origins === "any" ? origins : new Set(origins.map((origin) => origin.toLowerCase()));
  }

  static async create(options: WebSocketUpgradeOptions = {}): Promise<WebSocketUpgrades> {
    const [{ WebSocketServer }, { STATUS_CODES }] = await Promise.all([import("ws"), import("node:http")]);
    const library = new WebSocketServer({
      ...libraryOptions(options),
      noServer: true,
      clientTracking: false,
      handleProtocols: () => SUBPROTOCOL,
    });
    return new WebSocketUpgrades(library, STATUS_CODES, options);
  }

  /**
   * Opens a WebSocket, or refuses: with 403 for an origin that is not listed, 400 without the subprotocol `gearman`, or as
   * `admit` says.
   * @param onConnection Takes the connection; has to call its `attach` before it returns.
   */
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    onConnection: (connection: WebSocketConnection) => void,
    admit?: Admit,
  ): void {
    // HTTP listens for errors of it no more, and `ws` does not yet.
    const ignore = () => {};
    socket.on("error", ignore);
    const { isGearman, token } = readSubprotocols(request.headers["sec-websocket-protocol"]);
    const { origin } = request.headers;
    if (origin !== undefined && this.#origins !== "any" && !this.#origins.has(origin.toLowerCase())) {
      this.refuse(socket, { status: 403, detail: "pages of this origin may not connect" });
      return;
    }
    if (!isGearman) {
      this.refuse(socket, { status: 400, detail: `offer the subprotocol ${SUBPROTOCOL}` });
      return;
    }
    const decide = (refusal: UpgradeRefusal | undefined) => {
      if (socket.destroyed) return;
      if (refusal !== undefined) {
        this.refuse(socket, refusal);
        return;
      }
      this.#library.handleUpgrade(request, socket, head, (ws) => {
        socket.removeListener("error", ignore);
        const inner = socket as Socket;
        const certificate = verifiedCertificate(inner);
        const peer = {
          transport: "websocket" as const,
          address: numeric(inner.remoteAddress),
          port: inner.remotePort ?? 0,
          ...(certificate && { certificate }),
        };
        onConnection(new WebSocketConnection(ws, inner, peer, this.#options));
      });
    };
    if (admit === undefined) decide(undefined);
    else void this.#ask(admit, request, token).then(decide);
  }

  /** Answers an `upgrade` with an HTTP error, a problem of RFC 9457, and closes. */
  refuse(socket: Duplex, { status, detail, headers = {} }: UpgradeRefusal): void {
    socket.on("error", () => {});
    const title = this.#titles[status] ?? "";
    const body = JSON.stringify({ type: "about:blank", title, status, detail });
    const lines = Object.entries({
      ...headers,
      Connection: "close",
      "Content-Type": "application/problem+json",
      "Content-Length": Buffer.byteLength(body),
    }).map(([name, value]) => `${name}: ${value}`);
    socket.once("finish", () => socket.destroy());
    socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
  }

  async #ask(
    admit: Admit,
    request: IncomingMessage,
    token: string | undefined,
  ): Promise<UpgradeRefusal | undefined> {
    try {
      return await admit(request, token);
    } catch (error) {
      this.#options.onError?.(error);
      return { status: 500, detail: "it could not be found out whether this may connect" };
    }
  }
}
