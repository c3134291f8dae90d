import { TELL_MS, type WorkerFacts } from "../scheduler/worker-list.ts";
import { type GateLink, RemoteError } from "./gate-link.ts";

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

  /**
   * Resolves when the gate was asked for the first time, also when it did not answer.
   * @throws RemoteError `GATE_REFUSES_WORKER`: a wrong token is not waited for, as a gate that starts later is.
   */
  async start(): Promise<void> {
    const refused = await this.#tell();
    if (refused instanceof RemoteError && refused.code === "GATE_REFUSES_WORKER") throw refused;
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** @returns why the gate did not take it. */
  async #tell(): Promise<Error | undefined> {
    let refused: Error | undefined;
    try {
      const facts = JSON.stringify(await this.#facts());
      const terms = { patienceMs: 0 };
      this.#onAnswer(await this.#gate.ask<PresenceAnswer>("POST", "/workers", () => facts, terms));
      this.#wasRefused = false;
    } catch (error) {
      refused = error as Error;
      if (!this.#wasRefused) this.#onRefused(refused);
      this.#wasRefused = true;
    }
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#tell(), TELL_MS).unref();
    return refused;
  }
}
