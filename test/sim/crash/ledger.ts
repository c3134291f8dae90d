import { ensure } from "../violation.ts";

/** A background submission that the server has acknowledged: a promise. */
interface Promised {
  readonly handle: string;
  readonly fn: string;
  readonly unique: string;
  /** Ends of jobs before it do not count. */
  readonly step: number;
}

/** What is known of a job by its handle. */
interface Known {
  /** Times it was given to a worker. */
  grabs: number;
  /** What may lead to one grab more: a lost worker, a failure that is tried again, a crash. */
  excuses: number;
  ended: boolean;
}

/**
 * What everybody outside of the server has seen, over all its starts: who was promised what, and what was done. Checks
 * S2, that nothing acknowledged is lost, and that nothing is done again without a reason.
 */
export class Ledger {
  readonly #promised: Promised[] = [];
  readonly #jobs = new Map<string, Known>();
  /** The job that a dead letter became when it was requeued, by handles. */
  readonly #requeued = new Map<string, string>();
  /** When a job of this function and unique ended last. */
  readonly #ends = new Map<string, number>();
  step = 0;

  acknowledged(handle: string, fn: string, unique: string, submittedAt: number): void {
    this.#promised.push({ handle, fn, unique, step: submittedAt });
  }

  grabbed(handle: string): void {
    const job = this.#of(handle);
    job.grabs++;
    ensure(
      job.grabs <= 1 + job.excuses,
      "repetition",
      () => `${handle} runs for the ${job.grabs}th time without a reason`,
    );
  }

  /** The run ended, and the job may run again. */
  excused(handle: string): void {
    this.#of(handle).excuses++;
  }

  ended(handle: string, fn: string, unique: string): void {
    this.#of(handle).ended = true;
    this.#ends.set(`${fn}\0${unique}`, this.step);
  }

  requeued(letter: string, job: string): void {
    this.#requeued.set(letter, job);
  }

  /** The server is gone: what it had in its memory only is lost, and what runs may run again. */
  crashed(): void {
    for (const job of this.#jobs.values()) if (job.grabs > 0) job.excuses++;
  }

  /** @param isDead Whether a job is a dead letter. */
  check(isDead: (handle: string, fn: string, unique: string) => boolean): void {
    for (const { handle, fn, unique, step } of this.#promised) {
      const joined = unique !== "" && (this.#ends.get(`${fn}\0${unique}`) ?? -1) >= step;
      let isKept = joined;
      // A requeued letter goes on under the handle of its job.
      for (let at: string | undefined = handle; at !== undefined && !isKept; at = this.#requeued.get(at)) {
        isKept = this.#jobs.get(at)?.ended === true || isDead(at, fn, unique);
      }
      ensure(
        isKept,
        "S2",
        () => `${handle} (${fn}, ${unique || "no unique"}), acknowledged in step ${step}, was never done`,
      );
    }
  }

  get promises(): number {
    return this.#promised.length;
  }

  #of(handle: string): Known {
    let job = this.#jobs.get(handle);
    if (job === undefined) {
      job = { grabs: 0, excuses: 0, ended: false };
      this.#jobs.set(handle, job);
    }
    return job;
  }
}
