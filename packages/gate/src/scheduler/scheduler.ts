import type { Log } from "@drover/server";
import type { CoreStatus, GateCore, GateEffect, GateEvent } from "../core/index.ts";
import type { GateDatabase } from "../store/database.ts";
import { EventLog } from "./event-log.ts";
import { SLICE_MS } from "./pace.ts";

export interface SchedulerOptions {
  readonly database: GateDatabase;
  readonly log: Log;
  /** Does what the core asks for. Must not throw; what comes of it is told by `tell`. */
  readonly act: (effect: GateEffect) => void;
  /** Called after each step, when there may be something else to see. */
  readonly onStep: () => void;
  /** The state cannot be written any more: nothing may go on. */
  readonly onLost: (error: Error) => void;
  readonly nowMs?: () => number;
}

/** How long what is told is gathered at most. */
const MAX_REST_MS = 20;

/** What was told, and what is to be changed in the same transaction. */
interface Told {
  readonly change: (() => void) | null;
  readonly events: readonly GateEvent[];
  /** @param isWritten Whether it is on the disk; else nothing goes on. */
  readonly done: ((isWritten: boolean) => void) | null;
}

/**
 * The core with its log and its clock. What it is told is on the disk before it is decided upon, and what is decided goes out
 * only then: so a process that is killed at any moment leaves a log from which the next one finds everything again.
 */
export class Scheduler {
  readonly core: GateCore;
  readonly #options: SchedulerOptions;
  readonly #log: EventLog;
  readonly #nowMs: () => number;
  /** Told, and not written yet. */
  #told: Told[] = [];
  /** Written, and not decided upon yet. */
  readonly #written: {
    readonly seq: number;
    readonly events: readonly GateEvent[];
    readonly atMs: number;
  }[] = [];
  /** Of the newest batch that was decided upon. */
  #decidedSeq = 0;
  #flushing: NodeJS.Timeout | NodeJS.Immediate | undefined;
  /** Until when what is told is gathered. */
  #restUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStepping = false;
  #isOver = false;
  #lastMs = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#log = new EventLog(options.database);
    this.core = this.#log.restore();
  }

  /** Tells what happened, together with all else of this turn. */
  tell(event: GateEvent): void {
    this.#add({ change: null, events: [event], done: null });
  }

  /** Tells what an operator wants, and has it decided upon before it returns. */
  tellNow(event: GateEvent): void {
    this.#told.push({ change: null, events: [event], done: null });
    this.#flushAll();
  }

  /**
   * Changes the database and tells what that means, in one transaction: after a crash both are there, or neither. Fails as the
   * log does: nothing goes on.
   */
  record(change: () => void, events: readonly GateEvent[] = []): void {
    if (this.#isOver) return;
    try {
      this.#options.database.transaction(() => {
        change();
        this.append(events);
      });
    } catch (error) {
      this.#lose(error as Error);
    }
  }

  /**
   * As `record`, together with all else of this turn, and after what was told before it. What it changes is to be changed by
   * this alone: `record` would overtake it.
   * @returns whether it is on the disk, when it is; `false` when nothing goes on any more.
   */
  recordSoon(change: () => void, events: readonly GateEvent[] = []): Promise<boolean> {
    return new Promise((done) => {
      if (this.#isOver) done(false);
      else this.#add({ change, events, done });
    });
  }

  /** Writes what happened within the transaction that is under way, so that it has happened exactly when that succeeds. */
  append(events: readonly GateEvent[]): void {
    if (events.length === 0 || this.#isOver) return;
    // A clock that was set back must not make the log say that time went back.
    const atMs = Math.max(this.#lastMs, this.#nowMs());
    this.#lastMs = atMs;
    const seq = this.#log.append(events, atMs);
    this.#options.database.afterCommit(() => {
      this.#written.push({ seq, events, atMs });
      this.#step();
    });
  }

  /** Asks again for what a process before this one asked for. To be called once, when everything is there to answer. */
  resume(): void {
    this.tell({ kind: "restarted" });
  }

  status(): CoreStatus {
    return this.core.status();
  }

  /** Writes what was told, and the state as a whole. Nothing is done any more after it. */
  close(): void {
    if (this.#isOver) return;
    this.#flushAll();
    this.#isOver = true;
    this.#stopFlushing();
    clearTimeout(this.#timer);
    try {
      this.#log.snapshot(this.core, this.#nowMs());
    } catch (error) {
      this.#options.log.warn({ error }, "the state was not written as a whole: the next start takes longer");
    }
  }

  #add(told: Told): void {
    if (this.#isOver) return;
    this.#told.push(told);
    this.#flushSoon();
  }

  /** At the end of this turn; after a slow write as much later as that took, so that much is written at once. */
  #flushSoon(): void {
    if (this.#flushing !== undefined) return;
    const restMs = this.#restUntilMs - performance.now();
    this.#flushing = restMs < 1 ? setImmediate(() => this.#flush()) : setTimeout(() => this.#flush(), restMs);
  }

  #stopFlushing(): void {
    const flushing = this.#flushing;
    this.#flushing = undefined;
    clearTimeout(flushing as NodeJS.Timeout | undefined);
    clearImmediate(flushing as NodeJS.Immediate | undefined);
  }

  #flushAll(): void {
    while (this.#told.length > 0 && !this.#isOver) this.#flush();
  }

  /** Writes what was told, in one transaction; of changes that take long only some, so that others have their turn. */
  #flush(): void {
    this.#stopFlushing();
    if (this.#told.length === 0 || this.#isOver) return;
    let taken: readonly Told[] = [];
    const beganMs = performance.now();
    this.record(() => {
      const untilMs = beganMs + SLICE_MS;
      let count = 0;
      for (const { change } of this.#told) {
        if (change !== null && count > 0 && performance.now() >= untilMs) break;
        change?.();
        count++;
      }
      taken = this.#told.splice(0, count);
      this.append(taken.flatMap(({ events }) => events));
    });
    for (const { done } of taken) done?.(!this.#isOver);
    const endedMs = performance.now();
    this.#restUntilMs = endedMs + Math.min(MAX_REST_MS, endedMs - beganMs);
    if (this.#told.length > 0) this.#flushSoon();
  }

  #step(): void {
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#written.shift(); next !== undefined; next = this.#written.shift()) {
        const effects = this.core.step(next.events, next.atMs);
        this.#decidedSeq = next.seq;
        for (const effect of effects) this.#options.act(effect);
      }
      // Of one transaction there may be batches on the disk whose turn has not come.
      const isWhole = this.#decidedSeq === this.#log.seq;
      if (this.#log.wantsSnapshot && isWhole) this.#log.snapshot(this.core, this.#nowMs());
    } catch (error) {
      this.#lose(error as Error);
      return;
    } finally {
      this.#isStepping = false;
    }
    this.#setTimer();
    this.#options.onStep();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const at = this.core.nextWakeMs;
    if (at === null) return;
    this.#timer = setTimeout(
      () => this.tell({ kind: "tick" }),
      Math.min(0x7fffffff, Math.max(0, at - this.#nowMs())),
    );
    this.#timer.unref();
  }

  #lose(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const { done } of this.#told.splice(0)) done?.(false);
    this.#options.log.error(
      { code: "GATE_LOST", error },
      "the gate cannot go on; what it was told is in its log",
    );
    this.#options.onLost(error);
  }
}
