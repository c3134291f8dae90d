import { backoffMs } from "./backoff.ts";
import { ServerConnection, type ServerConnectionOptions } from "./connection.ts";
import { NoServer, Unauthenticated } from "./errors.ts";
import type { RoutedServer, RoutingMode } from "./routing/rank.ts";
import type { Submission } from "./submission.ts";
import type { ConnectionTerms } from "./terms.ts";

/** How several servers are used; for the defaults see `ClientOptions`. */
export interface RoutingOptions {
  readonly routing?: RoutingMode | "failover";
  readonly holdMs?: number;
  readonly handoverMs?: number;
}

export interface PoolOptions extends ConnectionTerms, ServerConnectionOptions, RoutingOptions {
  readonly token: string | undefined;
  readonly unreachableMs: number;
}

/** Something that needs a connection. */
export interface Waiter {
  /** What is submitted: where there are several servers, it says which. */
  readonly submission?: Submission | undefined;
  ready(connection: ServerConnection): void;
  /** There is none for too long, no server lets us in, or the client is closed. */
  fail(error: Error): void;
}

/** The servers of a client, and its connections with them. */
export interface Pool {
  /** Hands over the connection that it is to use, maybe at once. It has to `release`. */
  connect(waiter: Waiter): void;
  /** It has ended, or waits for a connection no more. */
  release(waiter: Waiter): void;
  /** Whether it is given another server's connection, which may know the answer better. */
  asksAnother?(waiter: Waiter, answer: unknown): boolean;
  /** Ends the connections, after what is written, and makes no other. */
  close(): void;
}

/** One server, the first in the list. Connects only while somebody waits. */
export class ServerPool implements Pool {
  readonly #options: PoolOptions;
  readonly #server: RoutedServer;
  readonly #waiting = new WaitingList();
  readonly #closing = new AbortController();
  #current: ServerConnection | undefined;
  #connecting = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    // None where a page could not load what reads its list.
    this.#server = options.servers[0] ?? { name: "", address: "" };
  }

  connect(waiter: Waiter): void {
    if (this.#current !== undefined) {
      waiter.ready(this.#current);
      return;
    }
    this.#waiting.add(waiter, [this.#server], this.#options.unreachableMs);
    void this.#connect();
  }

  release(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  close(): void {
    this.#closing.abort(new Error("the client is closed"));
    this.#waiting.takeAll();
    this.#current?.end();
  }

  async #connect(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    const { backoff, notice, random } = this.#options;
    const closing = this.#closing.signal;
    for (let failures = 1; this.#waiting.timers.size > 0 && !closing.aborted; failures++) {
      try {
        this.#use(await openConnection(this.#server, this.#options, closing));
      } catch (error) {
        this.#waiting.lastError = error as Error;
        if (!closing.aborted)
          notice({ type: "unreachable", server: this.#server.name, error: error as Error });
        if (error instanceof Unauthenticated)
          for (const waiter of this.#waiting.takeAll()) waiter.fail(error);
        else await pause(backoffMs(failures, backoff, random()), closing);
      }
    }
    this.#connecting = false;
  }

  #use(connection: ServerConnection): void {
    const { notice } = this.#options;
    const { server, drover } = connection;
    connection.onLost = (error) => {
      this.#current = undefined;
      notice({ type: "disconnected", server, error });
    };
    if (this.#closing.signal.aborted || connection.over) {
      connection.destroy(new Error("not needed"));
      return;
    }
    this.#current = connection;
    notice({ type: "connected", server, drover });
    for (const waiter of this.#waiting.takeAll()) waiter.ready(connection);
  }
}

/** Who waits for a connection, and for how long yet. */
export class WaitingList {
  /** Why the newest try failed. */
  lastError: Error | undefined;
  readonly timers = new Map<Waiter, ReturnType<typeof setTimeout>>();

  /** @param servers That are named when none of them answers in time. */
  add(waiter: Waiter, servers: readonly RoutedServer[], unreachableMs: number): void {
    const late = () => {
      this.delete(waiter);
      const names = servers.map(({ name }) => name);
      waiter.fail(new NoServer(names, unreachableMs, { cause: this.lastError }));
    };
    this.timers.set(waiter, setTimeout(late, unreachableMs));
  }

  /** @returns Whether it waited. */
  delete(waiter: Waiter): boolean {
    clearTimeout(this.timers.get(waiter));
    return this.timers.delete(waiter);
  }

  /** All of them, who wait no more. */
  takeAll(): Waiter[] {
    const all = [...this.timers.keys()];
    for (const waiter of all) this.delete(waiter);
    return all;
  }
}

/** Connects and agrees on options, within `connectTimeoutMs`. */
export async function openConnection(
  { name, address }: RoutedServer,
  options: PoolOptions,
  closing: AbortSignal,
): Promise<ServerConnection> {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(options.connectTimeoutMs)]);
  return ServerConnection.open(await options.dial(address, signal), name, options, signal);
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
