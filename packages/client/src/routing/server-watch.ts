import { backoffMs } from "../backoff.ts";
import { InvalidArgument } from "../errors.ts";
import { type ConnectionTerms, type ServerList, serverList } from "../terms.ts";
import type { RoutedServer } from "./rank.ts";

/** Longest list of servers accepted: each key is compared with all of them. */
export const MAX_SERVERS = 1_000;

/** A failure asks for the list again, but not more often. */
const MIN_REREAD_MS = 1_000;

/** Reads a list of servers again and again. A reading that fails, or gives none, changes nothing and is told. */
export class ServerWatch {
  readonly #source: () => Promise<ServerList>;
  readonly #terms: ConnectionTerms;
  readonly #changed: (servers: readonly RoutedServer[]) => void;
  #servers: readonly RoutedServer[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading = false;
  #failures = 0;
  readonly #isOver: () => boolean;
  #closed = false;

  /**
   * @param changed Told the first list, and each one that differs from the one before.
   * @param isOver Whether nobody needs it any more, as after `close`.
   */
  constructor(
    terms: ConnectionTerms,
    changed: (servers: readonly RoutedServer[]) => void,
    isOver = () => false,
  ) {
    this.#isOver = isOver;
    this.#source = terms.source!;
    this.#terms = terms;
    this.#changed = changed;
    void this.#read();
  }

  /** A server failed: the list may have changed. */
  refresh(): void {
    if (!this.#closed && !this.#reading) this.#readIn(this.#readAtMs + MIN_REREAD_MS - performance.now());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #readIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#read(), ms);
    // What uses the servers keeps the process alive, where it should be.
    if (this.#servers.length > 0) this.#timer.unref?.();
  }

  async #read(): Promise<void> {
    if (this.#isOver()) this.close();
    if (this.#closed) return;
    const { connectTimeoutMs, refreshMs = 30_000, backoff, random, notice } = this.#terms;
    this.#reading = true;
    try {
      const servers = checkedServers(await within(connectTimeoutMs, this.#source()), this.#terms.checkServer);
      if (this.#closed) return;
      this.#failures = 0;
      if (JSON.stringify(servers) !== JSON.stringify(this.#servers)) {
        this.#servers = servers;
        notice({ type: "servers read", server: namesOf(servers) });
        this.#changed(servers);
      }
    } catch (error) {
      if (this.#closed) return;
      this.#failures++;
      notice({ type: "servers kept", server: namesOf(this.#servers), error: error as Error });
    } finally {
      this.#reading = false;
      this.#readAtMs = performance.now();
      const retryMs = this.#failures > 0 ? backoffMs(this.#failures, backoff, random()) : refreshMs;
      if (!this.#closed) this.#readIn(Math.min(retryMs, refreshMs));
    }
  }
}

/** @throws InvalidArgument for an empty or too long list, a weight that is none, and names that are equal */
export function checkedServers(list: ServerList, check: (address: string) => void): readonly RoutedServer[] {
  const servers = serverList(list);
  if (servers.length === 0) throw new InvalidArgument("servers is empty");
  if (servers.length > MAX_SERVERS) throw new InvalidArgument(`more than ${MAX_SERVERS} servers`);
  const names = new Set<string>();
  for (const { name, address, weight = 1 } of servers) {
    check(address);
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new InvalidArgument(`${name} has the weight ${weight}: it has to be above 0`);
    }
    if (names.has(name)) throw new InvalidArgument(`two servers have the name ${name}`);
    names.add(name);
  }
  return servers;
}

function namesOf(servers: readonly RoutedServer[]): string {
  return servers.map(({ name }) => name).join(", ");
}

/** Rejects when it takes longer. */
function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the list of servers was not read within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A worker's way to one server. */
interface Link {
  readonly server: RoutedServer;
  /** Resolves when it is over. */
  readonly stopped: Promise<void>;
  drain(): void;
}

/**
 * Keeps a worker's links those to the servers of the list that `terms.source` gives: makes the missing ones, and drains those of
 * servers that left or moved.
 * @param make Makes one, with the terms as they are for it.
 * @param isOver Whether the worker stops: there are no further ones.
 */
export function keepLinks<T extends ConnectionTerms, L extends Link>(
  terms: T,
  links: L[],
  make: (server: RoutedServer, terms: T) => L,
  isOver: () => boolean,
): void {
  const watch = new ServerWatch(
    terms,
    (servers) => {
      if (isOver()) return;
      const keyOf = ({ name, address }: RoutedServer) => `${name}\0${address}`;
      const fresh = new Map(servers.map((server) => [keyOf(server), server]));
      for (const link of links) if (!fresh.delete(keyOf(link.server))) link.drain();
      for (const server of fresh.values()) {
        const link = make(server, watched);
        links.push(link);
        void link.stopped.then(() => links.splice(links.indexOf(link), 1));
      }
    },
    isOver,
  );
  const watched: T = {
    ...terms,
    notice: (notice) => {
      terms.notice(notice);
      if (notice.type === "disconnected" || notice.type === "unreachable") watch.refresh();
    },
  };
}
