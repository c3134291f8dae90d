import { type ByteSink, Found, type Packet, PacketStream } from "@drover/protocol";
import type { Peer } from "../../../packages/server/src/core/index.ts";
import type { Node } from "./node.ts";
import type { FleetWorld } from "./world.ts";

/** Who dialled. Told one thing at a time; after `lost` nothing more. */
export interface Dialler {
  /** Where it stands, for partitions: a server's name, or empty for who is nobody's neighbour. */
  readonly site: string;
  opened(wire: Wire): void;
  packet(packet: Packet): void;
  /** It never was open, or is no more. */
  lost(): void;
}

/**
 * A connection to one start of one server. What is written arrives late, in order and whole, or not at all; each end
 * learns of the other's end in its own time. A partition holds everything back, until an end gives the other up.
 */
export class Wire implements ByteSink {
  readonly node: Node;
  /** Of the server when it was accepted. */
  readonly start: number;
  readonly #world: FleetWorld;
  readonly #dialler: Dialler;
  readonly #stream = new PacketStream({ maxBodyBytes: 1 << 20, maxLineBytes: 1 << 16 });
  #peer: Peer | null = null;
  #nearIsOpen = true;
  #farIsOpen = false;
  /** What is under way, in order. */
  readonly #up: (() => void)[] = [];
  readonly #down: (() => void)[] = [];
  /** How much of it would have arrived but for a partition. */
  #upHeld = 0;
  #downHeld = 0;
  #lastUpMs = 0;
  #lastDownMs = 0;

  constructor(world: FleetWorld, dialler: Dialler, node: Node) {
    this.#world = world;
    this.#dialler = dialler;
    this.node = node;
    this.start = node.start;
    world.wires.add(this);
    this.#carry(true, () => this.#arrive());
    if (this.isBlocked) this.#detect(true);
  }

  get isBlocked(): boolean {
    return this.#world.isBlocked(this.#dialler.site, this.node.name);
  }

  /** The dialler writes. */
  write(bytes: Uint8Array): void {
    if (!this.#nearIsOpen) return;
    this.#carry(true, () => {
      if (this.#farIsOpen) this.node.turn((core) => core.receive(this.#peer!, bytes));
    });
  }

  /** The server writes. */
  answer(bytes: Uint8Array): void {
    if (!this.#farIsOpen) return;
    this.#carry(false, () => this.#read(bytes));
  }

  /** The dialler ends it, and is told nothing more. */
  leave(): void {
    if (!this.#nearIsOpen) return;
    this.#nearIsOpen = false;
    this.#carry(true, () => this.endFar());
  }

  /** The dialler is dead: the server learns of it later. */
  abandon(): void {
    if (!this.#nearIsOpen) return;
    this.#nearIsOpen = false;
    this.#world.later(this.#world.noticeMs(), () => this.endFar());
  }

  /** The server ends it, or gives it up. */
  endFar(): void {
    if (!this.#farIsOpen) return;
    this.#farIsOpen = false;
    this.node.forget(this.#peer!);
    this.node.turn((core) => core.disconnect(this.#peer!));
    this.#carry(false, () => this.#endNear());
    this.#sweep();
  }

  /** The server is dead: the dialler learns of it later. */
  crash(): void {
    this.#farIsOpen = false;
    this.#world.later(this.#world.noticeMs(), () => this.#endNear());
  }

  /** A partition has begun or ended. */
  partitionChanged(): void {
    if (this.isBlocked) {
      this.#detect(true);
      this.#detect(false);
      return;
    }
    const [up, down] = [this.#upHeld, this.#downHeld];
    this.#upHeld = 0;
    this.#downHeld = 0;
    for (let i = 0; i < up; i++) this.#deliverLater(true);
    for (let i = 0; i < down; i++) this.#deliverLater(false);
  }

  /** Some time after the other end fell silent an end gives it up. */
  #detect(near: boolean): void {
    const { partition } = this.#world;
    this.#world.later(this.#world.noticeMs(), () => {
      if (!this.isBlocked || this.#world.partition !== partition) return;
      if (near) this.#endNear();
      else this.endFar();
    });
  }

  #endNear(): void {
    if (!this.#nearIsOpen) return;
    this.#nearIsOpen = false;
    this.#dialler.lost();
    this.#carry(true, () => this.endFar());
    this.#sweep();
  }

  #sweep(): void {
    if (!this.#nearIsOpen && !this.#farIsOpen) this.#world.wires.delete(this);
  }

  #arrive(): void {
    if (!this.#nearIsOpen) return;
    if (!this.node.isUp || this.node.start !== this.start) {
      this.#carry(false, () => this.#endNear());
      return;
    }
    this.#peer = this.node.accept(this, this.#dialler.site);
    this.#farIsOpen = true;
    this.#carry(false, () => {
      if (this.#nearIsOpen) this.#dialler.opened(this);
    });
  }

  #read(bytes: Uint8Array): void {
    const stream = this.#stream;
    stream.push(bytes);
    for (let found = stream.next(); found === Found.PACKET; found = stream.next()) {
      if (!this.#nearIsOpen) return;
      this.#dialler.packet(stream.decode());
    }
  }

  #carry(up: boolean, action: () => void): void {
    (up ? this.#up : this.#down).push(action);
    this.#deliverLater(up);
  }

  /** Delivers what is first in a direction, behind all that is to be delivered already. */
  #deliverLater(up: boolean): void {
    const world = this.#world;
    const atMs = Math.max(up ? this.#lastUpMs : this.#lastDownMs, world.nowMs + world.delayMs());
    if (up) this.#lastUpMs = atMs;
    else this.#lastDownMs = atMs;
    world.later(atMs - world.nowMs, () => {
      if (!this.isBlocked) (up ? this.#up : this.#down).shift()!();
      else if (up) this.#upHeld++;
      else this.#downHeld++;
    });
  }
}
