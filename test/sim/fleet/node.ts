import { ranking } from "@drover/client";
import { byteString, bytesOf, ClientSession, NOBODY, type Packet } from "@drover/protocol";
import { Fleet, type ForwardedSubmission } from "../../../packages/server/src/core/fleet.ts";
import {
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  JobServerCore,
  type Peer,
} from "../../../packages/server/src/core/index.ts";
import { Relay, Relays } from "../../../packages/server/src/peers/link.ts";
import { type Dialler, Wire } from "./wire.ts";
import type { FleetWorld } from "./world.ts";

const rankings = new Map<string, Map<string, readonly string[]>>();

/** The names in the order in which a key goes to them. */
export function rankNames(names: readonly string[], fn: string, unique: string): readonly string[] {
  const list = names.join(" ");
  const known = rankings.get(list) ?? new Map<string, readonly string[]>();
  rankings.set(list, known);
  const key = `${fn} ${unique}`;
  let ranked = known.get(key);
  if (ranked === undefined) {
    const servers = names.map((name) => ({ name, address: "" }));
    ranked = ranking(servers)(bytesOf(fn), bytesOf(unique)).map(({ name }) => name);
    known.set(key, ranked);
  }
  return ranked;
}

/** A server of the fleet over all its starts: the core with its fleet, and the links that a shell would keep. */
export class Node {
  readonly name: string;
  readonly world: FleetWorld;
  /** Number of its latest start. */
  start = 0;
  /** The servers that it is told are the fleet. */
  list: readonly string[];
  core: JobServerCore | null = null;
  fleet!: Fleet;
  readonly #wires = new Map<Peer, Wire>();
  #links = new Map<string, Link>();

  constructor(world: FleetWorld, name: string, list: readonly string[]) {
    this.world = world;
    this.name = name;
    this.list = list;
  }

  get isUp(): boolean {
    return this.core !== null;
  }

  boot(): void {
    const { world } = this;
    this.start++;
    const core = new JobServerCore({
      limits: DEFAULT_LIMITS,
      handlePrefix: `H:${this.name}`,
      firstHandle: this.start * 1_000_000,
      settingsFor: () => DEFAULT_FUNCTION_SETTINGS,
      digest: byteString,
      random: () => world.random.float(),
      exceptionsForAll: false,
      wakeAtLeast: 0,
      timeoutUnit: "ms",
      version: "sim",
      pid: 1,
      logLevel: "ERROR",
      allowShutdown: false,
    });
    this.core = core;
    core.setClock(world.nowMs, world.nowMs);
    this.fleet = Fleet.attach(core.state, {
      self: this.name,
      members: this.list,
      rank: (names, fn, unique) =>
        rankNames(names, fn, typeof unique === "string" ? unique : byteString(unique)),
      links: {
        submit: (member, submission) => {
          world.judge.forwards(this, byteString(submission.workload));
          this.#links.get(member)!.submit(submission);
        },
        leave: (member, id) => this.#links.get(member)!.leave(id),
        ask: () => {},
      },
      returnHoldMs: world.plan.returnHoldMs,
      connectGraceMs: world.plan.connectGraceMs,
    });
    this.#links = new Map();
    world.judge.booted(this);
    this.#linkAll();
  }

