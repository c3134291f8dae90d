import { ClientSession, NOBODY, type Packet, PacketType, ProtocolError, packetName } from "@drover/protocol";
import type { Connection } from "@drover/transport";
import { showToken } from "./authentication.ts";
import { Channel } from "./channel.ts";
import { Unauthenticated } from "./errors.ts";
import { Heartbeat, PING } from "./heartbeat.ts";

/** What happened on the way to a server; for logs. */
export type Notice =
  | { readonly type: "connected"; readonly server: string; readonly drover: boolean }
  | { readonly type: "unreachable"; readonly server: string; readonly error: Error }
  | { readonly type: "disconnected"; readonly server: string; readonly error: Error | undefined }
  /** The list of servers was read, and is another one: their names. */
  | { readonly type: "servers read"; readonly server: string }
  /** It could not be read, or not be used; these stay in use. */
  | { readonly type: "servers kept"; readonly server: string; readonly error: Error }
  /** The server sent an `ERROR` that answers no request. */
  | { readonly type: "server error"; readonly server: string; readonly code: string; readonly text: string };

export interface ServerConnectionOptions {
  readonly maxPacketBytes: number;
  readonly heartbeatMs: number;
  /** Asks for exceptions, instead of plain failures. */
  readonly exceptions: boolean;
  /** Shown to the server before anything else. */
  readonly token?: string | undefined;
  readonly notice: (notice: Notice) => void;
}

/** Name of the option by which peers agree on Drover's extensions. */
export const DROVER_OPTION = "drover.1";

/** A client's connection with one server, once they have agreed on options. */
export class ServerConnection {
  readonly server: string;
  readonly session: ClientSession;
  /** The server knows Drover's extensions. */
  drover = false;
  over = false;
  /** Told once when the connection is over; to be set when it was handed over. */
  onLost: (error: Error | undefined) => void = () => {};
  readonly #channel: Channel;
  readonly #heartbeat: Heartbeat;
  readonly #notice: (notice: Notice) => void;

  /**
   * To be called in the turn in which `connection` was handed over. Rejects when the connection ends before the server
   * has answered.
   */
  static async open(
    connection: Connection,
    server: string,
    options: ServerConnectionOptions,
    signal: AbortSignal,
  ): Promise<ServerConnection> {
    const opened = new ServerConnection(connection, server, options);
    const abort = () => opened.#channel.destroy(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await opened.#agree(options);
      return opened;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  private constructor(connection: Connection, server: string, options: ServerConnectionOptions) {
    this.server = server;
    this.#notice = options.notice;
    this.#channel = new Channel(
      connection,
      { packet: (packet) => this.#receive(packet), closed: (error) => this.#closed(error) },
      options.maxPacketBytes,
    );
    this.session = new ClientSession(this.#channel);
    this.#heartbeat = Heartbeat.of(this.#channel, this.session, server, options.heartbeatMs);
  }

  /** Sends what is written, then closes. */
  end(): void {
    this.#channel.end();
  }

  destroy(reason: Error): void {
    this.#channel.destroy(reason);
  }

  /** Asks for the options and, in case that a server passes over such requests in silence, for an echo behind them. */
  #agree({ exceptions, token }: ServerConnectionOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: Unauthenticated) => {
        // Before the echo's answer, which may have come together with the refusal.
        reject(error);
        this.destroy(error);
      };
      if (token !== undefined) showToken(this.session, this.server, token, fail);
      if (exceptions) {
        this.session.option("exceptions", {
          ...NOBODY,
          refused: ({ code, text }) => {
            if (code === "UNAUTHENTICATED") fail(new Unauthenticated(this.server, text));
          },
        });
      }
      this.session.option(DROVER_OPTION, {
        ...NOBODY,
        answer: () => {
          this.drover = true;
          this.session.replays = true;
        },
      });
      this.onLost = (error) => reject(error ?? new Error(`${this.server} closed the connection at once`));
      this.session.echo(PING, { ...NOBODY, answer: () => resolve() });
    });
  }

  #receive(packet: Packet): void {
    if (this.session.receive(packet)) return;
    if (packet.type !== PacketType.ERROR) {
      throw new ProtocolError("UNEXPECTED_PACKET", `${packetName(packet.type)} was sent to a client`);
    }
    const [code, text] = packet.args;
    this.#notice({ type: "server error", server: this.server, code: code!, text: text! });
  }

  #closed(error: Error | undefined): void {
    this.over = true;
    this.#heartbeat.stop();
    // Whoever hears of a loss here may want the next connection, so that has to be in order first.
    this.onLost(error);
    this.session.lost();
  }
}
