import type { AutoholdView } from "@drover/gate/api";
import type { RunningGate } from "../running-gate.ts";
import { repositoryName } from "./real-config.ts";
import type { AutoholdSetup } from "./world.ts";

/** How long a build is held of which it is expected that it is let go. */
const BRIEF_MS = 1_000;

/** Requests of a scenario to hold builds, in a gate that runs. */
export class RealAutoholds {
  readonly #running: RunningGate;
  readonly #prefix: string;
  /** By their names in the scenario. */
  readonly #ids = new Map<string, number>();

  constructor(running: RunningGate, prefix: string) {
    this.#running = running;
    this.#prefix = prefix;
  }

  /** @param change Its number. */
  async ask(
    name: string,
    { project, job, branch, count = 1, isBrief = false }: AutoholdSetup,
    change: number | undefined,
  ): Promise<void> {
    const { id } = await this.#running.post<{ readonly id: number }>("/autoholds", "root", {
      ...{
        project: repositoryName(this.#prefix, project),
        job: `${this.#prefix}-${job}`,
        reason: name,
        count,
      },
      ...(change === undefined ? {} : { change }),
      ...(branch === undefined ? {} : { ref: branch }),
      ...(isBrief ? { holdMs: BRIEF_MS } : {}),
    });
    this.#ids.set(name, id);
  }

  /** `undefined`: there is none any more. */
  async find(name: string): Promise<AutoholdView | undefined> {
    const all = await this.#running.get<AutoholdView[]>("/autoholds");
    return all.find(({ id }) => id === this.#ids.get(name));
  }
}
