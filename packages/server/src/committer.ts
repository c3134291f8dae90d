import { Histogram, type JobServerCore } from "./core/index.ts";
import type { Log } from "./note-log.ts";
import type { Store } from "./stores/store.ts";

/** After a commit that failed the next one waits for so long. */
const RETRY_MS = 250;
/** How often a shared store is asked for jobs of servers that have died, and how many are taken over at a time. */
const ORPHANS_MS = 5000;
const MOST_ORPHANS = 5000;
/** Handles are reserved in such blocks, and the next one when half of the last is left: some minutes at full speed. */
const RESERVED_HANDLES = 100_000_000;

/** What became of commits since the start. */
export class CommitCounts {
  failed = 0;
  /** How long those took that were made, in milliseconds. */
  readonly durations = new Histogram([1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000]);
  /** How many changes each of them had: jobs to put, to change and to delete, and times of schedules. */
  readonly sizes = new Histogram([1, 3, 10, 30, 100, 300, 1000, 3000, 10_000]);
}

export interface CommitterOptions {
  readonly core: JobServerCore;
  readonly store: Store;
  readonly log: Log;
  /** Called before the core is told of a commit's end. */
  readonly beforeEnd: () => void;
  /** Another server has taken over the jobs: this one must not give them to workers any more. */
  readonly onLost: () => void;
}

/**
 * Takes what the core has for its store there, one commit after another: each serves all that came while the one before
 * was under way.
 */
export class Committer {
  readonly #core: JobServerCore;
  readonly #store: Store;
  readonly #log: Log;
  readonly #beforeEnd: () => void;
  readonly #onLost: () => void;
  readonly counts = new CommitCounts();
  #isCommitting = false;
  /** Since when no commit has succeeded, on the wall clock; undefined = the last one did. */
  #failingSince: number | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #reservedTo: number;
  #isReserving = false;
  readonly #orphanTimer: NodeJS.Timeout;
  /** Ids for jobs of a dead server that may be this one's already. */
  #taking: { readonly firstId: number; readonly count: number } | undefined;
  #isTaking = false;
  /** The jobs are another server's now. */
  #isLost = false;

  /** @param reservedTo First decimal of a handle that is not reserved. */
  private constructor({ core, store, log, beforeEnd, onLost }: CommitterOptions, reservedTo: number) {
    this.#core = core;
    this.#store = store;
    this.#log = log;
    this.#beforeEnd = beforeEnd;
    this.#onLost = onLost;
    this.#reservedTo = reservedTo;
    this.#orphanTimer = setInterval(() => void this.#takeOrphans(), ORPHANS_MS);
    this.#orphanTimer.unref();
  }

  /**
   * Reserves the first handles of a start.
   * @returns the first decimal.
   * @throws StoreError
   */
  static firstHandle(store: Store, wanted: number): Promise<number> {
    return store.reserve(wanted, RESERVED_HANDLES);
  }

  /**
   * Takes everything back that the store has.
   * @throws StoreError
   */
  static async restore(options: CommitterOptions, firstHandle: number): Promise<Committer> {
    const { core, store, log } = options;
    const total = await store.count();
    const startedMs = performance.now();
    let restored = 0;
    let toldMs = startedMs;
    if (total > 0) log.info({ store: store.name, jobs: total }, "taking back what is stored");
    for await (const jobs of store.load()) {
      core.setClock(performance.now(), Date.now());
      for (const job of jobs) core.restore(job);
      restored += jobs.length;
      if (performance.now() - toldMs < 1000) continue;
      toldMs = performance.now();
      log.info({ restored, of: total }, "taking back what is stored");
    }
    if (restored > 0) {
      const ms = Math.round(performance.now() - startedMs);
      const deadLetters = core.state.deadLetters.size;
      log.info({ restored, deadLetters, ms }, "took back what was stored");
    }
    return new Committer(options, firstHandle + RESERVED_HANDLES);
  }

  /** Whether background submissions are refused because the store does not take them. */
  get isDegraded(): boolean {
    return this.#isLost || this.#failingSince !== undefined;
  }