  /** The process is killed. */
  crash(): void {
    this.core = null;
    for (const wire of this.#wires.values()) wire.crash();
    this.#wires.clear();
    for (const link of this.#links.values()) link.abandon();
    this.#links.clear();
    this.world.judge.crashed(this);
  }

  /** It learns of another list. */
  setList(list: readonly string[]): void {
    this.list = list;
    if (this.core === null) return;
    this.turn(() => this.fleet.setMembers(list));
    this.world.judge.listChanged(this);
    this.#linkAll();
    // A member that comes back to the list is new to the fleet, though its link never went.
    for (const name of list) {
      if (name !== this.name && this.#links.get(name)!.isUp) this.linkIsUp(name);
    }
  }

  linkIsUp(member: string): void {
    this.turn(() => this.fleet.up(member));
    this.world.judge.linkUp(this, member);
  }

  linkIsDown(member: string): void {
    this.turn(() => this.fleet.down(member));
    this.world.judge.linkDown(this, member);
  }

  #linkAll(): void {
    for (const name of [...this.list, this.name]) {
      if (!this.#links.has(name)) this.#links.set(name, new Link(this, name));
    }
  }

  accept(wire: Wire, site: string): Peer {
    const peer = this.core!.connect("127.0.0.1", site);
    this.#wires.set(peer, wire);
    return peer;
  }

  forget(peer: Peer): void {
    this.#wires.delete(peer);
  }

  /** A turn of the shell. */
  turn(action: (core: JobServerCore) => void): void {
    const { core, world } = this;
    if (core === null) return;
    core.setClock(world.nowMs, world.nowMs);
    action(core);
    const closing: Wire[] = [];
    for (const peer of core.takeDirty()) {
      peer.dirty = false;
      const wire = this.#wires.get(peer);
      if (peer.out.bytes > 0) {
        const bytes = Buffer.concat(peer.out.take());
        peer.out.recycle();
        wire?.answer(bytes);
      }
      if (peer.closing !== null && wire !== undefined) closing.push(wire);
    }
    core.takeNotes();
    world.judge.turned(this, core);
    for (const wire of closing) wire.endFar();
  }
}

const BACKOFF_MS = 30;

/** The connection of a server with a member, made anew whenever it is lost, as the shell's `MemberLink`. */
class Link implements Dialler {
  readonly site: string;
  readonly #node: Node;
  readonly #member: string;
  readonly #submitted = new Relays();
  readonly #early = new Map<number, (session: ClientSession) => void>();
  #wire!: Wire;
  #session: ClientSession | null = null;
  #agreed: { readonly session: ClientSession } | null = null;
  #isOver = false;

  constructor(node: Node, member: string) {
    this.#node = node;
    this.#member = member;
    this.site = node.name;
    this.#dial();
  }

  get isUp(): boolean {
    return this.#agreed !== null;
  }

  #dial(): void {
    const { world } = this.#node;
    if (!this.#isOver) this.#wire = new Wire(world, this, world.node(this.#member));
  }

  opened(wire: Wire): void {
    const session = new ClientSession(wire);
    session.replays = true;
    this.#session = session;
    session.option("exceptions", NOBODY);
    session.option("drover.1", NOBODY);
    session.option(`drover.peer:${this.#node.name}`, {
      ...NOBODY,
      answer: () => {
        this.#agreed = { session };
        for (const send of this.#early.values()) send(session);
        this.#early.clear();
        this.#node.linkIsUp(this.#member);
      },
    });
  }

  packet(packet: Packet): void {
    this.#node.turn(() => {
      this.#session!.receive(packet);
    });
  }

  lost(): void {
    const session = this.#session;
    this.#session = null;
    this.#agreed = null;
    this.#submitted.clear();
    this.#early.clear();
    this.#node.linkIsDown(this.#member);
    session?.lost();
    const { world } = this.#node;
    world.later(world.random.between(1, BACKOFF_MS), () => this.#dial());
  }

  submit({ id, fn, unique, options, background, workload }: ForwardedSubmission): void {
    const ends = { fleet: this.#node.fleet, turn() {} };
    const relay = new Relay(id, ends, this.#submitted, background ? "" : `${fn}\0${unique}`);
    const send = (session: ClientSession) =>
      session.submit({ function: fn, unique, options, background, workload }, relay);
    if (this.#agreed === null) this.#early.set(id, send);
    else send(this.#agreed.session);
  }

  leave(id: number): void {
    this.#early.delete(id);
    const relay = this.#submitted.get(id);
    if (relay === undefined || this.#agreed === null) return;
    relay.leave(this.#agreed as Parameters<Relay["leave"]>[0]);
  }

  /** Its server is dead. */
  abandon(): void {
    this.#isOver = true;
    this.#wire.abandon();
  }
}
