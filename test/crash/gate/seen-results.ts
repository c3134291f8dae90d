import type { BuildView } from "@drover/gate/api";
import { Broken } from "../books.ts";

const PAGE = 500;

/** Results of builds that were seen, which no kill may change. */
export class SeenResults {
  readonly #get: <T>(path: string) => Promise<T>;
  readonly #results = new Map<string, string>();

  /** @param get Asks the API of the gate. */
  constructor(get: <T>(path: string) => Promise<T>) {
    this.#get = get;
  }

  get size(): number {
    return this.#results.size;
  }

  /** Remembers the newest results. @returns the newest builds @throws Broken */
  async look(): Promise<readonly BuildView[]> {
    const builds = await this.#get<BuildView[]>("/builds?limit=100");
    for (const { id, result } of builds) if (result !== null) this.#see(id, result);
    return builds;
  }

  #see(id: string, result: string): void {
    const before = this.#results.get(id);
    if (before !== undefined && before !== result)
      throw new Broken(`build ${id} was ${before}, and is ${result} now`);
    this.#results.set(id, result);
  }

  /** Whether all that was seen is as it was. @returns all builds that there are @throws Broken */
  async check(): Promise<readonly BuildView[]> {
    const builds: BuildView[] = [];
    for (let before = ""; ; ) {
      const page = await this.#get<BuildView[]>(`/builds?limit=${PAGE}${before}`);
      builds.push(...page);
      if (page.length < PAGE) break;
      before = `&before=${page.at(-1)!.id}`;
    }
    const found = new Map(builds.map(({ id, result }) => [id, result]));
    for (const [id, result] of this.#results) {
      if (found.get(id) !== result)
        throw new Broken(`build ${id} was ${result}, and is ${found.get(id)} after a kill`);
    }
    return builds;
  }
}
