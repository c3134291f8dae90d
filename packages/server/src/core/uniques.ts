import type { JobFunction } from "./function.ts";
import type { Job } from "./job.ts";

/**
 * The join table: which job stands for a (function, unique). One map over all functions, since nearly every unique
 * belongs to one function only; where several functions share a unique, a second map tells them apart. So both
 * look-ups cost O(1), and `GET_STATUS_UNIQUE`, which names no function, does too.
 */
export class UniqueTable {
  readonly #jobs = new Map<string, Job | Map<JobFunction, Job>>();

  get(fn: JobFunction, key: string): Job | undefined {
    const found = this.#jobs.get(key);
    if (found === undefined) return undefined;
    if (found instanceof Map) return found.get(fn);
    return found.fn === fn ? found : undefined;
  }

  /** The first job with the key, whatever its function. */
  first(key: string): Job | undefined {
    const found = this.#jobs.get(key);
    return found instanceof Map ? found.values().next().value : found;
  }

  /** The jobs with the key, of all functions. */
  all(key: string): Job[] {
    const found = this.#jobs.get(key);
    if (found === undefined) return [];
    return found instanceof Map ? [...found.values()] : [found];
  }

  /** Makes the job the one that its key stands for. */
  set(job: Job): void {
    const found = this.#jobs.get(job.key);
    if (found === undefined) this.#jobs.set(job.key, job);
    else if (found instanceof Map) found.set(job.fn, job);
    else if (found.fn === job.fn) this.#jobs.set(job.key, job);
    else {
      this.#jobs.set(
        job.key,
        new Map([
          [found.fn, found],
          [job.fn, job],
        ]),
      );
    }
  }

  /** Frees the key of the job, if the job is the one that it stands for. */
  delete(job: Job): void {
    const found = this.#jobs.get(job.key);
    if (found === job) this.#jobs.delete(job.key);
    else if (found instanceof Map && found.get(job.fn) === job) {
      found.delete(job.fn);
      if (found.size === 0) this.#jobs.delete(job.key);
    }
  }
}

/** First byte of the keys of `-` submissions; no unique on the wire can hold a NUL. */
const DIGEST_MARK = "\0";

/** Key of a submission whose unique is `-`: it joins on the workload's bytes. */
export function digestKey(digest: string): string {
  return DIGEST_MARK + digest;
}

/** The unique that peers are shown for a key. */
export function shownUnique(key: string): string {
  return key.startsWith(DIGEST_MARK) ? "-" : key;
}
