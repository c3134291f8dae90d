import { encodePacket, Found, type Packet, PacketType, RES } from "@drover/protocol";
import {
  type Connection,
  type ConnectionHandlers,
  type PeerAddress,
  TransportError,
  WEBSOCKET_PATH,
} from "@drover/transport";
import { Unauthenticated } from "./errors.ts";
import { FetchJobs } from "./fetch-jobs.ts";
import { type Answer, errorOf, type FetchLink } from "./fetch-link.ts";
import { FetchWork } from "./fetch-work.ts";
import { HttpApi, HttpProblem } from "./http-api.ts";
import { SmallPacketStream } from "./packet-stream.ts";
import { pause } from "./pool.ts";

export interface FetchTerms {
  readonly token: string | undefined;
  /** Jobs at a time, where it is a worker's. */
  readonly slots?: number | undefined;
  /** Gives up connecting. */
  readonly signal: AbortSignal;
}

const NOTHING = new Uint8Array(0);
/** What may be unsent before `send` answers false. */
const MAX_UNSENT_BYTES = 1_048_576;
/** How long an end waits for what is to be sent. */
const END_GRACE_MS = 5_000;
const MAX_PACKET_BYTES = 1_073_741_824;

/**
 * A connection for browsers without WebSockets: takes packets as a server does, asks the server's HTTP API for what they
 * ask for, and makes packets of the answers. So everything above it is the same as on a byte pipe.
 */
export class FetchConnection implements Connection, FetchLink {
  readonly peer: PeerAddress;
  readonly api: HttpApi;
  readonly #name: string;
  readonly #leaving: AbortController;
  readonly #stream = new SmallPacketStream({ maxBodyBytes: MAX_PACKET_BYTES });
  readonly #jobs: FetchJobs;
  readonly #work: FetchWork;
  readonly #owed = new Set<Promise<unknown>>();
  #handlers: ConnectionHandlers | undefined;
  #answered: Promise<unknown> = Promise.resolve();
  #unsentBytes = 0;
  #awaitingDrain = false;
  #finished = false;
  #told = false;
  #isFresh = true;
  /** Told while paused. */
  #held: Uint8Array[] | undefined;

  /**
   * Resolves once the server has answered.
   * @throws Unauthenticated, TransportError `UNREACHABLE`
   */
  static async open(url: URL, { token, slots = 1, signal }: FetchTerms): Promise<FetchConnection> {
    const leaving = new AbortController();
    const api = new HttpApi(url, token, leaving.signal);
    await probe(api, url.href, signal);
    signal.throwIfAborted();
    return new FetchConnection(url, api, leaving, slots);
  }

  /**
   * A page is not told why there is no WebSocket, but it is why a request beside it is refused.
   * @throws Unauthenticated when it is the token
   */
  static async tellShutOut(webSocket: URL, name: string, { token, signal }: FetchTerms): Promise<void> {
    const url = besideWebSocket(webSocket);
    if (url === undefined) return;
    try {
      await probe(new HttpApi(url, token, signal), name, signal);
    } catch (error) {
      if (error instanceof Unauthenticated) throw error;
    }
  }

  private constructor(url: URL, api: HttpApi, leaving: AbortController, slots: number) {
    const isSecure = url.protocol === "https:";
    this.#name = url.href;
    this.peer = {
      transport: "http",
      address: url.hostname,
      port: Number(url.port) || (isSecure ? 443 : 80),
    };
    this.api = api;
    this.#leaving = leaving;
    this.#jobs = new FetchJobs(this, isSecure);
    this.#work = new FetchWork(this, slots);
    // No bytes, but a sign of life.
    api.onHeard = () => this.#deliver(NOTHING);
  }

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  attach(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error("bug: a connection is attached once");
    this.#handlers = handlers;
  }

