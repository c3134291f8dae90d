import { byteString, Found } from "@drover/protocol";
import {
  DEFAULT_FUNCTION_SETTINGS,
  type FunctionSettings,
  JobServerCore,
  type Peer,
} from "../../packages/server/src/core/index.ts";
import type { Actor } from "./actor.ts";
import { Admin, Nonsense, Operator } from "./bystanders.ts";
import { Client } from "./client.ts";
import { Judge } from "./invariants.ts";
import { Connection } from "./network.ts";
import type { Plan } from "./plan.ts";
import { hashNumber, Random } from "./random.ts";
import { Schedule } from "./schedule.ts";
import { ensure, Violation } from "./violation.ts";
import { walk } from "./walk.ts";
import { Worker } from "./worker.ts";

/** Changes to a running world, for tests that want to see them caught. */
export interface Tampering {
  /** The core was made. */
  readonly core?: (core: JobServerCore) => void;
  /** Before each turn. */
  readonly turn?: (core: JobServerCore) => void;
  /** What a connection was sent, before anybody sees it. */
  readonly sent?: (chunks: readonly Uint8Array[], peer: Peer) => readonly Uint8Array[];
}

export interface WorldOptions {
  readonly tampering?: Tampering;
  /** Told of each event, in words. */
  readonly trace?: (line: string) => void;
  /** Leaves out who speaks nonsense. */
  readonly withoutNonsense?: boolean;
  /** Never looks inside the server: judges it by what it sends alone. */
  readonly withoutWalks?: boolean;
}

/** Number of the first actor of each kind, so that leaving one out does not renumber the others. */
const FIRST = { operator: 0, client: 100, worker: 200, admin: 300, nonsense: 400 };

/** A server among clients, workers and a bad network, all from one seed. Time jumps from event to event. */
export class World {
  readonly plan: Plan;
  readonly core: JobServerCore;
  readonly judge: Judge;
  readonly settings: Map<string, FunctionSettings>;
  /** Open connections. */
  readonly connections = new Map<Peer, Connection>();
  /** All connections there ever were, in order. */
  readonly history: Connection[] = [];
  readonly actors: Actor[] = [];
  /** Handles seen of late, for those who meddle with the jobs of others. */
  readonly handles: string[] = [];
  nowMs = 1000;
  wallOffsetMs = 1_700_000_000_000;
  steps = 0;
  /** Of all events and all bytes so far. */
  hash = 0;
  /** Nobody begins anything new. */
  quiet = false;

  readonly #schedule = new Schedule();
  readonly #options: WorldOptions;
  /** Numbers that the model has drawn and the server must draw as well. */
  readonly #drawn: number[] = [];
  readonly #dice: Random;
  readonly #batching: Random;
  /** Connections that the server wants closed: as in the real shell they are over for it once they are flushed. */
  readonly #closing: Connection[] = [];
  /** What was done to the server has not been flushed yet. */
  #turnIsOpen = false;

  constructor(plan: Plan, options: WorldOptions = {}) {
    this.plan = plan;
    this.#options = options;
    this.#dice = new Random(plan.seed, 2_000_000);
    this.#batching = new Random(plan.seed, 3_000_000);
    this.settings = new Map(plan.settings);
    const { limits, firstHandle, exceptionsForAll, wakeAtLeast, timeoutUnit } = plan;
    const settingsOf = (name: string) => this.settings.get(name) ?? DEFAULT_FUNCTION_SETTINGS;
    this.core = new JobServerCore({
      limits,
      handlePrefix: "H:sim",
      firstHandle,
      settingsFor: settingsOf,
      digest: (bytes) => byteString(bytes),
      random: () => {
        const next = this.#drawn.shift();
        ensure(next !== undefined, "model", () => "the server drew a random number unexpectedly");
        return next;
      },
      exceptionsForAll,
      wakeAtLeast,
      timeoutUnit,
      version: "sim",
      pid: 1,
      logLevel: "ERROR",
      allowShutdown: false,
    });
    overwriteFreePages(this.core);
    options.tampering?.core?.(this.core);
    this.judge = new Judge(this.core, {
      limits,
      handlePrefix: "H:sim",
      firstHandle,
      settingsOf,
      random: () => {
        const next = this.#dice.float();
        this.#drawn.push(next);
        return next;
      },
      exceptionsForAll,
      timeoutUnit,
      tickLateMs: plan.tickLateMs,
      functionEpoch: (name) => this.core.state.functions.get(name),
    });
    this.#setClock();
    this.#populate();
  }

