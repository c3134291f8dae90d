import type { Job } from "./job.ts";

const PAGE_JOBS = 1024;
const RECENT_PAGES = 64;

/**
 * All jobs by number. Numbers are given in order and jobs end roughly in order, so pages of 1,024 places do: eight
 * bytes for a job where a Map takes some fifty, no rehashing of a million entries at once, and a page whose jobs have
 * all ended goes.
 */
export class JobTable {
  readonly #pages = new Map<number, JobPage>();
  /** The page last used of each of these places: most jobs are on one of few pages, and a map is slower. */
  readonly #recent: JobPage[] = Array.from({ length: RECENT_PAGES }, () => NO_PAGE);
  /** The page of the newest number, which stays when it is empty: the next job goes there. */
  #newest: JobPage = NO_PAGE;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The job of a number, or undefined for any other number, negative ones too. */
  get(number: number): Job | undefined {
    return this.#page(Math.floor(number / PAGE_JOBS))?.jobs[number % PAGE_JOBS];
  }

  /** Adds a job under its number, which no other has. */
  add(job: Job): void {
    const key = Math.floor(job.number / PAGE_JOBS);
    let page = this.#page(key);
    if (page === undefined) {
      page = { key, jobs: [], count: 0 };
      this.#pages.set(key, page);
      if (key > this.#newest.key) {
        if (this.#newest.count === 0) this.#drop(this.#newest);
        this.#newest = page;
      }
    }
    const place = job.number % PAGE_JOBS;
    // Filled without holes: what lies between was never given out or is gone.
    while (page.jobs.length < place) page.jobs.push(undefined);
    page.jobs[place] = job;
    page.count++;
    this.#size++;
  }

  delete(job: Job): void {
    const page = this.#page(Math.floor(job.number / PAGE_JOBS));
    const place = job.number % PAGE_JOBS;
    if (page === undefined || page.jobs[place] !== job) return;
    page.jobs[place] = undefined;
    page.count--;
    this.#size--;
    if (page.count === 0 && page !== this.#newest) this.#drop(page);
  }

  #page(key: number): JobPage | undefined {
    const place = key % RECENT_PAGES;
    const recent = this.#recent[place];
    if (recent?.key === key) return recent;
    const page = this.#pages.get(key);
    if (page !== undefined) this.#recent[place] = page;
    return page;
  }

  #drop({ key }: JobPage): void {
    this.#pages.delete(key);
    if (key >= 0) this.#recent[key % RECENT_PAGES] = NO_PAGE;
  }

  /** All jobs, those submitted first first. */
  *values(): Generator<Job, void, undefined> {
    for (const page of this.#pages.values()) {
      for (const job of page.jobs) if (job !== undefined) yield job;
    }
  }

  /** The jobs whose number is `number` or higher, in the order of their numbers. */
  *from(number: number): Generator<Job, void, undefined> {
    const first = Math.floor(number / PAGE_JOBS);
    const keys = [...this.#pages.keys()].filter((key) => key >= first).sort((a, b) => a - b);
    for (const key of keys) {
      for (const job of this.#pages.get(key)?.jobs ?? []) {
        if (job !== undefined && job.number >= number) yield job;
      }
    }
  }
}

interface JobPage {
  /** Its place in the table: the numbers of its jobs without their lowest bits. */
  readonly key: number;
  readonly jobs: (Job | undefined)[];
  count: number;
}

const NO_PAGE: JobPage = { key: -1, jobs: [], count: 0 };