  send(chunks: readonly Uint8Array[]): boolean {
    for (const chunk of chunks) {
      if (this.#finished) break;
      this.#stream.push(chunk);
      while (this.#stream.next() === Found.PACKET) this.#take(this.#stream.decode());
    }
    if (this.#unsentBytes > MAX_UNSENT_BYTES) this.#awaitingDrain = true;
    return !this.#awaitingDrain;
  }

  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    queueMicrotask(() => {
      for (const bytes of held) this.#deliver(bytes);
    });
  }

  end(): void {
    if (this.#finished) return;
    this.#finished = true;
    void Promise.race([Promise.allSettled([...this.#owed]), pause(END_GRACE_MS, this.signal)]).then(() =>
      this.#close(undefined),
    );
  }

  destroy(): void {
    this.#finished = true;
    queueMicrotask(() => this.#close(undefined));
  }

  tell(type: number, args: readonly string[], data?: Uint8Array): void {
    this.#deliver(encodePacket(RES, type, args, data));
  }

  answer(packet: Promise<Answer> | Answer): Promise<void> {
    const before = this.#answered;
    const told = (async () => {
      const answer = await packet;
      await before;
      this.tell(...answer);
    })();
    this.#answered = told;
    told.catch((error: unknown) => this.lost(error));
    return told;
  }

  owe<T>(sending: Promise<T>): Promise<T> {
    this.#owed.add(sending);
    const paid = () => void this.#owed.delete(sending);
    sending.then(paid, paid);
    return sending;
  }

  unsent(bytes: number): void {
    this.#unsentBytes += bytes;
    if (this.#unsentBytes > 0 || !this.#awaitingDrain) return;
    this.#awaitingDrain = false;
    if (!this.#finished) this.#handlers?.drain();
  }

  lost(error: unknown): void {
    if (this.#finished) return;
    this.#finished = true;
    const { message } = error as Error;
    this.#close(
      error instanceof TransportError
        ? error
        : new TransportError("CONNECTION_LOST", `${this.#name}: ${message}`, { cause: error }),
    );
  }

  #take(packet: Packet): void {
    const { type, args, data } = packet;
    switch (type) {
      case PacketType.OPTION_REQ:
        // The token is shown with each request.
        void this.answer([PacketType.OPTION_RES, [args[0]!.replace(/^(drover\.auth):.*$/s, "$1")]]);
        return;
      case PacketType.ECHO_REQ:
        void this.answer(this.#echo(data));
        return;
      default:
        if (this.#jobs.take(packet) || this.#work.take(packet)) return;
        void this.answer(errorOf("INVALID_ARGUMENT", "over HTTP this cannot be asked for: use wss://"));
    }
  }

  async #echo(payload: Uint8Array): Promise<Answer> {
    // The first one follows the probe of the connection.
    if (this.#isFresh) {
      this.#isFresh = false;
      return [PacketType.ECHO_RES, [], payload];
    }
    const response = await this.api.request("POST", "echo", { body: payload });
    return [PacketType.ECHO_RES, [], new Uint8Array(await response.arrayBuffer())];
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#finished) return;
    if (this.#held === undefined) this.#handlers?.data(bytes);
    else this.#held.push(bytes);
  }

  #close(error: Error | undefined): void {
    this.#leaving.abort(new Error("the connection is over"));
    if (this.#told) return;
    this.#told = true;
    this.#handlers?.close(error);
  }
}

/** The HTTP API beside a WebSocket, if it is at its usual place. */
export function besideWebSocket({ href }: URL): URL | undefined {
  if (!href.endsWith(WEBSOCKET_PATH)) return undefined;
  return new URL(`${href.slice(0, -WEBSOCKET_PATH.length).replace(/^ws/, "http")}/`);
}

async function probe(api: HttpApi, name: string, signal: AbortSignal): Promise<void> {
  try {
    await api.request("POST", "echo", { body: NOTHING, signal });
  } catch (error) {
    signal.throwIfAborted();
    const { message } = error as Error;
    if (error instanceof HttpProblem && error.problem === "unauthenticated") {
      throw new Unauthenticated(name, message);
    }
    throw new TransportError(
      "UNREACHABLE",
      `${name} does not answer (${message}): is it a job server's HTTP address, and does it expect pages of this origin?`,
      { cause: error },
    );
  }
}
