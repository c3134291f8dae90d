import {
  byteString,
  bytesOf,
  decodeBody,
  encodePacket,
  HEADER_BYTES,
  PacketType,
  printable,
  REQ,
  RES,
  readUint32,
} from "@drover/protocol";
import { type Connection, dial } from "@drover/transport";
import { CommandFailed } from "../errors.ts";
import type { Target } from "../server-address.ts";

/** A server refused an admin command, or does not know it. */
export class AdminRefused extends CommandFailed {
  readonly command: string;
  /** What stood after `ERR `. */
  readonly answer: string;
  constructor(command: string, answer: string) {
    super("ADMIN_REFUSED", `${printable(command)}: ${printable(answer)}`);
    this.command = printable(command);
    this.answer = answer;
  }
  get unknownCommand(): boolean {
    return this.answer.startsWith("UNKNOWN_COMMAND") || this.answer.startsWith("unknown_command");
  }
}

const AUTH_OPTION = "drover.auth";
const ANSWER_LIMIT_MS = 15_000;
const CONNECT_LIMIT_MS = 5_000;

/**
 * A connection that speaks the text protocol for administrators. Texts are byte strings: names stand in them as
 * the server has them.
 */
export class AdminConnection {
  readonly server: string;
  readonly #connection: Connection;
  #received = "";
  #over: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(connection: Connection, server: string) {
    this.server = server;
    this.#connection = connection;
    connection.attach({
      data: (chunk) => {
        this.#received += byteString(chunk);
        this.#wake?.();
      },
      drain() {},
      close: (error) => {
        this.#over = error ?? new Error(`${server} closed the connection`);
        this.#wake?.();
      },
    });
  }

  /** @throws TransportError when there is no server, CommandFailed `UNAUTHENTICATED` when it does not take the token. */
  static async dial({ address, token }: Target): Promise<AdminConnection> {
    const connection = await dial(address, { connectTimeoutMs: CONNECT_LIMIT_MS });
    const admin = new AdminConnection(connection, address);
    if (token === undefined) return admin;
    try {
      await admin.#authenticate(token);
    } catch (error) {
      admin.close();
      throw error;
    }
    return admin;
  }

  /** By a packet, which may stand between the lines of the text protocol. */
  async #authenticate(token: string): Promise<void> {
    this.#connection.send([encodePacket(REQ, PacketType.OPTION_REQ, [`${AUTH_OPTION}:${token}`])]);
    const answer = bytesOf(
      await this.#until((text) => {
        if (text.length > 0 && !text.startsWith("\0")) return text.length;
        if (text.length < HEADER_BYTES) return 0;
        const end = HEADER_BYTES + readUint32(bytesOf(text.slice(0, HEADER_BYTES)), 8);
        return text.length < end ? 0 : end;
      }),
    );
    const type = answer[0] === 0 ? readUint32(answer, 4) : 0;
    const known = type === PacketType.OPTION_RES || type === PacketType.ERROR;
    const [code, text] = known ? decodeBody(RES, type, answer, HEADER_BYTES, answer.length).args : [];
    if (type === PacketType.OPTION_RES && code === AUTH_OPTION) return;
    const why =
      code === "UNAUTHENTICATED" || code === "QUEUE_ERROR"
        ? printable(text!, 200)
        : "it takes no tokens: it is no Drover, or has no authentication configured";
    throw new CommandFailed("UNAUTHENTICATED", `${this.server} does not let us in: ${why}`);
  }

  /** Asks for one line; returns it without its line end and its `OK`. @throws AdminRefused */
  async ask(command: string): Promise<string> {
    this.#send(command);
    const line = (await this.#until((text) => text.indexOf("\n") + 1)).replace(/\r?\n$/, "");
    if (line.startsWith("ERR ")) throw this.#refusal(command, line.slice(4));
    return line.replace(/^OK ?/, "");
  }

  /** Asks for a listing; returns its lines, without the dot at its end. @throws AdminRefused */
  async list(command: string): Promise<string[]> {
    this.#send(command);
    const text = await this.#until((so) => {
      if (so.startsWith("ERR ") && so.endsWith("\r\n")) return so.length;
      if (so.startsWith(".\n")) return 2;
      const end = so.indexOf("\n.\n");
      return end < 0 ? 0 : end + 3;
    });
    if (text.startsWith("ERR ") && text.endsWith("\r\n")) {
      throw this.#refusal(command, text.slice(4).trim());
    }
    return text.split("\n").slice(0, -2);
  }

  #refusal(command: string, answer: string): CommandFailed {
    if (!answer.startsWith("UNAUTHENTICATED")) return new AdminRefused(command, answer);
    return new CommandFailed(
      "UNAUTHENTICATED",
      `${this.server} wants to know who asks: set DROVER_TOKEN, or name a file with --token-file`,
    );
  }

  close(): void {
    this.#connection.destroy();
  }

  #send(command: string): void {
    this.#connection.send([Buffer.from(`${command}\r\n`, "latin1")]);
  }

  /** What has arrived up to where `length` says that it is whole; 0 means not yet. */
  async #until(length: (text: string) => number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new CommandFailed("SERVER_SILENT", `${this.server} gave no answer within ${ANSWER_LIMIT_MS} ms`),
          ),
        ANSWER_LIMIT_MS,
      );
    });
    try {
      for (;;) {
        const end = length(this.#received);
        if (end > 0) {
          const text = this.#received.slice(0, end);
          this.#received = this.#received.slice(end);
          return text;
        }
        if (this.#over !== undefined) {
          throw new CommandFailed("SERVER_SILENT", `${this.server} gave no answer: ${this.#over.message}`);
        }
        const more = Promise.withResolvers<void>();
        this.#wake = more.resolve;
        await Promise.race([more.promise, late]);
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Connects, does something, and closes. */
export async function withAdmin<T>(target: Target, work: (admin: AdminConnection) => Promise<T>): Promise<T> {
  const admin = await AdminConnection.dial(target);
  try {
    return await work(admin);
  } catch (error) {
    if (!(error instanceof AdminRefused && error.unknownCommand)) throw error;
    throw new CommandFailed("NEEDS_DROVER", `${target.address} does not know the command ${error.command}`, {
      cause: error,
    });
  } finally {
    admin.close();
  }
}
