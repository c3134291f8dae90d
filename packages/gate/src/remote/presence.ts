import { TELL_MS, type WorkerFacts } from "../scheduler/worker-list.ts";
import type { GateLink } from "./gate-link.ts";

/** What a gate says to whoever tells of itself. */
export interface PresenceAnswer {
  /** Executions whose workspaces are not to be held any more. */
  readonly letGo?: readonly string[];
}

/** Tells the gate of a worker, again and again, so that people see it. */
export class Presence {
  readonly #gate: GateLink;
  readonly #facts: () => WorkerFacts | Promise<WorkerFacts>;
  readonly #onAnswer: (answer: PresenceAnswer) => void;
  readonly #onRefused: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #wasRefused = false;

  /** @param onRefused Told once for each time that the gate stops taking it. */
  constructor(
    gate: GateLink,
    facts: () => WorkerFacts | Promise<WorkerFacts>,
    onRefused: (error: Error) => void,
    onAnswer: (answer: PresenceAnswer) => void = () => {},
  ) {
    this.#onAnswer = onAnswer;
    this.#gate = gate;
    this.#facts = facts;
    this.#onRefused = onRefused;
  }

  /** Resolves when the gate was asked for the first time, whatever it said. */
  async start(): Promise<void> {
    await this.#tell();
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  async #tell(): Promise<void> {
    try {
      const facts = JSON.stringify(await this.#facts());
      const terms = { patienceMs: 0 };
      this.#onAnswer(await this.#gate.ask<PresenceAnswer>("POST", "/workers", () => facts, terms));
      this.#wasRefused = false;
    } catch (error) {
      if (!this.#wasRefused) this.#onRefused(error as Error);
      this.#wasRefused = true;
    }
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#tell(), TELL_MS).unref();
  }
}
