import type { PeerAddress } from "@drover/transport";

export type TransportName = PeerAddress["transport"];

/** Connections and bytes of one transport since the start, and connections now. */
export class Traffic {
  open = 0;
  accepted = 0;
  receivedBytes = 0;
  /** Handed to the transport. */
  sentBytes = 0;
}

/** The traffic of each transport that has had any. */
export class TrafficByTransport {
  readonly #all = new Map<TransportName, Traffic>();

  of(transport: TransportName): Traffic {
    let traffic = this.#all.get(transport);
    if (traffic === undefined) {
      traffic = new Traffic();
      this.#all.set(transport, traffic);
    }
    return traffic;
  }

  entries(): IterableIterator<[TransportName, Traffic]> {
    return this.#all.entries();
  }
}
