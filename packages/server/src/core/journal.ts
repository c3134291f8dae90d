import type { DeadLetter } from "./dead-letters.ts";
import { dueMsOf, type Job, type Priority } from "./job.ts";
import type { Peer } from "./peer.ts";

/** A job with a background claim, or a dead letter, as a store keeps it. Text is byte strings. */
export interface StoredJob {
  /** Decimal of its handle, which no other job of this server ever had. */
  readonly id: number;
  readonly fn: string;
  /** Its key: see `Job.key`. */
  readonly key: string;
  readonly workload: Uint8Array;
  readonly priority: Priority;
  /** When it is due, on the wall clock; 0 = now. */
  readonly dueMs: number;
  readonly reducer: string;
  /** With the `tracestate` behind a space, if there is one. */
  readonly traceparent: string;
  /** `linger` of a submission in milliseconds; -1 = as the function says. */
  readonly lingerMs: number;
  /** Times it was grabbed. */
  readonly attempts: number;
  /** On the wall clock. */
  readonly submittedMs: number;
  /** Why it is a dead letter; empty = it is none. */
  readonly reason: string;
  /** When it became one, on the wall clock. */
  readonly diedMs: number;
}

/** What may change of a stored job. */
export type StoredChange = Pick<StoredJob, "id" | "priority" | "dueMs" | "attempts" | "reason" | "diedMs">;

/** A schedule has submitted its job. */
export interface Fired {
  readonly schedule: string;
  /** The time it was for, on the wall clock. */
  readonly atMs: number;
}

/** What a store is to do, all of it or nothing. Each job is in one of the lists at most. */
export interface Commit {
  /** Schedules that have fired. */
  readonly fired: readonly Fired[];
  readonly puts: readonly StoredJob[];
  readonly changes: readonly StoredChange[];
  readonly deletes: readonly number[];
}

/** How far a store is with a job. */
export const Stored = { NO: 0, PENDING: 1, YES: 2 } as const;
export type Stored = (typeof Stored)[keyof typeof Stored];

/** A background submission that is answered once its job is stored, or cannot be. */
export interface Ack {
  readonly peer: Peer;
  readonly job: Job;
  stored: boolean | undefined;
}

const PUT = 0;
const CHANGE = 1;
const DELETE = 2;

/** What is to be done about one job. */
interface Entry {
  readonly what: typeof PUT | typeof CHANGE | typeof DELETE;
  /** Decimal of its handle. */
  readonly id: number;
  /** The job, which lives for as long as it is not to be deleted; or the letter that it became. */
  readonly job: Job | null;
  readonly letter: DeadLetter | null;
  /** Whether the store may have it, from a commit that was made or that failed as far as could be told. */
  readonly mayExist: boolean;
}

/** What goes into one commit, and who waits for it. */
class Page {
  /** By job number. */
  readonly entries = new Map<number, Entry>();
  readonly acks: Ack[] = [];
  /** By schedule. */
  readonly fired = new Map<string, Fired>();

  get isEmpty(): boolean {
    return this.entries.size === 0 && this.acks.length === 0 && this.fired.size === 0;
  }
}

/**
 * What the store does not know yet. While one commit is under way the next one gathers, and of each job only what
 * matters in the end: one that was submitted, run and completed in between is not written at all.
 */
export class Journal {
  readonly #idOf: (number: number) => number;
  #gathering = new Page();
  #writing: Page | null = null;
  /** Jobs that the store has or is to have, dead letters aside. */
  storedCount = 0;

  /** @param idOf Decimal of the handle of a job number. */
  constructor(idOf: (number: number) => number) {
    this.#idOf = idOf;
  }

  /** Whether there is something to commit. */
  get isEmpty(): boolean {
    return this.#gathering.isEmpty;
  }

  get isWriting(): boolean {
    return this.#writing !== null;
  }

  /** Jobs and acknowledgements that wait for the commit after the one under way. */
  get length(): number {
    return this.#gathering.entries.size;
  }

  /** The job is to be stored, from its first background claim on. */
  put(job: Job): void {
    job.stored = Stored.PENDING;
    this.storedCount++;
    this.#set(PUT, job.number, job, null);
  }