  get wallMs(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  #populate(): void {
    const { plan } = this;
    const add = (actor: Actor, paceMs: number) => {
      this.actors.push(actor);
      actor.begin(paceMs);
    };
    add(new Operator(this, FIRST.operator), 300);
    for (let i = 0; i < plan.clients; i++) add(new Client(this, FIRST.client + i), plan.pace);
    for (let i = 0; i < plan.workers; i++) add(new Worker(this, FIRST.worker + i), 20);
    for (let i = 0; i < plan.admins; i++) add(new Admin(this, FIRST.admin + i), 40);
    if (this.#options.withoutNonsense === true) return;
    for (let i = 0; i < plan.nonsense; i++) add(new Nonsense(this, FIRST.nonsense + i), 30);
  }

  schedule(actor: Actor, ms: number, action: () => void): void {
    this.#schedule.add(this.nowMs + ms, actor.index, actor.events++, action);
  }

  trace(line: () => string): void {
    this.#options.trace?.(`step ${this.steps} at ${this.nowMs} ms: ${line()}`);
  }

  mix(value: number): void {
    this.hash = hashNumber(this.hash, value);
  }

  /** Lets the next thing happen. @returns false when nothing is left to happen before `untilMs`. */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    // What comes later is not handled together with what came now.
    while (this.#turnIsOpen && this.#schedule.nextMs > this.nowMs) this.#endTurn();
    const next = this.#schedule.nextMs;
    const tickMs = this.core.nextTickMs + this.plan.tickLateMs;
    if (Math.min(tickMs, next) > untilMs) return false;
    if (tickMs === Number.POSITIVE_INFINITY && next === Number.POSITIVE_INFINITY) return false;
    this.steps++;
    if (tickMs <= next) {
      this.nowMs = Math.max(this.nowMs, tickMs);
      this.trace(() => "tick");
      this.#turn(() => {
        this.judge.tick();
        this.core.tick();
        ensure(this.core.nextTickMs > this.nowMs, "tick", () => "what was due is still due after a tick");
      });
    } else {
      this.nowMs = Math.max(this.nowMs, next);
      this.#schedule.take()();
    }
    this.mix(this.nowMs);
    if (this.steps % this.plan.walkEvery === 0 && !this.#turnIsOpen) this.#walk();
    return true;
  }

  #walk(): void {
    if (this.#options.withoutWalks !== true) walk(this.core, this.judge.naive);
  }

