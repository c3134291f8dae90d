import type { DatabaseSync } from "node:sqlite";
import type { Difference, ReplayedSpan } from "../api/types.ts";
import { GateCore, type GateSnapshot } from "../core/index.ts";
import { readEvents } from "./event-log.ts";

/* What the log of events tells of the past. It is read beside whoever writes it. */

export type HistoryErrorCode = "HISTORY_GONE" | "HISTORY_UNREADABLE" | "HISTORY_BUSY";

/** The log does not tell of a time any more, this program does not read what it tells, or has no time for it. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
  readonly code: HistoryErrorCode;

  constructor(code: HistoryErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** What takes long, in steps that do not: between two of them others may have their turn. */
export type Stepwise<T> = Generator<undefined, T, undefined>;

interface Batch {
  readonly seq: number;
  readonly at_ms: number;
  readonly events: string;
}

interface SnapshotRow {
  readonly seq: number;
  readonly at_ms: number;
  readonly state: string;
}

/** The state as it was at a time. @throws HistoryError */
export function* coreAt(db: DatabaseSync, atMs: number): Stepwise<GateCore> {
  const { seq } = db.prepare("SELECT max(seq) AS seq FROM gate_events WHERE at_ms <= ?").get(atMs) as {
    seq: number | null;
  };
  const until = seq ?? lastBefore(db, atMs);
  const snapshot = db
    .prepare("SELECT seq, at_ms, state FROM gate_snapshots WHERE seq <= ? ORDER BY seq DESC LIMIT 1")
    .get(until) as SnapshotRow | undefined;
  if (snapshot === undefined && !reachesBack(db)) {
    throw new HistoryError(
      "HISTORY_GONE",
      `what was told before ${timeText(beginning(db))} is not kept any more`,
    );
  }
  const core = restored(snapshot);
  for (const batch of batches(db, snapshot?.seq ?? 0, until)) {
    stepped(core, batch);
    yield;
  }
  return core;
}

/** The last recorded state before all events that are kept, if it is old enough; else nothing had happened yet. */
function lastBefore(db: DatabaseSync, atMs: number): number {
  const row = db.prepare("SELECT max(seq) AS seq FROM gate_snapshots WHERE at_ms <= ?").get(atMs) as {
    seq: number | null;
  };
  return row.seq ?? 0;
}

/** Whether the log is kept from its first event. */
function reachesBack(db: DatabaseSync): boolean {
  const { seq } = db.prepare("SELECT min(seq) AS seq FROM gate_events").get() as { seq: number | null };
  return seq === null ? snapshots(db).length === 0 : seq === 1;
}

function beginning(db: DatabaseSync): number {
  return snapshots(db)[0]?.at_ms ?? 0;
}

/**
 * Replays the log from each recorded state to the next, and from the last to the end, by the core of this program.
 * @param running State of the gate that writes the log, with nothing told that it has not decided upon.
 */
export function* replay(db: DatabaseSync, running?: GateSnapshot): Stepwise<ReplayedSpan[]> {
  const recorded = snapshots(db);
  const spans: ReplayedSpan[] = [];
  const starts: (SnapshotRow | undefined)[] = reachesBack(db) ? [undefined, ...recorded] : recorded;
  for (const [at, start] of starts.entries()) {
    const next = starts[at + 1];
    const core = restored(start);
    const from = start ?? { seq: 0, at_ms: 0 };
    let [toSeq, toMs, fromMs] = [from.seq, from.at_ms, from.at_ms];
    for (const batch of batches(db, from.seq, next?.seq ?? Number.MAX_SAFE_INTEGER)) {
      stepped(core, batch);
      if (fromMs === 0) fromMs = batch.at_ms;
      [toSeq, toMs] = [batch.seq, batch.at_ms];
      yield;
    }
    const target = next === undefined ? running : (JSON.parse(next.state) as GateSnapshot);
    if (next === undefined && target === undefined && toSeq === from.seq && at > 0) continue;
    const comparedWith = next !== undefined ? "snapshot" : target === undefined ? null : "running gate";
    const difference = target === undefined ? null : firstDifference(plain(target), plain(core.snapshot()));
    spans.push({ fromSeq: from.seq, toSeq, fromMs, toMs, comparedWith, difference });
  }
  return spans;
}

function snapshots(db: DatabaseSync): SnapshotRow[] {
  return db
    .prepare("SELECT seq, at_ms, state FROM gate_snapshots ORDER BY seq")
    .all() as unknown as SnapshotRow[];
}

function batches(db: DatabaseSync, after: number, until: number): Iterable<Batch> {
  return db
    .prepare("SELECT seq, at_ms, events FROM gate_events WHERE seq > ? AND seq <= ? ORDER BY seq")
    .iterate(after, until) as Iterable<unknown> as Iterable<Batch>;
}

function restored(snapshot: SnapshotRow | undefined): GateCore {
  if (snapshot === undefined) return new GateCore();
  try {
    return GateCore.restore(JSON.parse(snapshot.state) as GateSnapshot);
  } catch (error) {
    throw new HistoryError(
      "HISTORY_UNREADABLE",
      `the state of ${timeText(snapshot.at_ms)} cannot be read: ${(error as Error).message}`,
    );
  }
}

function stepped(core: GateCore, { seq, at_ms, events }: Batch): void {
  try {
    core.step(readEvents(events), at_ms);
  } catch (error) {
    const why = (error as Error).message;
    throw new HistoryError(
      "HISTORY_UNREADABLE",
      `batch ${seq} of ${timeText(at_ms)} cannot be replayed by this program: ${why}`,
    );
  }
}

function plain(snapshot: GateSnapshot): unknown {
  return JSON.parse(JSON.stringify(snapshot));
}

/** The first place at which two values of JSON differ, whatever the order of their keys. */
export function firstDifference(recorded: unknown, replayed: unknown, path = ""): Difference | null {
  if (Array.isArray(recorded) && Array.isArray(replayed)) {
    for (let at = 0; at < Math.max(recorded.length, replayed.length); at++) {
      const found = firstDifference(recorded[at], replayed[at], `${path}[${at}]`);
      if (found !== null) return found;
    }
    return null;
  }
  if (isMapping(recorded) && isMapping(replayed)) {
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(replayed)])) {
      const found = firstDifference(recorded[key], replayed[key], `${path}.${key}`);
      if (found !== null) return found;
    }
    return null;
  }
  if (recorded === replayed) return null;
  return {
    path: path === "" ? "." : path,
    recorded: JSON.stringify(recorded),
    replayed: JSON.stringify(replayed),
  };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
