import { encodePacket, type PacketName, type PacketStream, PacketType, REQ } from "@drover/protocol";
import type { Connection } from "./network.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Someone at the other end of connections. Everything it does comes from its own random numbers. */
export abstract class Actor {
  readonly world: World;
  readonly index: number;
  readonly random: Random;
  /** Orders its events among those of one instant. */
  events = 0;
  connection: Connection | null = null;
  /** What it sends is not judged, and it may be closed at any time. */
  readonly nonsense: boolean = false;

  constructor(world: World, index: number) {
    this.world = world;
    this.index = index;
    this.random = new Random(world.plan.seed, index);
  }

  /** Does something, once in a while. */
  abstract act(): void;

  /** Got a packet: it is described by the stream, until the next. */
  packet(_connection: Connection, _stream: PacketStream): void {}

  line(_connection: Connection, _line: string): void {}

  /** The server closed the connection. */
  lost(connection: Connection): void {
    if (this.connection === connection) this.connection = null;
  }

  /** Does something after a while. */
  later(ms: number, action: () => void): void {
    this.world.schedule(this, ms, action);
  }

  /** Acts again and again, about every `paceMs`. */
  begin(paceMs: number): void {
    this.later(1 + this.random.below(2 * paceMs), () => {
      if (this.world.quiet) return;
      this.act();
      this.begin(paceMs);
    });
  }

  send(name: PacketName, args: readonly string[] = [], data?: Uint8Array): void {
    this.connection?.send(encodePacket(REQ, PacketType[name], args, data));
  }

  /** What may befall any connection between two actions. @returns whether it was lost. */
  misfortune(): boolean {
    const { connection, random } = this;
    const { lossRate, stallRate } = this.world.plan;
    if (connection === null) return true;
    if (random.chance(stallRate)) connection.stall(random.between(1, 400));
    if (!random.chance(lossRate)) return false;
    this.leave();
    return true;
  }

  /** Gives up the connection in some way. */
  leave(): void {
    const { connection, random } = this;
    if (connection === null) return;
    this.connection = null;
    // At once, or half open: the server learns of it much later and meanwhile talks to nobody.
    const noticed = random.chance(0.7) ? random.below(20) : random.between(100, 3000);
    connection.abandon(noticed, random.chance(0.5));
    this.lost(connection);
  }
}
