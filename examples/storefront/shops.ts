import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import type { ShopReport } from "./shop.ts";

const FIRST_REST_MS = 500;
const MAX_REST_MS = 10_000;
/** Who serves for so long has not crashed in a row. */
const STEADY_MS = 10_000;

/** A shop process, and the promise of its end. */
interface Shop {
  readonly worker: Worker;
  readonly ended: Promise<unknown>;
}

/** Shop processes behind one port. One that crashes is started again, after a rest that doubles with each crash in a row. */
export class Shops {
  readonly #env: NodeJS.ProcessEnv;
  /** Of each process that serves, by its number. */
  readonly #reports = new Map<number, ShopReport>();
  readonly #alive = new Set<Shop>();
  readonly #closing = new AbortController();
  /** Of those that ended. */
  #past: ShopReport = { hits: 0, stale: 0, waits: 0, flights: 0, own: 0 };
  #crashes = 0;

  private constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Resolves when all serve. @throws When one ends before. */
  static async open(count: number, folder: string, env: NodeJS.ProcessEnv): Promise<Shops> {
    const shops = new Shops(env);
    cluster.setupPrimary({ exec: join(import.meta.dirname, "shop.ts"), args: [], cwd: folder });
    try {
      await Promise.all(Array.from({ length: count }, () => shops.#begin()));
    } catch (error) {
      await shops.close();
      throw error;
    }
    return shops;
  }

  /** Processes that serve. */
  get serving(): number {
    return this.#reports.size;
  }

  get crashes(): number {
    return this.#crashes;
  }

  /** What all of them did, those that ended as well. */
  get report(): ShopReport {
    return [...this.#reports.values()].reduce(sum, this.#past);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      [...this.#alive].map(({ worker, ended }) => {
        worker.process.kill("SIGKILL");
        return ended;
      }),
    );
  }

  async #begin(): Promise<void> {
    const shop = this.#fork();
    const early = shop.ended.then(() => {
      throw new Error("a shop ended before it served");
    });
    early.catch(() => {});
    await Promise.race([once(shop.worker, "listening"), early]);
    void this.#keep(shop);
  }

  async #keep(first: Shop): Promise<void> {
    const { signal } = this.#closing;
    let inARow = 0;
    for (let shop = first; ; shop = this.#fork()) {
      const beganAt = performance.now();
      await shop.ended;
      if (signal.aborted) return;
      this.#crashes++;
      inARow = performance.now() - beganAt < STEADY_MS ? inARow + 1 : 1;
      const restMs = Math.min(MAX_REST_MS, FIRST_REST_MS * 2 ** (inARow - 1));
      await after(restMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
    }
  }

  #fork(): Shop {
    const worker = cluster.fork(this.#env);
    worker.on("message", (report: ShopReport) => this.#reports.set(worker.id, report));
    const shop: Shop = { worker, ended: once(worker, "exit") };
    this.#alive.add(shop);
    void shop.ended.then(() => {
      this.#alive.delete(shop);
      const last = this.#reports.get(worker.id);
      this.#reports.delete(worker.id);
      if (last !== undefined) this.#past = sum(this.#past, last);
    });
    return shop;
  }
}

function sum(one: ShopReport, other: ShopReport): ShopReport {
  return {
    hits: one.hits + other.hits,
    stale: one.stale + other.stale,
    waits: one.waits + other.waits,
    flights: one.flights + other.flights,
    own: one.own + other.own,
  };
}
