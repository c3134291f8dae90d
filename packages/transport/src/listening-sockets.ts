import { closeSync } from "node:fs";
import type net from "node:net";

/** A listening socket by its descriptor, and what was asked for when it was made. */
export interface ListeningSocket {
  /** `unix:/path`, or host and port as they were to be bound: port 0 stays 0. */
  readonly asked: string;
  readonly fd: number;
}

/**
 * The sockets that a process listens on: first those that it got from the process before it, then those it leaves to the next.
 * A socket that two processes have open is one queue of connections, so nobody is refused while neither accepts.
 */
export class ListeningSockets {
  readonly #inherited: ListeningSocket[];
  readonly #servers = new Map<net.Server, string>();
  #isHandedOver = false;

  constructor(inherited: readonly ListeningSocket[] = []) {
    this.#inherited = [...inherited];
  }

  /** Another process listens on them from now on: closing ours must not take their files away. */
  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  handOver(): void {
    this.#isHandedOver = true;
  }

  /** Whether the process before this one listened there. */
  has(asked: string): boolean {
    return this.#inherited.some((socket) => socket.asked === asked);
  }

  /** Lets `server` listen, on the socket that was inherited for `asked` where there is one, else as `bind` says. */
  listen(server: net.Server, bind: net.ListenOptions, onListening: () => void, asked = askedOf(bind)): void {
    const index = this.#inherited.findIndex((socket) => socket.asked === asked);
    const [inherited] = index < 0 ? [] : this.#inherited.splice(index, 1);
    server.once("listening", () => this.#servers.set(server, asked));
    server.once("close", () => this.#servers.delete(server));
    if (inherited === undefined) server.listen(bind, onListening);
    else server.listen({ fd: inherited.fd, backlog: bind.backlog }, onListening);
  }

  /** Those that are listened on, in the order in which that began. */
  get open(): ListeningSocket[] {
    return [...this.#servers].flatMap(([server, asked]) => {
      // Node takes such descriptors everywhere, and has no other name for a server's own.
      const fd = (server as net.Server & { _handle?: { fd?: number } | null })._handle?.fd;
      return fd === undefined || fd < 0 ? [] : [{ asked, fd }];
    });
  }

  /** Gives up what was inherited and is not listened on. */
  closeUnused(): void {
    for (const { fd } of this.#inherited.splice(0)) closeSync(fd);
  }
}

function askedOf({ path, host, port }: net.ListenOptions): string {
  return path === undefined ? `${host ?? "*"}:${port ?? 0}` : `unix:${path}`;
}
