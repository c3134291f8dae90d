import { RunningGate } from "../running-gate.ts";
import type { Setup } from "./index.ts";
import { pipelineFiles } from "./real-config.ts";
import { addConnections } from "./real-connections.ts";

/** Of all scenarios together. */
const MAX_BUILDS = 500;

/** Gates that run, one for all scenarios that want the same pipelines. */
export class RealGates {
  readonly #shares: boolean;
  readonly #gates = new Map<string, Promise<RunningGate>>();

  /** @param shares Whether builds of equal content are one execution there. */
  constructor(shares: boolean) {
    this.#shares = shares;
  }

  /** Slots are not shared: what runs for one scenario would be in the way of the other. */
  for(setup: Setup, title: string): Promise<RunningGate> {
    const { window, check, supercedes, rechecks, slots, disableAfter, pipelines, reportsElsewhere } = setup;
    // A clock that strikes, and failures in a row, are not shared either.
    const isShared =
      slots === undefined && disableAfter === undefined && pipelines?.includes("nightly") !== true;
    const key = JSON.stringify({
      ...{ window, check: check === true, supercedes: supercedes === true, rechecks: rechecks === true },
      ...{ pipelines, reportsElsewhere, own: isShared ? null : title },
    });
    const known = this.#gates.get(key) ?? this.#open(setup);
    this.#gates.set(key, known);
    return known;
  }

  async #open(setup: Setup): Promise<RunningGate> {
    const running = await RunningGate.start(setup.slots === undefined ? {} : { slots: setup.slots });
    if (!this.#shares) await running.makeControls(MAX_BUILDS);
    if (setup.reportsElsewhere) await addConnections(running);
    await running.pushDirectly("config", pipelineFiles(setup, running.control, this.#shares));
    return running;
  }

  async end(): Promise<void> {
    for (const gate of this.#gates.values()) await (await gate).end();
  }
}
