import {
  GateCore,
  type GateEvent,
  type GateSnapshot,
  type LayoutData,
  layoutData,
  layoutFrom,
} from "../core/index.ts";
import type { GateDatabase, Migration } from "../store/database.ts";

/** Tables of the scheduler: what the core was told, and where it stood at some time. */
export const EVENT_LOG_MIGRATIONS: readonly Migration[] = [
  {
    name: "scheduler 1",
    sql: `
CREATE TABLE gate_events (
  seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  -- one batch, as JSON: what the core is told in one step
  events TEXT NOT NULL
) STRICT;

-- the state after all events up to seq
CREATE TABLE gate_snapshots (
  seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;

-- what the forge told before there was anybody to hear it, as JSON
CREATE TABLE gate_unheard (seq INTEGER PRIMARY KEY, events TEXT NOT NULL) STRICT;

-- one row: names this gate for ever, so that what it asks of others cannot be taken for another gate's
CREATE TABLE gate_self (id TEXT NOT NULL) STRICT;
`,
  },
];

/** Batches after which the state is written as a whole, so that a start replays few. */
const BATCHES_PER_SNAPSHOT = 2_000;
/** Snapshots that are always kept, with the events between them: for looking back. */
const KEPT_SNAPSHOTS = 3;
/** How far back events are kept, in milliseconds, unless that are too many. */
export const KEPT_EVENTS_MS = 7 * 24 * 3_600_000;
/** Batches that are kept at most, besides those of the snapshots that are always kept. */
export const MAX_KEPT_BATCHES = 100_000;

/**
 * What the core was told, in order. A batch is on the disk before it is stepped, and the same batches give the same state:
 * so the log is the state, and a snapshot only saves time.
 */
export class EventLog {
  readonly #db: GateDatabase;
  #seq = 0;
  #sinceSnapshot = 0;

  constructor(db: GateDatabase) {
    this.#db = db;
  }

  /** The state that the log leads to. What it asks for meanwhile was asked for before. */
  restore(): GateCore {
    const snapshot = this.#db.db
      .prepare("SELECT seq, state FROM gate_snapshots ORDER BY seq DESC LIMIT 1")
      .get() as { seq: number; state: string } | undefined;
    const core =
      snapshot === undefined ? new GateCore() : GateCore.restore(JSON.parse(snapshot.state) as GateSnapshot);
    this.#seq = snapshot?.seq ?? 0;
    const rows = this.#db.db
      .prepare("SELECT seq, at_ms, events FROM gate_events WHERE seq > ? ORDER BY seq")
      .iterate(this.#seq) as Iterable<{ seq: number; at_ms: number; events: string }>;
    for (const { seq, at_ms, events } of rows) {
      core.step(readEvents(events), at_ms);
      this.#seq = seq;
      this.#sinceSnapshot++;
    }
    return core;
  }

  /** Writes a batch, within the transaction that is under way where there is one. @returns its number */
  append(events: readonly GateEvent[], atMs: number): number {
    this.#db
      .prepared("INSERT INTO gate_events (seq, at_ms, events) VALUES (?, ?, ?)")
      .run(++this.#seq, atMs, writeEvents(events));
    this.#sinceSnapshot++;
    return this.#seq;
  }

  /** Where the log ends. */
  get seq(): number {
    return this.#seq;
  }

  get wantsSnapshot(): boolean {
    return this.#sinceSnapshot >= BATCHES_PER_SNAPSHOT;
  }

  /** @param core Has been told everything up to the end of the log. */
  snapshot(core: GateCore, atMs: number): void {
    const state = JSON.stringify(core.snapshot());
    this.#db.transaction(() => {
      const { db } = this.#db;
      db.prepare("INSERT OR REPLACE INTO gate_snapshots (seq, at_ms, state) VALUES (?, ?, ?)").run(
        this.#seq,
        atMs,
        state,
      );
      const [always] = db
        .prepare("SELECT seq FROM gate_snapshots ORDER BY seq DESC LIMIT 1 OFFSET ?")
        .all(KEPT_SNAPSHOTS - 1) as { seq: number }[];
      if (always === undefined) return;
      // The newest from which everything that is to be seen can be found again.
      const oldest = db
        .prepare("SELECT max(seq) AS seq FROM gate_snapshots WHERE seq <= ? AND (at_ms <= ? OR seq <= ?)")
        .get(always.seq, atMs - KEPT_EVENTS_MS, this.#seq - MAX_KEPT_BATCHES) as { seq: number | null };
      if (oldest.seq === null) return;
      db.prepare("DELETE FROM gate_snapshots WHERE seq < ?").run(oldest.seq);
      db.prepare("DELETE FROM gate_events WHERE seq <= ?").run(oldest.seq);
    });
    this.#sinceSnapshot = 0;
  }
}

type StoredEvent = Exclude<GateEvent, { kind: "configured" }> | { kind: "configured"; layout: LayoutData };

function writeEvents(events: readonly GateEvent[]): string {
  return JSON.stringify(
    events.map((event) =>
      event.kind === "configured" ? { ...event, layout: layoutData(event.layout) } : event,
    ),
  );
}

export function readEvents(text: string): GateEvent[] {
  return (JSON.parse(text) as StoredEvent[]).map((event) =>
    event.kind === "configured" ? { ...event, layout: layoutFrom(event.layout) } : event,
  );
}
