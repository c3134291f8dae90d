import { type Connection, dial, type TlsClientOptions } from "@drover/transport";
import { BackendError } from "../backend-errors.ts";
import { type Reply, ReplyStream } from "./reply-stream.ts";

/** Longest line of a reply: keys have 250 bytes, and all tokens together less than as much again. */
const MAX_LINE_BYTES = 2_048;

/** Port of memcached, where an address names none. */
const PORT = 11_211;

export interface ConnectionLimits {
  /** Time to connect, TLS included. */
  readonly connectTimeoutMs: number;
  /** Time from a call to its whole reply. */
  readonly commandTimeoutMs: number;
  /** Calls whose reply has not come. */
  readonly maxPipelined: number;
  /** Bytes that memcached has not taken. */
  readonly maxUnsentBytes: number;
  readonly maxValueBytes: number;
}

/** One call on its way. */
interface Pending {
  readonly opaque: string;
  readonly deadlineMs: number;
  /** A value went along: where memcached did not understand the line, it takes the value for commands. */
  readonly carries: boolean;
  /** All replies of a call come in order; true with the last. May throw: the connection is then given up. */
  readonly reply: (reply: Reply) => boolean;
  readonly fail: (error: BackendError) => void;
}

/** What is sent: `line` gets the opaque where the command takes one. */
export interface Request {
  readonly line: string;
  readonly value?: Uint8Array | undefined;
  /** Whether the command takes an opaque, which is how a reply is known to be its own. */
  readonly opaque: boolean;
}

/** How many connections there were: a CAS number of one says nothing on another, behind which may be a restart. */
let connections = 0;

/** One connection with a memcached, on which calls need not wait for each other. */
export class MemcachedConnection {
  readonly epoch = ++connections;
  readonly node: string;
  over = false;
  /** Told once when the connection is over: why, and whether calls were lost with it. */
  onOver: (error: BackendError, lostCalls: boolean) => void = () => {};
  readonly #connection: Connection;
  readonly #limits: ConnectionLimits;
  readonly #stream: ReplyStream;
  /** In the order of their calls, from `#head` on. */
  #pending: Pending[] = [];
  #head = 0;
  #opaques = 0;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #flushScheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #error: BackendError | undefined;

  static async open(
    node: string,
    address: string,
    limits: ConnectionLimits,
    tls: TlsClientOptions | undefined,
    signal: AbortSignal,
  ): Promise<MemcachedConnection> {
    const { connectTimeoutMs } = limits;
    const connection = await dial(address, { port: PORT, connectTimeoutMs, signal, ...(tls && { tls }) });
    return new MemcachedConnection(node, connection, limits);
  }

  /** To be made in the turn in which the connection was handed over. */
  constructor(node: string, connection: Connection, limits: ConnectionLimits) {
    this.node = node;
    this.#connection = connection;
    this.#limits = limits;
    this.#stream = new ReplyStream({ maxValueBytes: limits.maxValueBytes, maxLineBytes: MAX_LINE_BYTES });
    connection.attach({
      data: (chunk) => this.#receive(chunk),
      drain: () => {},
      close: (error) => this.#closed(error),
    });
  }

