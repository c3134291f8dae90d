import type { Connection, ConnectionHandlers } from "@drover/transport";
import type { Identity, JobServerCore, Peer } from "./core/index.ts";
import type { Traffic, TrafficByTransport } from "./traffic.ts";

/** Who is told what happens to a connection. */
interface LinkHandlers {
  readonly core: JobServerCore;
  readonly traffic: TrafficByTransport;
  received(link: Link, chunk: Uint8Array): void;
  drained(link: Link): void;
  ended(link: Link): void;
  closed(link: Link): void;
}

/** One connection: its transport on one side, its peer in the core on the other. */
export class Link implements ConnectionHandlers {
  readonly connection: Connection;
  /** What limits count it under. */
  readonly address: string;
  readonly peer: Peer;
  readonly traffic: Traffic;
  /** Since when what it is to get has waited, on the core's clock; 0 = it does not wait. */
  deferredSinceMs = 0;
  /** The other end has said all, but is still to be answered. */
  endsWhenAnswered = false;
  readonly #server: LinkHandlers;

  constructor(server: LinkHandlers, connection: Connection, address: string, identity: Identity | undefined) {
    this.#server = server;
    this.connection = connection;
    this.address = address;
    this.peer = server.core.connect(address, this, identity);
    this.traffic = server.traffic.of(connection.peer.transport);
    this.traffic.open++;
    this.traffic.accepted++;
  }

  data(chunk: Uint8Array): void {
    this.#server.received(this, chunk);
  }

  drain(): void {
    this.#server.drained(this);
  }

  ended(): void {
    this.#server.ended(this);
  }

  close(): void {
    this.#server.closed(this);
  }
}
