import type { Connection, ConnectionHandlers } from "@drover/transport";
import type { Identity, JobServerCore, Peer } from "./core/index.ts";

/** Who is told what happens to a connection. */
interface LinkHandlers {
  readonly core: JobServerCore;
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

/**
 * With so many connections to write to in one turn, those that can wait do: see `canWait`. With fewer, the server has time;
 * with more, the turn is long enough for writes to be full.
 */
export const DEFERRING_CONNECTIONS = { least: 8, most: 64 };
/** For so long at most, though always for one turn. */
const DEFERRED_MS = 0.3;
/** More than this is sent at once. */
const DEFERRED_BYTES = 16 * 1024;

/**
 * Whether a write may wait some turns and then carry more: a client that still waits for other jobs does not go on
 * before they end. Half of the writes are to clients, and a write costs more than all else that is done for a job.
 */
export function canWait({ peer, deferredSinceMs }: Link, nowMs: number): boolean {
  const { submissionCount, out, closing, stalled, gone } = peer;
  if (submissionCount === 0 || out.bytes >= DEFERRED_BYTES) return false;
  if (deferredSinceMs > 0 && nowMs - deferredSinceMs >= DEFERRED_MS) return false;
  return closing === null && !stalled && !gone;
}
