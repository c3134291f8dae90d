import { availableParallelism } from "node:os";
import { Worker as Thread } from "node:worker_threads";
import { JobFailure, ThreadEnded } from "./errors.ts";
import type { WorkerJob } from "./job.ts";

export interface ThreadOptions {
  /**
   * Module whose default export is a `Handler`, which runs in the threads: a URL (`new URL("./work.js", import.meta.url)`),
   * an absolute path, or a package's name.
   */
  readonly module: string | URL;
  /** Threads at most. They start when needed. Default: as many as there are processors. */
  readonly size?: number;
  /** How long a job may go on after its signal aborted before its thread is ended, whatever it does. Default: 5,000. */
  readonly abortGraceMs?: number;
}

/** Given in place of a handler. */
export interface Threads {
  readonly threads: ThreadOptions;
}

/** To a thread. */
export type ToThread =
  | { readonly type: "run"; readonly job: ThreadJob }
  | { readonly type: "abort"; readonly code: string; readonly message: string }
  | { readonly type: "written"; readonly call: number };

/** The job's plain part, which can be cloned. */
export type ThreadJob = Omit<WorkerJob<unknown>, "signal" | "status" | "data" | "warning">;

/** From a thread. */
export type FromThread =
  | { readonly type: "status"; readonly numerator: number; readonly denominator: number }
  | {
      readonly type: "write";
      readonly what: "data" | "warning";
      readonly chunk: string | Uint8Array;
      readonly call: number;
    }
  | { readonly type: "result"; readonly value: unknown }
  | { readonly type: "error"; readonly error: unknown; readonly failure: boolean };

/** Threads that run one module's handler, one job each at a time. */
export class ThreadPool {
  readonly #options: ThreadOptions;
  readonly #size: number;
  readonly #idle: Thread[] = [];
  readonly #waiting: ((thread: Thread) => void)[] = [];
  readonly #alive = new Set<Thread>();

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#size = options.size ?? availableParallelism();
  }

  /** Rejects with what the handler threw, or `ThreadEnded`. */
  async run(job: WorkerJob<unknown>): Promise<unknown> {
    const thread = await this.#take();
    try {
      job.signal.throwIfAborted();
      return await this.#runIn(thread, job);
    } finally {
      this.#give(thread);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((thread) => thread.terminate()));
  }

  #runIn(thread: Thread, job: WorkerJob<unknown>): Promise<unknown> {
    const { status: _status, data: _data, warning: _warning, signal, ...plain } = job;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    let grace: NodeJS.Timeout | undefined;
    const tell = (message: ToThread) => thread.postMessage(message);
    const onAbort = () => {
      const { code, message } = signal.reason as { code: string; message: string };
      tell({ type: "abort", code, message });
      grace = setTimeout(() => void thread.terminate(), this.#options.abortGraceMs ?? 5_000);
    };
    const onMessage = (message: FromThread) => {
      switch (message.type) {
        case "status":
          job.status(message.numerator, message.denominator);
          break;
        case "write":
          void job[message.what](message.chunk).then(() => tell({ type: "written", call: message.call }));
          break;
        case "result":
          resolve(message.value);
          break;
        case "error":
          reject(message.failure ? new JobFailure((message.error as Error).message) : message.error);
      }
    };
    const onError = (error: Error) =>
      reject(new ThreadEnded(`the thread broke: ${error.message}`, { cause: error }));
    const onExit = () => reject(new ThreadEnded("the thread ended before the job"));
    thread.on("message", onMessage).on("error", onError).on("exit", onExit);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      tell({ type: "run", job: plain });
    } catch (error) {
      // The input cannot be cloned.
      reject(error);
    }
    return promise.finally(() => {
      clearTimeout(grace);
      signal.removeEventListener("abort", onAbort);
      thread.off("message", onMessage).off("error", onError).off("exit", onExit);
    });
  }

  #take(): Promise<Thread> {
    const thread = this.#idle.pop();
    if (thread !== undefined) return Promise.resolve(thread);
    if (this.#alive.size < this.#size) return Promise.resolve(this.#start());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(thread: Thread): void {
    if (!this.#alive.has(thread)) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(thread);
    else next(thread);
  }

  #start(): Thread {
    const main = new URL(
      import.meta.url.endsWith(".ts") ? "./thread-main.ts" : "./thread-main.js",
      import.meta.url,
    );
    const thread = new Thread(main, { workerData: { module: String(this.#options.module) } });
    this.#alive.add(thread);
    // One that breaks tells its job, or else nobody needs to know.
    thread.on("error", () => {});
    thread.on("exit", () => {
      this.#alive.delete(thread);
      const index = this.#idle.indexOf(thread);
      if (index >= 0) this.#idle.splice(index, 1);
      const next = this.#waiting.shift();
      if (next !== undefined) next(this.#start());
    });
    return thread;
  }
}
