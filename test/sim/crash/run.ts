import { byteString, bytesOf } from "@drover/protocol";
import {
  DEFAULT_FUNCTION_SETTINGS,
  DEFAULT_LIMITS,
  type FunctionSettings,
  JobServerCore,
  type Peer,
} from "../../../packages/server/src/core/index.ts";
import { Random } from "../random.ts";
import { ensure, Violation } from "../violation.ts";
import { Disk } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import { Client, Worker } from "./peers.ts";

/*
 * The job server with a store, which crashes at any point between two effects: while a commit is under way, before it
 * was begun, after it was made and before anybody heard of it. What is checked is what everybody outside can see.
 */

const SETTINGS: Readonly<Record<string, FunctionSettings>> = {
  plain: { ...DEFAULT_FUNCTION_SETTINGS, maxAttempts: 0 },
  retried: {
    ...DEFAULT_FUNCTION_SETTINGS,
    maxAttempts: 4,
    retry: { maxAttempts: 3, backoff: { initialMs: 500, maxMs: 2000, factor: 2, jitter: 0.5 } },
  },
};

export interface CrashOutcome {
  readonly seed: number;
  readonly crashes: number;
  readonly acknowledged: number;
  readonly failure: string | null;
}

type Actor = Client | Worker;

class CrashingWorld {
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #disk = new Disk();
  readonly #actors: Actor[];
  readonly #byPeer = new Map<Peer, Actor>();
  #core: JobServerCore;
  #nowMs = 1000;
  #wallMs = Date.UTC(2030, 0, 1);
  crashes = 0;
  /** Chances of the seed. */
  readonly #commitFails: number;
  readonly #crashes: number;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#commitFails = this.#random.pick([0, 0.1, 0.5]);
    this.#crashes = this.#random.pick([0, 0.005, 0.03]);
    const workers = this.#random.between(1, 4);
    this.#actors = [
      ...Array.from({ length: this.#random.between(1, 4) }, () => new Client(this.#ledger)),
      ...Array.from({ length: workers }, () => new Worker(this.#ledger)),
    ];
    this.#core = this.#start();
  }

  get acknowledged(): number {
    return this.#ledger.promises;
  }

  #start(): JobServerCore {
    // A clock that was set back must not give a handle again.
    const wanted = this.#random.chance(0.5) ? this.#wallMs : 1;
    const core = new JobServerCore({
      limits: DEFAULT_LIMITS,
      handlePrefix: "H",
      firstHandle: this.#disk.reserve(wanted, 1_000_000),
      settingsFor: (name) => SETTINGS[name] ?? DEFAULT_FUNCTION_SETTINGS,
      digest: (bytes) => byteString(bytes),
      random: () => this.#random.float(),
      exceptionsForAll: false,
      wakeAtLeast: 0,
      timeoutUnit: "ms",
      version: "sim",
      pid: 1,
      logLevel: "INFO",
      durable: true,
      allowShutdown: false,
    });
    core.setClock(this.#nowMs, this.#wallMs);
    for (const row of this.#disk.sorted()) core.restore(row);
    return core;
  }

  step(): void {
    const random = this.#random;
    this.#ledger.step++;
    random.weighted<() => void>([
      [60, () => this.#talk(random.pick(this.#actors))],
      [12, () => this.#begin()],
      [12, () => this.#end()],
      [8, () => this.#pass(random.below(400))],
      [2, () => this.#leave(random.pick(this.#actors))],
      [2, () => this.#requeue()],
    ])();
    if (random.chance(this.#crashes)) this.#crash();
  }

  /** Nothing goes wrong any more: everything that was promised must come to its end, and nothing may be left. */
  settle(): void {
    const good = new Worker(this.#ledger, true);
    for (const actor of [...this.#actors]) if (actor instanceof Worker) this.#leave(actor);
    for (let quiet = 0; quiet < 8; ) {
      this.#ledger.step++;
      if (this.#disk.isWriting) this.#endWith(true, true);
      this.#begin();
      this.#pass(1000);
      const before = good.noJobs;
      this.#talk(good);
      // The clock may have been set back for a long time, and what is due waits for it.
      const isIdle = good.noJobs > before && !good.isBusy && this.#core.state.dueJobs.size === 0;
      quiet = isIdle && !this.#disk.isWriting ? quiet + 1 : 0;
      ensure(this.#ledger.step < 1_000_000, "end", () => "there is no end of jobs");
    }
    const { state } = this.#core;
    const dead = new Set([...state.deadLetters.values()].map(({ number }) => state.handles.text(number)));
    // Two jobs of one unique are one after a restart, under the handle of the first.
    const uniques = new Set([...state.deadLetters.values()].map(({ fn, key }) => `${fn}\0${key}`));
    this.#ledger.check((handle, fn, unique) => {
      return dead.has(handle) || (unique !== "" && uniques.has(`${fn}\0${unique}`));
    });
    for (const peer of [...this.#byPeer.keys()]) this.#turn(() => this.#core.disconnect(peer));
    ensure(state.jobs.size === 0, "leak", () => `${state.jobs.size} jobs are left`);
    const rows = this.#disk.sorted().filter(({ reason }) => reason === "");
    ensure(
      rows.length === 0,
      "leak",
      () => `${rows.length} jobs are stored that there are not: ${rows[0]!.id}`,
    );
    ensure(
      this.#disk.rows.size === dead.size,
      "leak",
      () => `${this.#disk.rows.size} dead letters are stored, and there are ${dead.size}`,
    );
  }

  #talk(actor: Actor): void {
    const bytes = actor.next(this.#random, this.#wallMs);
    if (bytes === null) return;
    this.#turn(() => {
      if (actor.peer === null) {
        actor.peer = this.#core.connect("sim");
        this.#byPeer.set(actor.peer, actor);
      }
      this.#core.receive(actor.peer, new Uint8Array(bytes));
    });
  }

  #leave(actor: Actor): void {
    const { peer } = actor;
    if (peer === null) return;
    this.#byPeer.delete(peer);
    actor.lost(false);
    this.#turn(() => this.#core.disconnect(peer));
  }

  /** An administrator requeues a dead letter, if there is one. */
  #requeue(): void {
    const { state } = this.#core;
    const letters = [...state.deadLetters.values()];
    if (letters.length === 0) return;
    const picked = this.#random.pick(letters);
    const letter = state.handles.text(picked.number);
    const fn = state.functions.get(picked.fn);
    const live = fn === undefined || picked.key === "" ? undefined : state.uniques.get(fn, picked.key);
    const before = state.nextJobNumber;
    this.#turn(() => {
      const peer = this.#core.connect("sim");
      this.#core.receive(peer, bytesOf(`deadletter requeue ${letter}\n`));
      this.#core.disconnect(peer);
    });
    // It joined a live job of its unique, or became a new one.
    const job = live?.number ?? (before < state.nextJobNumber ? before : undefined);
    if (job !== undefined) this.#ledger.requeued(letter, state.handles.text(job));
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    this.#wallMs += ms;
    this.#turn(() => this.#core.tick());
  }

  #begin(): void {
    const commit = this.#core.beginCommit();
    if (commit !== null) this.#disk.begin(commit);
  }

  #end(): void {
    if (!this.#disk.isWriting) return;
    const succeeds = !this.#random.chance(this.#commitFails);
    // A commit that failed may be there all the same: its answer was lost.
    this.#endWith(succeeds, succeeds || this.#random.chance(0.3));
  }

  #endWith(succeeds: boolean, applied: boolean): void {
    this.#disk.end(applied);
    this.#turn(() => this.#core.commitEnded(succeeds));
  }

  #crash(): void {
    this.crashes++;
    if (this.#disk.isWriting) this.#disk.end(this.#random.chance(0.5));
    for (const actor of this.#actors) if (actor.peer !== null) actor.lost(true);
    this.#byPeer.clear();
    this.#ledger.crashed();
    if (this.#random.chance(0.3)) this.#wallMs -= this.#random.below(100_000);
    this.#core = this.#start();
  }

  #turn(action: () => void): void {
    this.#core.setClock(this.#nowMs, this.#wallMs);
    action();
    for (const peer of this.#core.takeDirty()) {
      peer.dirty = false;
      const actor = this.#byPeer.get(peer);
      for (const chunk of peer.out.take()) actor?.take(chunk);
      peer.out.recycle();
      ensure(peer.closing === null, "S9", () => `the server closes a connection: ${peer.closing}`);
    }
    this.#core.takeNotes();
  }
}

/** Runs one seed for so many steps, then lets everything end. */
export function runCrashes(seed: number, steps: number): CrashOutcome {
  const world = new CrashingWorld(seed);
  let failure: string | null = null;
  try {
    for (let i = 0; i < steps; i++) world.step();
    world.settle();
  } catch (error) {
    failure = error instanceof Violation ? error.message : String((error as Error).stack ?? error);
  }
  return { seed, crashes: world.crashes, acknowledged: world.acknowledged, failure };
}
