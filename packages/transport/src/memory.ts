import type { Connection, ConnectionHandlers, Listener, PeerAddress } from "./connection.ts";
import { TransportError } from "./errors.ts";

/** Decides when, and in which pieces, bytes arrive. Simulation injects one; the transport has no timer of its own. */
export interface MemoryScheduler {
  /** Runs `deliver` later, never within this call. */
  defer(deliver: () => void): void;
  /** How many of `available` (≥ 1) bytes the next delivery carries, 1 to all of them. Default: all. */
  cut?(available: number): number;
}

export interface MemoryOptions {
  /** Default: each delivery in a microtask, uncut. */
  readonly scheduler?: MemoryScheduler;
  /** Room for bytes on the way in one direction; beyond it `send` returns false. Default: 262,144. */
  readonly bufferBytes?: number;
}

const microtasks: MemoryScheduler = { defer: (deliver) => queueMicrotask(deliver) };

/**
 * Two ends of one pipe within the process. Bytes of one direction stay in order whatever the scheduler does, since
 * each direction has at most one delivery deferred.
 */
export function memoryPair(
  options: MemoryOptions = {},
  names: readonly [string, string] = ["a", "b"],
): [MemoryConnection, MemoryConnection] {
  const scheduler = options.scheduler ?? microtasks;
  const capacity = options.bufferBytes ?? 262_144;
  const a = new MemoryConnection(scheduler, capacity, names[1]);
  const b = new MemoryConnection(scheduler, capacity, names[0]);
  a.joinTo(b);
  b.joinTo(a);
  return [a, b];
}

/** Names to listen on and dial, all within the process. */
export class MemoryNetwork {
  readonly #options: MemoryOptions;
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  #dialled = 0;

  constructor(options: MemoryOptions = {}) {
    this.#options = options;
  }

