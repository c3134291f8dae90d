import { backoffMs } from "./backoff.ts";
import { ServerConnection, type ServerConnectionOptions } from "./connection.ts";
import { Unauthenticated } from "./errors.ts";
import type { ConnectionTerms } from "./terms.ts";

export interface PoolOptions extends ConnectionTerms, ServerConnectionOptions {
  readonly token: string | undefined;
}

/** Something that waits for a connection. */
export interface Waiter {
  ready(connection: ServerConnection): void;
}

export interface PoolWaiter extends Waiter {
  /** No server lets us in, which waiting will not change. */
  shutOut(error: Unauthenticated): void;
}

/**
 * The servers of a client. One is in use: the first that answered; when it is lost, the next one in the list that
 * answers. Connects only while somebody waits.
 */
export class ServerPool {
  /** Why the newest try failed. */
  lastError: Error | undefined;
  readonly #options: PoolOptions;
  readonly #waiting = new Set<PoolWaiter>();
  readonly #closing = new AbortController();
  #current: ServerConnection | undefined;
  #connecting = false;
  /** The server to try first. */
  #preferred = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get servers(): readonly string[] {
    return this.#options.servers;
  }

  /** The connection for calls, if there is one. */
  get current(): ServerConnection | undefined {
    return this.#current;
  }

  /** Hands over the connection for a call as soon as there is one. */
  wait(waiter: PoolWaiter): void {
    this.#waiting.add(waiter);
    this.#connect();
  }

  /** The waiter needs no connection any more. */
  cancel(waiter: PoolWaiter): void {
    this.#waiting.delete(waiter);
  }

  /** Ends the connection, after what is written, and makes no other. */
  close(): void {
    this.#closing.abort(new Error("the client is closed"));
    this.#waiting.clear();
    this.#current?.end();
  }

  #connect(): void {
    if (this.#connecting || this.#closing.signal.aborted) return;
    this.#connecting = true;
    void this.#connectToAny().finally(() => {
      this.#connecting = false;
      if (this.#waiting.size > 0 && this.#current === undefined) this.#connect();
    });
  }

  async #connectToAny(): Promise<void> {
    const { servers, backoff, random } = this.#options;
    const closing = this.#closing.signal;
    for (let failures = 1; this.#waiting.size > 0 && !closing.aborted; failures++) {
      let refusals = 0;
      for (let i = 0; i < servers.length && !closing.aborted; i++) {
        const index = (this.#preferred + i) % servers.length;
        const connection = await this.#tryServer(servers[index]!);
        if (connection !== undefined) {
          this.#preferred = index;
          this.#use(connection);
          return;
        }
        if (this.lastError instanceof Unauthenticated) refusals++;
      }
      if (refusals === servers.length) {
        const waiting = [...this.#waiting];
        this.#waiting.clear();
        for (const waiter of waiting) waiter.shutOut(this.lastError as Unauthenticated);
        return;
      }
      await pause(backoffMs(failures, backoff, random()), closing);
    }
  }

  async #tryServer(server: string): Promise<ServerConnection | undefined> {
    const { dial, connectTimeoutMs, notice } = this.#options;
    const timeout = AbortSignal.timeout(connectTimeoutMs);
    const signal = AbortSignal.any([this.#closing.signal, timeout]);
    try {
      const connection = await dial(server, signal);
      return await ServerConnection.open(connection, server, this.#options, signal);
    } catch (error) {
      this.lastError = error as Error;
      if (!this.#closing.signal.aborted) notice({ type: "unreachable", server, error: error as Error });
      return undefined;
    }
  }

  #use(connection: ServerConnection): void {
    const { notice, servers } = this.#options;
    connection.onLost = (error) => {
      this.#current = undefined;
      // The server that was lost is tried last.
      this.#preferred = (this.#preferred + 1) % servers.length;
      notice({ type: "disconnected", server: connection.server, error });
    };
    if (this.#closing.signal.aborted || connection.over) {
      connection.destroy(new Error("not needed"));
      return;
    }
    this.#current = connection;
    notice({ type: "connected", server: connection.server, drover: connection.drover });
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.ready(connection);
  }
}

/** Waits, but not when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