  /** Whether another server has taken over the jobs. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether the store knows everything. */
  get isIdle(): boolean {
    return !this.#isCommitting && this.#core.state.journal!.isEmpty;
  }

  /** Begins a commit if there is something to commit. To be called after each turn. */
  look(): void {
    this.#reserve();
    if (this.#isLost || this.#isCommitting || this.#retryTimer !== undefined) return;
    const commit = this.#core.beginCommit();
    if (commit === null) return;
    this.#isCommitting = true;
    const { puts, changes, deletes, fired } = commit;
    const size = puts.length + changes.length + deletes.length + fired.length;
    const begunMs = performance.now();
    this.#store.commit(commit).then(
      () => {
        this.counts.durations.observe(performance.now() - begunMs);
        this.counts.sizes.observe(size);
        this.#ended();
      },
      (error: Error) => {
        this.counts.failed++;
        this.#ended(error);
      },
    );
  }

  /** The server ends: no commit is tried again. */
  stop(): void {
    clearTimeout(this.#retryTimer);
    clearInterval(this.#orphanTimer);
  }

  #ended(error?: Error): void {
    this.#isCommitting = false;
    if (error !== undefined) this.#failed(error);
    else if (this.#failingSince !== undefined) {
      const ms = Date.now() - this.#failingSince;
      this.#failingSince = undefined;
      this.#log.info({ code: "STORE_RECOVERED", store: this.#store.name, ms }, "the store takes jobs again");
    }
    this.#beforeEnd();
    this.#core.commitEnded(error === undefined);
  }

  #failed(error: Error): void {
    if (this.#noticeLoss(error)) return;
    if (this.#failingSince === undefined) {
      this.#failingSince = Date.now();
      const { code = "STORE_UNAVAILABLE" } = error as { code?: string };
      this.#log.error(
        { code, store: this.#store.name, problem: error.message },
        "the store does not take jobs: background submissions are refused until it does, foreground work goes on",
      );
    }
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.look();
    }, RETRY_MS);
    this.#retryTimer.unref();
  }

  /** Handles that were given and not reserved might be given again after a restart with a clock set back. */
  #reserve(): void {
    const { handles, nextJobNumber } = this.#core.state;
    const next = handles.decimal(nextJobNumber);
    if (this.#isReserving || this.#isLost || this.#reservedTo - next > RESERVED_HANDLES / 2) return;
    this.#isReserving = true;
    this.#store.reserve(this.#reservedTo, RESERVED_HANDLES).then(
      (first) => {
        this.#isReserving = false;
        this.#reservedTo = first + RESERVED_HANDLES;
      },
      () => {
        // The next look tries again.
        this.#isReserving = false;
      },
    );
  }

  /** Takes over what servers that have died left in a store that several share. */
  async #takeOrphans(): Promise<void> {
    if (this.#isTaking || this.#isLost || !this.#core.state.assigning) return;
    this.#isTaking = true;
    try {
      if (this.#taking === undefined) {
        const count = Math.min(await this.#store.orphans(), MOST_ORPHANS);
        if (count === 0) return;
        this.#taking = { firstId: this.#core.allot(count), count };
      }
      const { firstId, count } = this.#taking;
      const jobs = await this.#store.takeOver(firstId, count);
      this.#taking = undefined;
      if (jobs.length === 0) return;
      this.#beforeEnd();
      for (const job of jobs) this.#core.adopt(job);
      this.#log.warn(
        { code: "JOBS_TAKEN_OVER", jobs: jobs.length },
        "took over the jobs of a server that died",
      );
    } catch (error) {
      // Whatever else is wrong is told by the next commit, and this is tried again.
      this.#noticeLoss(error as Error);
    } finally {
      this.#isTaking = false;
    }
  }

  /** @returns whether the error says that the jobs are another server's now. */
  #noticeLoss(error: Error): boolean {
    if ((error as { code?: string }).code !== "STORE_IN_USE") return false;
    if (this.#isLost) return true;
    this.#isLost = true;
    this.#core.stopAssigning();
    this.#log.error(
      { code: "STORE_IN_USE", problem: error.message },
      "stopping: the jobs are another server's now",
    );
    this.stop();
    this.#onLost();
    return true;
  }
}
