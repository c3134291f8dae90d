import type { Connection, ConnectionHandlers, PeerAddress } from "./connection.ts";
import { TransportError } from "./errors.ts";
import { bearerSubprotocol, SUBPROTOCOL } from "./subprotocols.ts";
import { closeError, MESSAGE_BYTES } from "./websocket-rules.ts";

export interface BrowserDialOptions {
  /** Gives up dialling; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Shown as a subprotocol, since a page cannot set headers. */
  readonly token?: string | undefined;
}

/** What may be unsent before `send` answers false. */
const MAX_UNSENT_BYTES = 1_048_576;
/** A browser does not tell when it has sent something, so it is asked so often. */
const POLL_MS = 10;
/** A browser cannot stop reading: so much may arrive during a pause. */
const MAX_HELD_BYTES = 16 * 1_048_576;
const OPEN = 1;

/**
 * Connects to `ws://…` or `wss://…` by the `WebSocket` that browsers have, of which nothing else is needed.
 * It takes as long as the browser does, unless the signal aborts.
 * @throws TransportError `UPGRADE_REFUSED`, which is all that a page is told, or the signal's reason
 */
export async function dialBrowserWebSocket(
  url: string,
  { token, signal }: BrowserDialOptions = {},
): Promise<Connection> {
  signal?.throwIfAborted();
  const protocols = token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, bearerSubprotocol(token)];
  let ws: WebSocket | undefined;
  try {
    // Throws too, such as in a page that came by TLS and may not go on without.
    const opening = new WebSocket(url, protocols);
    ws = opening;
    ws.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => {
      opening.onopen = resolve;
      opening.onclose = () => reject();
      signal?.addEventListener("abort", reject, { once: true });
    });
    return new BrowserWebSocketConnection(ws);
  } catch (cause) {
    ws?.close();
    signal?.throwIfAborted();
    throw new TransportError(
      "UPGRADE_REFUSED",
      `${url} gave no WebSocket: is it a job server's HTTP address, and does it expect pages of this origin?`,
      { cause },
    );
  }
}

/** A connection over an open `WebSocket` of a browser. What is unsent at `destroy` may still be sent. */
class BrowserWebSocketConnection implements Connection {
  readonly peer: PeerAddress;
  readonly #ws: WebSocket;
  #handlers: ConnectionHandlers | undefined;
  #paused = true;
  /** Arrived while paused. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #poll: ReturnType<typeof setInterval> | undefined;
  /** An end was asked for, or the connection is over. */
  #finished = false;
  #error: Error | undefined;
  /** Over, but what is held goes first. */
  #isOver = false;
  #told = false;

  constructor(ws: WebSocket) {
    const { hostname, port, protocol } = new URL(ws.url);
    this.peer = {
      transport: "websocket",
      address: hostname,
      port: Number(port) || (protocol === "wss:" ? 443 : 80),
    };
    this.#ws = ws;
    ws.onmessage = ({ data }: { data: unknown }) => this.#receive(data);
    ws.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (!this.#finished) this.#error ??= closeError(this.#name(), code, reason);
      this.#over();
    };
  }

  get unsentBytes(): number {
    return this.#ws.bufferedAmount;
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.resume();
  }

  send(chunks: readonly Uint8Array[]): boolean {
    const ws = this.#ws;
    if (this.#finished || ws.readyState !== OPEN) return true;
    const bytes = chunks.length === 1 ? chunks[0]! : joined(chunks);
    // The browser takes a copy.
    for (let offset = 0; offset < bytes.length; offset += MESSAGE_BYTES) {
      ws.send(bytes.subarray(offset, offset + MESSAGE_BYTES) as Uint8Array<ArrayBuffer>);
    }
    if (this.#poll === undefined) {
      if (ws.bufferedAmount <= MAX_UNSENT_BYTES) return true;
      this.#poll = setInterval(this.#lookForDrain, POLL_MS);
    }
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#held.length > 0 || this.#isOver) queueMicrotask(this.#release);
  }

  end(): void {
    if (this.#finished) return;
    this.#finish();
    this.#ws.close(1000);
  }

  destroy(): void {
    this.#finish();
    this.#error = undefined;
    this.#ws.close();
    // The closing handshake is the browser's to finish.
    queueMicrotask(() => this.#over());
  }

  #receive(data: unknown): void {
    if (this.#finished) return;
    if (!(data instanceof ArrayBuffer)) {
      this.#refuse(1003, "a text message, where only binary ones are taken");
      return;
    }
    const bytes = new Uint8Array(data);
    if (!this.#paused && this.#held.length === 0) {
      this.#handlers?.data(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_HELD_BYTES) {
      this.#refuse(1008, `more than ${MAX_HELD_BYTES} bytes, which nobody here has read`);
    }
  }

  #refuse(code: number, what: string): void {
    this.#error = new TransportError("WEBSOCKET_VIOLATION", `${this.#name()} sent ${what}`);
    this.#finish();
    // A page may give no code of the protocol itself.
    this.#ws.close(3000 + code, what);
    queueMicrotask(() => this.#over());
  }

  #finish(): void {
    this.#finished = true;
    clearInterval(this.#poll);
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** Hands over what was held, then tells the end. */
  readonly #release = (): void => {
    while (!this.#paused && this.#held.length > 0) {
      const bytes = this.#held.shift()!;
      this.#heldBytes -= bytes.length;
      this.#handlers?.data(bytes);
    }
    if (this.#isOver && this.#held.length === 0) this.#tellClose();
  };

  #over(): void {
    this.#isOver = true;
    clearInterval(this.#poll);
    if (this.#held.length === 0) this.#tellClose();
  }

  #tellClose(): void {
    this.#finished = true;
    if (this.#told || this.#handlers === undefined) return;
    this.#told = true;
    this.#handlers.close(this.#error);
  }

  readonly #lookForDrain = (): void => {
    if (this.#ws.bufferedAmount > 0) return;
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.#handlers?.drain();
  };

  #name(): string {
    return `${this.peer.address}:${this.peer.port}`;
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
