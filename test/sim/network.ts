import { Found, PacketStream } from "@drover/protocol";
import type { Peer } from "../../packages/server/src/core/index.ts";
import type { Actor } from "./actor.ts";
import type { Watched } from "./invariants.ts";
import { hashBytes } from "./random.ts";
import { ensure } from "./violation.ts";
import type { World } from "./world.ts";

interface Chunk {
  bytes: Uint8Array;
  /** Of an array that the server may still hold: what its bytes were when it gave them away. */
  readonly hash: number | undefined;
}

const WIRE_LIMITS = { maxBodyBytes: 1_000_000, maxLineBytes: 100_000 };

/**
 * One connection through a bad network. Bytes of a direction stay in order; everything else may happen: delays,
 * deliveries cut at any byte, an end that does not read, an end that is gone without the other knowing.
 */
export class Connection {
  readonly world: World;
  readonly actor: Actor;
  readonly peer: Peer;
  readonly watched: Watched;
  /** The server's end is open. */
  open = true;
  /** The actor still uses it. */
  held = true;
  /** Bytes handed over so far, hashed: what the actor's view of the server comes to. */
  hash = 0;

  readonly #up: Uint8Array[] = [];
  #upUnderWay = false;
  readonly #down: Chunk[] = [];
  #downUnderWay = false;
  #reading = true;
  readonly #stream = new PacketStream(WIRE_LIMITS);

  constructor(world: World, actor: Actor, peer: Peer, watched: Watched) {
    this.world = world;
    this.actor = actor;
    this.peer = peer;
    this.watched = watched;
  }

  /** The actor writes. */
  send(bytes: Uint8Array): void {
    if (!this.held || !this.open) return;
    this.#up.push(bytes);
    this.#scheduleUp();
  }

  /** The actor stops reading for a while. */
  stall(ms: number): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.actor.later(ms, () => this.resume());
  }

  resume(): void {
    this.#reading = true;
    this.#scheduleDown();
  }

  /** The actor is gone from it. The server may get what was under way, or part of it, and learns of the end later. */
  abandon(noticedAfterMs: number, deliversRest: boolean): void {
    if (!this.held) return;
    this.held = false;
    this.#reading = false;
    if (!deliversRest) this.#up.length = 0;
    this.actor.later(noticedAfterMs, () => this.end());
  }

  /** The server's end is over. */
  end(): void {
    if (!this.open) return;
    this.open = false;
    this.#up.length = 0;
    this.world.disconnect(this);
    if (this.held) {
      this.held = false;
      this.actor.later(this.#delay(), () => this.actor.lost(this));
    }
  }

  /** The server sends. */
  sent(chunks: readonly Uint8Array[], total: number): void {
    const { peer, world, actor } = this;
    for (const chunk of chunks) this.hash = hashBytes(this.hash, chunk);
    world.mix(this.hash);
    peer.unsentBytes += total;
    // A real shell writes at once and gets its pages back, or has to wait and keeps them.
    if (actor.random.chance(0.5)) {
      const copy = new Uint8Array(total);
      let offset = 0;
      for (const chunk of chunks) {
        copy.set(chunk, offset);
        offset += chunk.length;
      }
      this.#down.push({ bytes: copy, hash: undefined });
      peer.out.recycle();
    } else {
      for (const chunk of chunks) this.#down.push({ bytes: chunk, hash: hashBytes(0, chunk) });
      peer.out.abandon();
    }
    this.#scheduleDown();
  }

  #delay(): number {
    return this.actor.random.below(this.world.plan.delayMs + 1);
  }

  #scheduleUp(): void {
    if (this.#upUnderWay || this.#up.length === 0) return;
    this.#upUnderWay = true;
    this.actor.later(this.#delay(), () => this.#deliverUp());
  }

  #deliverUp(): void {
    this.#upUnderWay = false;
    if (!this.open || this.#up.length === 0) return;
    const { random } = this.actor;
    // A connection that is told to wait is not read from, but what was under way still comes.
    if (this.peer.stalled && random.chance(0.9)) {
      this.#upUnderWay = true;
      this.actor.later(5 + this.#delay(), () => this.#deliverUp());
      return;
    }
    const chunk = this.#cut(this.#up, random.chance(this.world.plan.cutRate));
    this.world.deliver(this, chunk);
    this.#scheduleUp();
  }

  /** Takes what is delivered next: one piece, all of it, or as much as a cut leaves. */
  #cut(pieces: Uint8Array[], cuts: boolean): Uint8Array {
    const { random } = this.actor;
    let bytes = pieces.shift()!;
    if (pieces.length > 0 && random.chance(0.5)) {
      let total = bytes.length;
      for (const piece of pieces) total += piece.length;
      const all = new Uint8Array(total);
      let offset = 0;
      for (const piece of [bytes, ...pieces]) {
        all.set(piece, offset);
        offset += piece.length;
      }
      pieces.length = 0;
      bytes = all;
    }
    // What is large comes in many pieces in any case.
    if ((cuts || bytes.length > 20_000) && bytes.length > 1) {
      const at = random.between(1, bytes.length - 1);
      pieces.unshift(bytes.slice(at));
      // Either an array of its own or a view, as sockets give both.
      bytes = random.chance(0.5) ? bytes.slice(0, at) : bytes.subarray(0, at);
    }
    return bytes;
  }

  #scheduleDown(): void {
    if (this.#downUnderWay || !this.#reading || this.#down.length === 0) return;
    this.#downUnderWay = true;
    this.actor.later(this.#delay(), () => this.#deliverDown());
  }

  #deliverDown(): void {
    this.#downUnderWay = false;
    if (!this.#reading || this.#down.length === 0) return;
    const { peer, actor, world } = this;
    const chunk = this.#down.shift()!;
    const { bytes, hash } = chunk;
    ensure(
      hash === undefined || hashBytes(0, bytes) === hash,
      "framing",
      () => `bytes that connection ${peer.id} was given changed afterwards`,
    );
    if (this.open) {
      peer.unsentBytes -= bytes.length;
      if (this.#down.length === 0 || actor.random.chance(0.3)) world.drained(this);
    }
    this.#scheduleDown();
    if (this.held) this.#read(bytes);
  }

  #read(bytes: Uint8Array): void {
    const stream = this.#stream;
    stream.push(bytes);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      if (!this.held) return;
      if (found === Found.PACKET) this.actor.packet(this, stream);
      else if (found === Found.LINE) this.actor.line(this, stream.line);
    }
  }
}
