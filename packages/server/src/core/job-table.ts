import type { Job } from "./job.ts";

const PAGE_BITS = 10;
const PAGE_JOBS = 1 << PAGE_BITS;

/**
 * All jobs by number. Numbers are given in order and jobs end roughly in order, so pages of 1,024 places do: eight
 * bytes for a job where a Map takes some fifty, no rehashing of a million entries at once, and a page whose jobs have
 * all ended goes.
 */
export class JobTable {
  readonly #pages = new Map<number, JobPage>();
  /** The page of the newest number, which stays when it is empty: the next job goes there. */
  #newest: JobPage = { key: -1, jobs: [], count: 0 };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The job of a number, or undefined for any other number, negative ones too. */
  get(number: number): Job | undefined {
    return this.#pages.get(number >> PAGE_BITS)?.jobs[number & (PAGE_JOBS - 1)];
  }

  /** Adds a job under its number, which no other has. */
  add(job: Job): void {
    const key = job.number >> PAGE_BITS;
    let page = this.#pages.get(key);
    if (page === undefined) {
      page = { key, jobs: [], count: 0 };
      this.#pages.set(key, page);
      if (key > this.#newest.key) {
        if (this.#newest.count === 0) this.#pages.delete(this.#newest.key);
        this.#newest = page;
      }
    }
    const place = job.number & (PAGE_JOBS - 1);
    // Filled without holes: what lies between was never given out or is gone.
    while (page.jobs.length < place) page.jobs.push(undefined);
    page.jobs[place] = job;
    page.count++;
    this.#size++;
  }

  delete(job: Job): void {
    const key = job.number >> PAGE_BITS;
    const page = this.#pages.get(key);
    const place = job.number & (PAGE_JOBS - 1);
    if (page === undefined || page.jobs[place] !== job) return;
    page.jobs[place] = undefined;
    page.count--;
    this.#size--;
    if (page.count === 0 && page !== this.#newest) this.#pages.delete(key);
  }

  /** All jobs, those submitted first first. */
  *values(): Generator<Job, void, undefined> {
    for (const page of this.#pages.values()) {
      for (const job of page.jobs) if (job !== undefined) yield job;
    }
  }
}

interface JobPage {
  /** Its place in the table: the numbers of its jobs without their lowest bits. */
  readonly key: number;
  readonly jobs: (Job | undefined)[];
  count: number;
}