  /** What a store keeps of the job may have changed. */
  change(job: Job): void {
    if (job.stored === Stored.NO || this.#gathering.entries.has(job.number)) return;
    this.#set(CHANGE, job.number, job, null);
  }

  /** The job has ended. */
  delete(job: Job): void {
    if (job.stored === Stored.NO) return;
    this.forget(job.number);
    this.#unstored(job);
  }

  /** The job has become a dead letter, and will end. */
  bury(job: Job, letter: DeadLetter): void {
    const { entries } = this.#gathering;
    const isNew = job.stored === Stored.NO || entries.get(job.number)?.what === PUT;
    this.#set(isNew ? PUT : CHANGE, job.number, null, letter);
    // What happens to the job from now on is nothing to the store.
    if (job.stored !== Stored.NO) this.#unstored(job);
  }

  /** A stored job or dead letter is gone. */
  forget(number: number): void {
    const { entries } = this.#gathering;
    const entry = entries.get(number);
    if (entry?.what === PUT && !entry.mayExist) entries.delete(number);
    else this.#set(DELETE, number, null, null);
  }

  /** A schedule has submitted its job, which is in the same commit. */
  fired(fired: Fired): void {
    this.#gathering.fired.set(fired.schedule, fired);
  }

  /** A submission waits for the commit that has its job. */
  await(ack: Ack): void {
    const { job } = ack;
    const isGathering = this.#writing === null || this.#gathering.entries.has(job.number);
    (isGathering ? this.#gathering : this.#writing!).acks.push(ack);
  }

  /**
   * Begins a commit. None may be under way.
   * @param stored What to keep of a job, or of a letter.
   */
  begin(stored: (job: Job | null, letter: DeadLetter | null) => StoredJob): Commit {
    const page = this.#gathering;
    this.#writing = page;
    this.#gathering = new Page();
    const puts: StoredJob[] = [];
    const changes: StoredChange[] = [];
    const deletes: number[] = [];
    for (const { what, id, job, letter } of page.entries.values()) {
      if (what === PUT) puts.push(stored(job, letter));
      else if (what === DELETE) deletes.push(id);
      else if (letter !== null) {
        const { priority, attempts, reason, diedMs } = letter;
        changes.push({ id, priority, dueMs: 0, attempts, reason, diedMs });
      } else {
        const { priority, attempts } = job!;
        changes.push({ id, priority, dueMs: dueMsOf(job!), attempts, reason: "", diedMs: 0 });
      }
    }
    return { puts, changes, deletes, fired: [...page.fired.values()] };
  }

  /** The commit has been made. @returns who waited for it. */
  succeed(): readonly Ack[] {
    const { entries, acks } = this.#end();
    for (const { what, job } of entries.values()) {
      if (what === PUT && job !== null && job.stored === Stored.PENDING) job.stored = Stored.YES;
    }
    return acks;
  }

  /**
   * The commit has not been made, as far as can be told. What it was to store for those who wait is not stored, and is
   * deleted with the next one should it be there after all; everything else is tried again.
   * @returns who waited for it.
   */
  fail(): readonly Ack[] {
    const { entries, acks, fired } = this.#end();
    const { entries: gathering, fired: newest } = this.#gathering;
    for (const [schedule, one] of fired) if (!newest.has(schedule)) newest.set(schedule, one);
    for (const [number, entry] of entries) {
      const newer = gathering.get(number);
      const { what, job } = entry;
      if (what !== PUT || job === null) {
        if (newer === undefined) gathering.set(number, { ...entry, mayExist: true });
      } else if (job.stored === Stored.PENDING && job.claimed) {
        // What it comes from is stored, under another name, until a commit has both changes.
        if (newer === undefined) gathering.set(number, { ...entry, mayExist: true });
        else if (newer.what === CHANGE) gathering.set(number, { ...newer, what: PUT });
      } else {
        if (job.stored === Stored.PENDING) this.#unstored(job);
        // It may be there all the same: what failed may be the answer only.
        if (newer?.what === CHANGE && newer.letter !== null) gathering.set(number, { ...newer, what: PUT });
        else gathering.set(number, { what: DELETE, id: entry.id, job: null, letter: null, mayExist: true });
      }
    }
    return acks;
  }

  #end(): Page {
    const page = this.#writing!;
    this.#writing = null;
    return page;
  }

  #unstored(job: Job): void {
    job.stored = Stored.NO;
    this.storedCount--;
  }

  #set(what: Entry["what"], number: number, job: Job | null, letter: DeadLetter | null): void {
    const { entries } = this.#gathering;
    const mayExist = what !== PUT || entries.get(number)?.mayExist === true;
    entries.set(number, { what, id: this.#idOf(number), job, letter, mayExist });
  }
}
