import type { ChangeId } from "./change.ts";

/** Decisions that are kept of each change: its newest. */
export const MAX_DECISIONS = 40;
/** Changes whose decisions are kept: those that were decided about last. */
export const MAX_EXPLAINED = 1_000;

export interface Decision {
  readonly atMs: number;
  readonly pipeline: string | null;
  /** A sentence. */
  readonly text: string;
}

/** What was decided about each change, and why. */
export class Decisions {
  readonly #of = new Map<ChangeId, Decision[]>();

  note(change: ChangeId, decision: Decision): void {
    const decisions = this.#of.get(change) ?? [];
    // What is tried again and again with the same end is told once.
    const last = decisions.at(-1);
    if (last?.text === decision.text && last.pipeline === decision.pipeline) return;
    decisions.push(decision);
    if (decisions.length > MAX_DECISIONS) decisions.shift();
    this.#of.delete(change);
    this.#of.set(change, decisions);
    if (this.#of.size > MAX_EXPLAINED) this.#of.delete(this.#of.keys().next().value!);
  }

  /** Oldest first. */
  of(change: ChangeId): readonly Decision[] {
    return this.#of.get(change) ?? [];
  }

  /** The one that was decided about last stands at the end. */
  subjects(): readonly ChangeId[] {
    return [...this.#of.keys()];
  }

  list(): readonly (readonly [ChangeId, readonly Decision[]])[] {
    return [...this.#of].map(([change, decisions]) => [change, [...decisions]]);
  }

  static restore(list: ReturnType<Decisions["list"]>): Decisions {
    const decisions = new Decisions();
    for (const [change, made] of list) decisions.#of.set(change, [...made]);
    return decisions;
  }
}
