import type { JobServer } from "../job-server.ts";
import { exposition } from "./exposition.ts";
import { collectFigures } from "./figures.ts";
import { processMetrics } from "./process-metrics.ts";

interface Others {
  metrics?(): string | Promise<string>;
}

/** Makes the text of `/metrics`. Who asks while one is made gets that one, so that many who ask cost no more. */
export class Scrape {
  readonly #server: JobServer;
  #underWay: Promise<string> | undefined;

  readonly #others: readonly Others[];

  /** @param others Have families of their own. */
  constructor(server: JobServer, others: readonly Others[] = []) {
    this.#server = server;
    this.#others = others;
  }

  text(): Promise<string> {
    this.#underWay ??= this.#make().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #make(): Promise<string> {
    const own = await exposition(await collectFigures(this.#server));
    const others = await Promise.all(this.#others.map((other) => other.metrics?.() ?? ""));
    return own + others.join("") + (await processMetrics());
  }
}
