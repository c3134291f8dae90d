import type { Question } from "./cached.ts";
import type { Envelope } from "./core/value.ts";

/** How a computation goes on, for those who follow it. */
export type FlightEvent =
  /** How far it is. Who reads slowly sees the newest only. */
  | { readonly type: "status"; readonly numerator: number; readonly denominator: number }
  /** A part of the result, sent ahead. */
  | { readonly type: "data"; readonly data: Uint8Array }
  /** Parts came faster than they were read, and are left out from here on. */
  | { readonly type: "gap" }
  /** The worker was lost, and it begins again: parts so far are void. */
  | { readonly type: "restarted" };

/** What a flight tells within the cache. */
export type Told = FlightEvent | { readonly type: "held"; readonly envelope: Envelope };

/** One computation that callers of this process wait for. */
export class Flight {
  readonly question: Question;
  readonly beganMs: number;
  readonly outcome: Promise<Envelope>;
  /** A stale value that whoever computes has found, where the callers had none; undefined when the outcome comes first. */
  readonly held: Promise<Envelope | undefined>;
  readonly settle: (outcome: Envelope | Error) => void;
  readonly #controller = new AbortController();
  readonly #offerHeld: (envelope: Envelope | undefined) => void;
  readonly #followers = new Set<Follower>();
  readonly #told: Follower;
  #keep = false;
  /** Callers that wait for it now, and all that ever did. */
  waiters = 0;
  herd = 0;
  over = false;

  constructor(question: Question, beganMs: number, maxPartBytes: number) {
    this.question = question;
    this.beganMs = beganMs;
    this.#told = new Follower(maxPartBytes);
    const { promise, resolve, reject } = Promise.withResolvers<Envelope>();
    this.outcome = promise;
    const held = Promise.withResolvers<Envelope | undefined>();
    this.held = held.promise;
    this.#offerHeld = held.resolve;
    // Nobody may be left to look at it.
    promise.catch(() => {});
    this.settle = (outcome) => {
      this.over = true;
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
      held.resolve(undefined);
      for (const follower of this.#followers) follower.wake();
    };
  }

  /** Aborts when nobody waits any more and nobody wanted it kept. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get kept(): boolean {
    return this.#keep;
  }

  /** Somebody waits. */
  join(keep: boolean): void {
    this.waiters++;
    this.herd++;
    this.#keep ||= keep;
  }

  /** For the cache alone, without anybody who waits. */
  keep(): void {
    this.#keep = true;
  }

  leave(): void {
    this.waiters--;
    if (this.waiters === 0 && !this.#keep && !this.over) this.#controller.abort();
  }

  tell(event: Told): void {
    if (event.type === "held") this.#offerHeld(event.envelope);
    this.#told.take(event);
    for (const follower of this.#followers) follower.take(event);
  }

  /** What happened so far, and what will, until it is over. */
  async *follow(): AsyncGenerator<Told, void, undefined> {
    const follower = this.#told.copy();
    this.#followers.add(follower);
    try {
      for (;;) {
        yield* follower.taken();
        if (this.over) return;
        await follower.more();
      }
    } finally {
      this.#followers.delete(follower);
    }
  }
}

/** What one follower has still to read. */
class Follower {
  readonly #maxBytes: number;
  #events: Told[] = [];
  #bytes = 0;
  #gap = false;
  #wake = () => {};

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  copy(): Follower {
    const copy = new Follower(this.#maxBytes);
    copy.#events = [...this.#events];
    copy.#bytes = this.#bytes;
    copy.#gap = this.#gap;
    return copy;
  }

  wake(): void {
    this.#wake();
  }

  more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  take(event: Told): void {
    if (event.type === "restarted") {
      this.#events = this.#events.filter(({ type }) => type === "held");
      this.#bytes = 0;
      this.#gap = false;
    }
    if (event.type === "status" || event.type === "held")
      this.#events = this.#events.filter(({ type }) => type !== event.type);
    if (event.type === "data") {
      if (this.#gap) return;
      this.#gap = this.#bytes + event.data.length > this.#maxBytes;
      if (!this.#gap) this.#bytes += event.data.length;
    }
    this.#events.push(event.type === "data" && this.#gap ? { type: "gap" } : event);
    this.#wake();
  }

  *taken(): Generator<Told, void, undefined> {
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      if (event.type === "data") this.#bytes -= event.data.length;
      yield event;
    }
  }
}
