import { Agent, get } from "node:http";
import { setTimeout as after } from "node:timers/promises";
import { type Advice, PRODUCTS } from "./catalogue.ts";

const MEAN_THINK_MS = 400;
const MAX_THINK_MS = 4_000;
const ANSWER_MS = 20_000;

/** Customers, each with a connection of its own, who look at a product, think, and look at another. They check what they get. */
export class Customers {
  /** Answered, rightly or not. */
  requests = 0;
  /** Answered with something else than the database says. */
  wrong = 0;
  /** Not answered with 200. */
  failed = 0;
  /** Why the last one failed. */
  lastFailure = "";
  /** Waiting for an answer now. */
  waiting = 0;
  #slowestMs = 0;
  readonly #port: number;
  readonly #expected: ReadonlyMap<number, string>;
  readonly #stopped = new AbortController();
  readonly #agents: Agent[] = [];

  /** @param advice The right answer for each product. */
  constructor(port: number, advice: readonly Advice[]) {
    this.#port = port;
    this.#expected = new Map(advice.map((one) => [one.product, JSON.stringify(one.boughtWith)]));
  }

  begin(count: number): void {
    for (let i = 0; i < count; i++) void this.#shop();
  }

  /** The slowest answer since this was asked last. */
  takeSlowestMs(): number {
    const slowest = this.#slowestMs;
    this.#slowestMs = 0;
    return slowest;
  }

  stop(): void {
    this.#stopped.abort();
    for (const agent of this.#agents) agent.destroy();
  }

  async #shop(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.push(agent);
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const thinkMs = Math.min(MAX_THINK_MS, -MEAN_THINK_MS * Math.log(1 - Math.random()));
      await after(thinkMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // The first products are looked at most.
      const product = 1 + Math.floor(PRODUCTS * Math.random() ** 2);
      const beganAt = performance.now();
      this.waiting++;
      try {
        const { status, text } = await this.#get(`/products/${product}`, agent);
        if (status !== 200) throw new Error(`${status} ${text.slice(0, 200)}`);
        if (JSON.stringify(JSON.parse(text).boughtWith) !== this.#expected.get(product)) this.wrong++;
      } catch (error) {
        if (signal.aborted) return;
        this.failed++;
        this.lastFailure = (error as Error).message;
      }
      this.waiting--;
      this.requests++;
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - beganAt);
    }
  }

  #get(path: string, agent: Agent): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: this.#port, path, agent, timeout: ANSWER_MS };
      const request = get(options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode!, text }));
      });
      request.on("timeout", () => request.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
      request.on("error", reject);
    });
  }
}
