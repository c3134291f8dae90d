import { resolve } from "node:path";
import { Worker as Thread } from "node:worker_threads";
import type { Commit, Fired, StoredJob } from "../core/index.ts";
import { type Packed, pack, unpack } from "./packed.ts";
import type { Answer, Call } from "./sqlite-thread.ts";
import { NOT_SHARED, type Store, StoreError } from "./store.ts";

/** Rows that are read at a time. */
const CHUNK_ROWS = 5000;

/**
 * A store in one SQLite file, written by a thread of its own. A write-ahead log, synchronised at each commit: what has
 * been committed survives the loss of power.
 * @see docs/OPERATING.md#what-survives-what
 */
export class SqliteStore implements Store {
  readonly name: string;
  readonly #thread: Thread;
  readonly #waiting: { resolve: (value: never) => void; reject: (error: Error) => void }[] = [];
  #ended: StoreError | undefined;

  private constructor(path: string, thread: Thread) {
    this.name = `sqlite:${path}`;
    this.#thread = thread;
    thread.on("message", (answer: Answer) => this.#answered(answer));
    thread.on("error", (error) => this.#end(`${this.name}: the thread ended: ${error.message}`));
    thread.on("exit", () => this.#end(`${this.name} is closed`));
  }

  /**
   * Opens or makes the file.
   * @throws StoreError
   */
  static async open(file: string): Promise<SqliteStore> {
    const path = resolve(file);
    // From sources this is TypeScript, and from a package JavaScript.
    const module = import.meta.url.endsWith(".ts") ? "./sqlite-thread.ts" : "./sqlite-thread.js";
    const store = new SqliteStore(
      path,
      new Thread(new URL(module, import.meta.url), {
        // In Node 24 its SQLite still warns that it is new.
        execArgv: ["--disable-warning=ExperimentalWarning"],
        // Thousands of rows at a time survive long enough to be copied again and again in a small young generation.
        resourceLimits: { maxYoungGenerationSizeMb: 64 },
      }),
    );
    try {
      await store.#call({ what: "open", path });
      return store;
    } catch (error) {
      await store.#thread.terminate();
      throw error;
    }
  }

  async *load(): AsyncGenerator<readonly StoredJob[], void, undefined> {
    const rowsAfter = (after: number): Promise<Packed> =>
      this.#call({ what: "load", after, limit: CHUNK_ROWS });
    for (let next = rowsAfter(-1); ; ) {
      const jobs = unpack(await next);
      if (jobs.length === 0) return;
      // The thread reads the next ones while these are taken back.
      next = rowsAfter(jobs.at(-1)!.id);
      next.catch(() => {});
      yield jobs;
    }
  }

  fired(): Promise<readonly Fired[]> {
    return this.#call({ what: "fired" });
  }

  count(): Promise<number> {
    return this.#call({ what: "count" });
  }

  reserve(wanted: number, count: number): Promise<number> {
    return this.#call({ what: "reserve", wanted, count });
  }

  commit(commit: Commit): Promise<void> {
    const { puts, ...others } = commit;
    const packed = pack(puts);
    return this.#call({ what: "commit", commit: others, puts: packed }, [
      packed.numbers.buffer,
      packed.bytes.buffer,
    ]);
  }

  readonly orphans = NOT_SHARED.orphans;
  readonly takeOver = NOT_SHARED.takeOver;

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    await this.#call({ what: "close" });
    await this.#thread.terminate();
  }

  /** @param given Buffers that are the thread's from now on. */
  #call<T>(call: Call, given: ArrayBuffer[] = []): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (value: never) => void, reject });
      this.#thread.postMessage(call, given);
    });
  }

  /** Calls are answered in their order. */
  #answered(answer: Answer): void {
    const { resolve, reject } = this.#waiting.shift()!;
    if (answer.ok) resolve(answer.value as never);
    else reject(new StoreError(answer.code, answer.detail));
  }

  #end(message: string): void {
    this.#ended ??= new StoreError("STORE_UNAVAILABLE", message);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}
