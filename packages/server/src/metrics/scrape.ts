import type { JobServer } from "../job-server.ts";
import { exposition } from "./exposition.ts";
import { collectFigures } from "./figures.ts";
import { processMetrics } from "./process-metrics.ts";

/** Makes the text of `/metrics`. Who asks while one is made gets that one, so that many who ask cost no more. */
export class Scrape {
  readonly #server: JobServer;
  #underWay: Promise<string> | undefined;

  constructor(server: JobServer) {
    this.#server = server;
  }

  text(): Promise<string> {
    this.#underWay ??= this.#make().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #make(): Promise<string> {
    const own = await exposition(await collectFigures(this.#server));
    return own + (await processMetrics());
  }
}
