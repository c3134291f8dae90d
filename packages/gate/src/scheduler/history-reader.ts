import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextRound } from "node:timers/promises";
import type { ReplayedSpan } from "../api/types.ts";
import type { GateCore, GateSnapshot } from "../core/index.ts";
import { coreAt, HistoryError, replay, type Stepwise } from "./history.ts";
import { SLICE_MS } from "./pace.ts";

/** Who may wait while another reads. */
const MAX_WAITING = 16;

/**
 * Reads the past of a gate, which may go on meanwhile: by a connection of its own to the database, all of it as it was when it
 * began, for one who asks after the other, and in slices between which everything else of the process has its turn.
 */
export class HistoryReader {
  readonly #path: string;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isOver = false;

  /** @param path Of the gate's database. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The state as it was at a time. @throws HistoryError */
  coreAt(atMs: number): Promise<GateCore> {
    return this.#read((db) => coreAt(db, atMs));
  }

  /**
   * Replays the log, and compares with what was written down.
   * @param running Gives the state of the gate that writes the log, to be compared with, too.
   * @throws HistoryError
   */
  replay(running?: () => GateSnapshot): Promise<ReplayedSpan[]> {
    return this.#read((db) => replay(db, running?.()));
  }

  /** Refuses whoever asks from now on, and ends what is being read. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#tail;
  }

  async #read<T>(stepsOf: (db: DatabaseSync) => Stepwise<T>): Promise<T> {
    this.#mayGoOn();
    if (this.#waiting > MAX_WAITING)
      throw new HistoryError("HISTORY_BUSY", `${this.#waiting} others want to see the past: later`);
    this.#waiting++;
    const read = this.#tail.then(() => this.#readNow(stepsOf));
    this.#tail = read.catch(() => {});
    try {
      return await read;
    } finally {
      this.#waiting--;
    }
  }

  async #readNow<T>(stepsOf: (db: DatabaseSync) => Stepwise<T>): Promise<T> {
    this.#mayGoOn();
    const db = new DatabaseSync(this.#path, { readOnly: true, timeout: 10_000 });
    try {
      db.exec("BEGIN");
      // Its first step reads: so the moment of the log is that of a state which is taken before it.
      const steps = stepsOf(db);
      let beganMs = performance.now();
      for (let step = steps.next(); ; step = steps.next()) {
        if (step.done === true) return step.value;
        if (performance.now() - beganMs < SLICE_MS) continue;
        await nextRound();
        this.#mayGoOn();
        beganMs = performance.now();
      }
    } finally {
      db.close();
    }
  }

  #mayGoOn(): void {
    if (this.#isOver) throw new HistoryError("HISTORY_BUSY", "the gate ends: ask again when it is back");
  }
}