  connect(actor: Actor): Connection {
    let connection: Connection | undefined;
    this.#turn(() => {
      const peer = this.core.connect(`actor${actor.index}`);
      this.trace(() => `actor ${actor.index} connects as ${peer.id}`);
      const watched = this.judge.connect(peer, actor.nonsense);
      watched.heardMs = this.nowMs;
      connection = new Connection(this, actor, peer, watched);
      this.connections.set(peer, connection);
      this.history.push(connection);
      // Only here can be seen in which order the messages of a chunk are handled, and which of them had to wait.
      const { stream } = peer;
      const next = stream.next.bind(stream);
      stream.next = () => {
        const found = next();
        if (found !== Found.MORE) {
          this.trace(() => `  ${peer.id} sent ${describe(peer, found)}`);
          this.judge.read(watched, found);
        }
        return found;
      };
    });
    return connection!;
  }

  deliver(connection: Connection, chunk: Uint8Array): void {
    const { peer, watched } = connection;
    this.trace(() => `${chunk.length} bytes from ${peer.id}`);
    watched.heardMs = this.nowMs;
    this.#turn(() => {
      this.core.receive(peer, chunk);
      // The server was only lent it.
      chunk.fill(0xee);
    });
  }

  drained(connection: Connection): void {
    this.trace(() => `${connection.peer.id} has read, ${connection.peer.unsentBytes} bytes to go`);
    this.#turn(() => {
      this.judge.drained(connection.watched);
      this.core.drained(connection.peer);
    });
  }

  disconnect(connection: Connection): void {
    this.trace(() => `${connection.peer.id} disconnects`);
    this.connections.delete(connection.peer);
    this.#turn(() => {
      const { peer } = connection;
      const { bytes } = peer.out;
      this.judge.disconnect(connection.watched);
      this.core.disconnect(peer);
      // A shell may learn of one end twice.
      this.core.disconnect(peer);
      ensure(peer.out.bytes === bytes, "leak", () => `connection ${peer.id} is sent something after its end`);
    });
  }

  /** The wall clock jumps. */
  jump(ms: number): void {
    this.trace(() => `the wall clock jumps by ${ms} ms`);
    this.wallOffsetMs += ms;
    if (this.plan.noticesJumps) this.#turn(() => {});
  }

  /** Gives functions new settings while jobs run. */
  changeSettings(name: string, settings: FunctionSettings): void {
    this.trace(() => `new settings of ${name}`);
    this.settings.set(name, settings);
    this.#turn(() => this.core.applySettings((fn) => this.settings.get(fn) ?? DEFAULT_FUNCTION_SETTINGS));
  }

  /**
   * Part of a turn of the shell: something is done to the server, then, mostly at once and sometimes together with
   * what happens next, everyone gets what they are to get.
   */
  #turn(action: () => void): void {
    if (!this.#turnIsOpen) this.#setClock();
    this.#options.tampering?.turn?.(this.core);
    action();
    this.judge.settleAnswered();
    this.#turnIsOpen = this.#batching.chance(this.plan.batchRate);
    if (!this.#turnIsOpen) this.#endTurn();
  }

  #setClock(): void {
    this.judge.setClock(this.nowMs, this.wallMs);
    this.core.setClock(this.nowMs, this.wallMs);
  }

  #endTurn(): void {
    const { core, judge } = this;
    this.#turnIsOpen = false;
    for (const peer of core.takeDirty()) {
      peer.dirty = false;
      const connection = this.connections.get(peer);
      if (connection !== undefined) this.#flush(connection);
      else {
        peer.out.take();
        peer.out.recycle();
      }
    }
    core.takeNotes();
    judge.endTurn();
    for (const connection of this.#closing.splice(0)) connection.end();
    ensure(this.#drawn.length === 0, "model", () => "the server did not draw a random number that was due");
  }

  /** Sends a connection what the server has for it. */
  #flush(connection: Connection): void {
    const { peer, watched } = connection;
    const total = peer.out.bytes;
    if (total > 0) {
      const taken = peer.out.take();
      const chunks = this.#options.tampering?.sent?.(taken, peer) ?? taken;
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      ensure(
        chunks !== taken || bytes === total,
        "framing",
        () => `an outbox of ${total} bytes gave ${bytes}`,
      );
      this.judge.sent(watched, chunks);
      connection.sent(chunks, bytes);
    }
    if (peer.closing === null) return;
    this.trace(() => `${peer.id} is closed: ${peer.closing}`);
    this.judge.sent(watched, []);
    this.#closing.push(connection);
  }

  /**
   * Ends the world well: everyone reads, nobody meddles, good workers come, and all jobs that wait must run. Then all
   * leave, and nothing may be left of them.
   * @throws Violation when a job never ends, or something leaks.
   */
  settle(): void {
    this.quiet = true;
    const { naive } = this.judge;
    for (const connection of [...this.connections.values()]) {
      if (connection.held && connection.actor instanceof Client) connection.resume();
      else connection.end();
    }
    for (const fn of naive.functions.values()) {
      const { settings } = this.core.state.functions.get(fn.name) ?? { settings: undefined };
      if (settings?.maxRunning === 0 && !fn.paused) continue;
      this.changeSettings(fn.name, { ...(settings ?? DEFAULT_FUNCTION_SETTINGS), maxRunning: 0 });
    }
    const helper = new Admin(this, FIRST.admin + 90);
    helper.resumeAll();
    for (let i = 0; i < 2; i++) new Worker(this, FIRST.worker + 90 + i).behave();
    for (let left = 20_000; left > 0 && naive.jobs.size > 0; left--) this.step();
    const [stuck] = naive.jobs.values();
    if (stuck !== undefined) throw new Violation("S1", `${stuck.handle} is still ${stuck.phase} at the end`);
    const silent = this.nowMs + 5_000;
    while (this.step(silent));
    for (const connection of [...this.connections.values()]) connection.end();
    while (this.#turnIsOpen) this.#endTurn();
    this.#walk();
    ensure(this.core.state.peers.size === 0, "leak", () => "connections are left");
  }
}

function describe(peer: Peer, found: Found): string {
  const { stream } = peer;
  if (found === Found.LINE) return `line ${stream.line}`;
  if (found !== Found.PACKET) return `nonsense (${found})`;
  return `type ${stream.type} ${JSON.stringify(byteString(stream.bytes, stream.start, stream.end).slice(0, 120))}`;
}

/** Whoever still looks at memory that was given back is to see nonsense. */
function overwriteFreePages({ state: { pages } }: JobServerCore): void {
  const give = pages.give.bind(pages);
  pages.give = (page) => {
    page.fill(0xee);
    give(page);
  };
}