  /**
   * Sends a request. `reply` is told each of its replies, and says whether it was the last.
   * @throws BackendError `BACKEND_BUSY`, `BACKEND_LOST`
   */
  send<T>(request: Request, reply: (reply: Reply, resolve: (value: T) => void) => boolean): Promise<T> {
    const { value } = request;
    return new Promise((resolve, reject) => {
      if (this.over || this.#error !== undefined) throw this.#error ?? this.#lost();
      const waiting = this.#pending.length - this.#head;
      if (waiting >= this.#limits.maxPipelined) {
        throw new BackendError(
          "BACKEND_BUSY",
          `${waiting} calls wait for ${this.node}: raise maxPipelined, or ask less`,
        );
      }
      const unsent = this.#unsentBytes + this.#connection.unsentBytes;
      if (unsent > 0 && unsent + (value?.length ?? 0) > this.#limits.maxUnsentBytes) {
        throw new BackendError(
          "BACKEND_BUSY",
          `${unsent} bytes wait for ${this.node}: raise maxUnsentBytes, or send less`,
        );
      }
      this.#opaques = (this.#opaques + 1) >>> 0;
      const opaque = request.opaque ? this.#opaques.toString(36) : "";
      const line = request.opaque ? `${request.line.slice(0, -2)} O${opaque}\r\n` : request.line;
      this.#pending.push({
        opaque,
        deadlineMs: performance.now() + this.#limits.commandTimeoutMs,
        carries: value !== undefined,
        reply: (one) => reply(one, resolve),
        fail: reject,
      });
      this.#write(line, value);
      this.#watch();
    });
  }

  /** Calls on their way reject with `reason`. */
  destroy(reason: BackendError): void {
    if (this.over || this.#error !== undefined) return;
    this.#error = reason;
    this.#connection.destroy();
    this.#finish(reason);
  }

  #write(line: string, value: Uint8Array | undefined): void {
    this.#push(Buffer.from(line, "latin1"));
    if (value !== undefined) {
      // The caller may write into its array again as soon as it has the promise.
      const framed = Buffer.allocUnsafe(value.length + 2);
      framed.set(value);
      framed.write("\r\n", value.length, "latin1");
      this.#push(framed);
    }
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Behind what this turn's promises write.
    queueMicrotask(() => process.nextTick(() => this.#flush()));
  }

  #push(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
  }

  #flush(): void {
    this.#flushScheduled = false;
    const chunks = this.#unsent;
    this.#unsent = [];
    this.#unsentBytes = 0;
    if (!this.over && this.#error === undefined) this.#connection.send(chunks);
  }

  /** One timer for all calls: the first of them is due first. */
  #watch(): void {
    const first = this.#pending[this.#head];
    if (this.#timer !== undefined || first === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const due = this.#pending[this.#head];
        if (due !== undefined && due.deadlineMs <= performance.now()) {
          const { commandTimeoutMs } = this.#limits;
          // What it answers later would be taken for the answer to the next call, so the connection goes.
          this.destroy(
            new BackendError("BACKEND_TIMEOUT", `${this.node} did not answer within ${commandTimeoutMs} ms`),
          );
        } else this.#watch();
      },
      Math.max(1, first.deadlineMs - performance.now()),
    );
  }

  #receive(chunk: Uint8Array): void {
    if (this.#error !== undefined) return;
    try {
      this.#stream.push(chunk, (reply) => {
        this.#take(reply);
        return this.#error === undefined;
      });
    } catch (error) {
      this.destroy(
        error instanceof BackendError
          ? error
          : new BackendError("BACKEND_BROKEN", `${this.node}: ${(error as Error).message}`, { cause: error }),
      );
    }
  }

  #take(reply: Reply): void {
    const call = this.#pending[this.#head];
    const { status } = reply;
    if (call === undefined) throw broken(this.node, `${shown(status)} came unasked`);
    if (status === "ERROR" || status === "CLIENT_ERROR" || status === "SERVER_ERROR") {
      this.#shift();
      const error = new BackendError(
        "BACKEND_REFUSED",
        `${this.node}: ${shown([status, ...reply.words].join(" "))}`,
      );
      call.fail(error);
      if (call.carries && status !== "SERVER_ERROR") this.destroy(error);
      return;
    }
    // Errors and misses of some versions bring no opaque; their order has to do.
    const opaque = reply.words.find((word) => word.startsWith("O"));
    if (call.opaque !== "" && opaque !== undefined && opaque !== `O${call.opaque}`) {
      throw broken(this.node, "an answer is another call's");
    }
    if (call.reply(reply)) this.#shift();
  }

  #shift(): void {
    this.#head++;
    // By halves, so that each entry is moved once in the mean.
    if (this.#head * 2 >= this.#pending.length) {
      this.#pending.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#pending.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #closed(error: Error | undefined): void {
    this.#finish(this.#error ?? this.#lost(error));
  }

  #finish(error: BackendError): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#timer);
    this.#unsent = [];
    const lost = this.#pending.slice(this.#head);
    this.#pending = [];
    this.#head = 0;
    // Whoever hears of the loss may call again, so that the node has to know first.
    this.onOver(error, lost.length > 0);
    for (const call of lost) call.fail(error);
  }

  #lost(cause?: Error): BackendError {
    return new BackendError("BACKEND_LOST", `the connection with ${this.node} was lost`, { cause });
  }
}

export function broken(node: string, why: string): BackendError {
  return new BackendError("BACKEND_BROKEN", `${node} lost count: ${why}`);
}

/** What a peer said, for a message: short, and without what a terminal obeys. */
function shown(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/g, "?");
}