  /** @throws TransportError `ADDRESS_IN_USE` */
  listen(name: string, onConnection: (connection: Connection) => void): Listener {
    if (this.#listeners.has(name))
      throw new TransportError("ADDRESS_IN_USE", `${name} is listened on already`);
    this.#listeners.set(name, onConnection);
    const address: PeerAddress = { transport: "memory", address: name, port: 0 };
    return {
      address,
      addresses: [address],
      close: async () => {
        this.#listeners.delete(name);
      },
    };
  }

  /**
   * The listener gets its end within this call.
   * @throws TransportError `CONNECTION_REFUSED`
   */
  dial(name: string, as = `client-${++this.#dialled}`): MemoryConnection {
    const accept = this.#listeners.get(name);
    if (accept === undefined) throw new TransportError("CONNECTION_REFUSED", `nobody listens on ${name}`);
    const [near, far] = memoryPair(this.#options, [as, name]);
    accept(far);
    return near;
  }
}

/** One end of a `memoryPair`. */
export class MemoryConnection implements Connection {
  readonly peer: PeerAddress;
  readonly #scheduler: MemoryScheduler;
  readonly #capacity: number;
  #other!: MemoryConnection;
  #handlers: ConnectionHandlers | undefined;
  /** Copies on the way to the other end. */
  #wire: Uint8Array[] = [];
  #wireBytes = 0;
  /** The sender's own memory, for which the wire has no room yet. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #owesDrain = false;
  #paused = false;
  /** No more is sent from here. */
  #finished = false;
  /** The other end was told that no more comes. */
  #endDelivered = false;
  #pumping = false;
  #closed = false;
  #error: Error | undefined;

  /** Use `memoryPair`. */
  constructor(scheduler: MemoryScheduler, capacity: number, peerName: string) {
    this.#scheduler = scheduler;
    this.#capacity = capacity;
    this.peer = { transport: "memory", address: peerName, port: 0 };
  }

  /** Once, by `memoryPair`. */
  joinTo(other: MemoryConnection): void {
    this.#other = other;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  attach(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error("bug: a connection is attached once");
    this.#handlers = handlers;
    this.#other.#pump();
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#finished) return true;
    if (this.#other.#closed) {
      this.#lose("reset by peer");
      return true;
    }
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#unsent.push(chunk);
      this.#unsentBytes += chunk.length;
    }
    this.#fillWire();
    this.#pump();
    if (this.#unsentBytes === 0) return true;
    this.#owesDrain = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#other.#pump();
  }

  end(): void {
    if (this.#finished) return;
    this.#finished = true;
    // What arrives from now on is dropped, so that the other end can finish too.
    this.#paused = false;
    if (this.#other.#closed) {
      this.#close();
      return;
    }
    this.#other.#pump();
    this.#pump();
  }

  /** What is on the wire still arrives, as it would from a kernel. */
  destroy(): void {
    if (this.#closed) return;
    this.#finished = true;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#close();
    this.#pump();
  }

  /** Breaks the connection: what is under way in either direction is lost, and both ends are told. For tests. */
  sever(reason = "severed"): void {
    this.#lose(reason);
    this.#other.#lose(reason);
  }

  #lose(reason: string): void {
    if (this.#closed) return;
    this.#wire = [];
    this.#wireBytes = 0;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#error = new TransportError(
      "CONNECTION_LOST",
      `connection with ${this.peer.address} broke (${reason})`,
    );
    this.#close();
  }

  #fillWire(): void {
    // Refilled in large pieces only: topping up what each small delivery took would fill the wire with crumbs.
    if (this.#wireBytes > this.#capacity / 2) return;
    while (this.#unsent.length > 0 && this.#wireBytes < this.#capacity) {
      const chunk = this.#unsent[0]!;
      const take = Math.min(chunk.length, this.#capacity - this.#wireBytes);
      // Not slice: that of a Node Buffer is a view.
      this.#wire.push(new Uint8Array(chunk.subarray(0, take)));
      this.#wireBytes += take;
      this.#unsentBytes -= take;
      if (take === chunk.length) this.#unsent.shift();
      else this.#unsent[0] = chunk.subarray(take);
    }
  }

  /** Defers one delivery to the other end when there is something to deliver. */
  #pump(): void {
    if (this.#pumping || !this.#deliverable()) return;
    this.#pumping = true;
    this.#scheduler.defer(() => {
      this.#pumping = false;
      if (!this.#deliverable()) return;
      this.#deliver();
      this.#pump();
    });
  }

  #deliverable(): boolean {
    const other = this.#other;
    if (other.#closed || other.#handlers === undefined) return false;
    if (this.#wireBytes > 0) return !other.#paused;
    return this.#finished && !this.#endDelivered && !other.#paused;
  }

  #deliver(): void {
    const other = this.#other;
    if (this.#wireBytes === 0) {
      this.#endDelivered = true;
      if (other.#finished) {
        other.#close();
        this.#close();
      } else if (this.#closed && other.#wireBytes + other.#unsentBytes > 0) {
        other.#lose("reset by peer");
      } else if (other.#handlers!.ended === undefined) other.end();
      else other.#handlers!.ended();
      return;
    }
    const chunk = this.#takeFromWire();
    this.#fillWire();
    if (!other.#finished) {
      other.#handlers!.data(chunk);
      // It was only lent: whoever kept it is to notice.
      chunk.fill(0xee);
    }
    if (this.#owesDrain && this.#unsentBytes === 0 && !this.#closed) {
      this.#owesDrain = false;
      if (!this.#finished) this.#handlers?.drain();
    }
  }

  #takeFromWire(): Uint8Array {
    const front = this.#wire[0]!;
    const take = this.#scheduler.cut?.(front.length) ?? front.length;
    this.#wireBytes -= take;
    if (take === front.length) {
      this.#wire.shift();
      return front;
    }
    this.#wire[0] = front.subarray(take);
    return front.slice(0, take);
  }

  /** The owner is told later, since no handler is called from within a call of the owner's. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#finished = true;
    this.#scheduler.defer(() => this.#handlers?.close(this.#error));
  }
}

/**
 * A scheduler whose every choice follows from a seed: which of the deferred deliveries runs next, and where bytes are
 * cut. Nothing happens until `step` or `run`.
 */
export class SeededScheduler implements MemoryScheduler {
  readonly #random: () => number;
  readonly #pending: (() => void)[] = [];

  /** @param seed Any 32-bit number; equal seeds give equal runs. */
  constructor(seed: number) {
    this.#random = mulberry32(seed);
  }

  defer(deliver: () => void): void {
    this.#pending.push(deliver);
  }

  cut(available: number): number {
    // Mostly whole, else anywhere, and often within the first bytes, where a packet's header is.
    const kind = this.#random();
    if (kind < 0.5) return available;
    const within = kind < 0.75 ? Math.min(available, 14) : available;
    return 1 + Math.floor(this.#random() * within);
  }

  /** Runs one deferred delivery. @returns false when there was none. */
  step(): boolean {
    if (this.#pending.length === 0) return false;
    const index = Math.floor(this.#random() * this.#pending.length);
    const [deliver] = this.#pending.splice(index, 1);
    deliver!();
    return true;
  }

  /** Steps until nothing is deferred. @throws Error after `maxSteps`, default 1,000,000. */
  run(maxSteps = 1_000_000): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps === maxSteps) throw new Error(`still busy after ${maxSteps} steps`);
    }
  }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
