import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { joinArguments, packet, type Received, type TypeName, take } from "./packet.ts";

/** A raw connection to a server that keeps all it receives until it is asked for it. */
export class Peer {
  readonly name: string;
  readonly #socket: Socket;
  readonly #onSend: (peer: Peer) => void;
  #unread: Buffer = Buffer.alloc(0);
  #received: Received[] = [];
  #closed = false;
  #closeTold = false;
  #fences = 0;
  #fencePassed = 0;
  #fenceRefused = 0;
  #lastHandle: string | undefined;
  readonly #changed = new Set<() => void>();

  private constructor(name: string, socket: Socket, onSend: (peer: Peer) => void) {
    this.name = name;
    this.#socket = socket;
    this.#onSend = onSend;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#tell();
    });
    // A half-closed connection is closed: no server keeps talking after it said it ends.
    socket.on("end", () => socket.destroy());
  }

  /** @param onSend Told before anything but a fence is sent. */
  static async connect(
    name: string,
    port: number,
    host: string,
    onSend: (peer: Peer) => void = () => {},
  ): Promise<Peer> {
    const socket = connect(port, host);
    await once(socket, "connect");
    return new Peer(name, socket, onSend);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The handle in the newest JOB_CREATED or JOB_ASSIGN of this connection. */
  get handle(): string {
    if (this.#lastHandle === undefined) throw new Error(`${this.name} was told no handle`);
    return this.#lastHandle;
  }

  /** Sends a packet whose arguments are parted by one NUL each; end with "" where the last field may be empty. */
  send(type: TypeName | number, ...args: (string | Buffer)[]): void {
    this.raw(packet(type, joinArguments(args)));
  }

  /** Sends bytes as they are; a string's characters are bytes. */
  raw(bytes: Buffer | string): void {
    this.#onSend(this);
    this.#write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Sends bytes in pieces, cut at these offsets, each piece in a segment of its own as far as one can ask. */
  async rawInPieces(bytes: Buffer, ...cuts: number[]): Promise<void> {
    this.#onSend(this);
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      const piece = bytes.subarray(from, to);
      await new Promise<void>((sent) => this.#socket.write(piece, () => sent()));
      await new Promise(setImmediate);
      from = to;
    }
  }

  /** Closes this end. */
  close(): void {
    this.#closeTold = true;
    this.#socket.destroy();
  }

  /**
   * Waits until the server has answered all that was sent here. A server answers a connection in order, so the
   * answer to one more request, sent now, comes last.
   * @returns `passed`, `closed` by the server, or `silent` when the deadline came first.
   */
  async fence(deadlineMs: number): Promise<"passed" | "closed" | "silent"> {
    this.#fences += 1;
    const wanted = this.#fences;
    this.#write(packet("ECHO_REQ", Buffer.from(`fence ${wanted}`)));
    const passed = () => this.#fencePassed >= wanted || this.#closed;
    if (await this.#waitFor(passed, deadlineMs)) return this.#fencePassed >= wanted ? "passed" : "closed";
    this.#fenceRefused = wanted;
    return "silent";
  }

  /** Waits until the server closes the connection. */
  ended(deadlineMs: number): Promise<boolean> {
    return this.#waitFor(() => this.#closed, deadlineMs);
  }

  /** Waits until something was received that has not been taken yet and that fits. */
  sees(fits: (received: Received) => boolean, deadlineMs: number): Promise<boolean> {
    return this.#waitFor(() => this.#received.some(fits) || this.#closed, deadlineMs);
  }

  /** Gives and forgets what was received since the last call. The flag is set once, when the server has closed. */
  takeReceived(): { received: Received[]; unread: Buffer; closedNow: boolean } {
    const received = this.#received;
    this.#received = [];
    const closedNow = this.#closed && !this.#closeTold;
    if (closedNow) this.#closeTold = true;
    const unread = closedNow ? this.#unread : Buffer.alloc(0);
    return { received, unread, closedNow };
  }

  #write(bytes: Buffer): void {
    if (!this.#closed) this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    for (;;) {
      const taken = take(this.#unread);
      if (taken === undefined) break;
      this.#unread = this.#unread.subarray(taken.used);
      this.#note(taken.received);
    }
    this.#tell();
  }

  #note(received: Received): void {
    if (received.kind === "packet") {
      const text = received.body.toString("latin1");
      const fence = received.type === "ECHO_RES" ? /^fence (\d+)$/.exec(text) : null;
      if (fence !== null) {
        this.#fencePassed = Number(fence[1]);
        // A fence that comes after all is told, since the peer had been called silent.
        if (this.#fencePassed > this.#fenceRefused) return;
      }
      if (/^JOB_(CREATED|ASSIGN)/.test(received.type)) this.#lastHandle = text.split("\0")[0];
    }
    this.#received.push(received);
  }

  #tell(): void {
    for (const listener of [...this.#changed]) listener();
  }

  #waitFor(holds: () => boolean, deadlineMs: number): Promise<boolean> {
    if (holds()) return Promise.resolve(true);
    return new Promise((answer) => {
      const finish = (value: boolean) => {
        clearTimeout(timer);
        this.#changed.delete(check);
        answer(value);
      };
      const check = () => {
        if (holds()) finish(true);
      };
      const timer = setTimeout(() => finish(false), deadlineMs);
      this.#changed.add(check);
    });
  }
}
