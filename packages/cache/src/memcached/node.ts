import { type Backoff, backoffMs } from "@drover/client";
import type { TlsClientOptions } from "@drover/transport";
import { BackendError } from "../backend-errors.ts";
import { type ConnectionLimits, MemcachedConnection } from "./connection.ts";

export interface NodeOptions extends ConnectionLimits {
  readonly tls: TlsClientOptions | undefined;
  readonly retry: Backoff;
}

/**
 * One memcached, and whether it is to be asked: after a failure it is left alone for a while, and then one call tries it
 * before the others do.
 */
export class MemcachedNode {
  readonly name: string;
  readonly address: string;
  readonly #options: NodeOptions;
  readonly #closing = new AbortController();
  #connection: MemcachedConnection | undefined;
  #opening: Promise<MemcachedConnection> | undefined;
  #waiting = 0;
  #failures = 0;
  #retryAtMs = 0;
  #lastError: BackendError | undefined;

  constructor(name: string, address: string, options: NodeOptions) {
    this.name = name;
    this.address = address;
    this.#options = options;
  }

  /** Not to be asked now. */
  get ejected(): boolean {
    if (this.#failures === 0) return false;
    return this.#opening !== undefined || performance.now() < this.#retryAtMs;
  }

  /** The connection, if it is there. */
  get connected(): MemcachedConnection | undefined {
    return this.#connection;
  }

  /** @throws BackendError `BACKEND_UNAVAILABLE`, `BACKEND_BUSY`, `BACKEND_CLOSED` */
  async connect(): Promise<MemcachedConnection> {
    if (this.#connection !== undefined) return this.#connection;
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    if (this.ejected) {
      const cause = this.#lastError;
      throw new BackendError("BACKEND_UNAVAILABLE", `${this.name} failed a moment ago: ${cause?.message}`, {
        cause,
      });
    }
    const { maxPipelined } = this.#options;
    if (this.#waiting >= maxPipelined) {
      throw new BackendError("BACKEND_BUSY", `${maxPipelined} calls wait for ${this.name} to be connected`);
    }
    this.#opening ??= this.#open();
    this.#waiting++;
    try {
      return await this.#opening;
    } finally {
      this.#waiting--;
    }
  }

  close(reason: BackendError): void {
    this.#closing.abort(reason);
    this.#connection?.destroy(reason);
  }

  async #open(): Promise<MemcachedConnection> {
    const { tls } = this.#options;
    const { signal } = this.#closing;
    try {
      const opened = await MemcachedConnection.open(this.name, this.address, this.#options, tls, signal);
      if (signal.aborted) opened.destroy(signal.reason as BackendError);
      signal.throwIfAborted();
      opened.onOver = (error, lostCalls) => {
        this.#connection = undefined;
        // A memcached that closes an idle connection is well.
        if (lostCalls && !signal.aborted) this.#failed(error);
      };
      // `#failures` stays until something was answered: one that accepts and then hangs is no better than none.
      this.#connection = opened;
      return opened;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const why = new BackendError("BACKEND_UNAVAILABLE", `${this.name}: ${(error as Error).message}`, {
        cause: error,
      });
      this.#failed(why);
      throw why;
    } finally {
      this.#opening = undefined;
    }
  }

  /** A call was answered. */
  answered(): void {
    this.#failures = 0;
  }

  #failed(error: BackendError): void {
    this.#failures++;
    this.#lastError = error;
    this.#retryAtMs = performance.now() + backoffMs(this.#failures, this.#options.retry, Math.random());
  }
}
