import type { ChangeId } from "./change.ts";

/** An approved change that was refused because of what it needs, and is tried again when something of that changed. */
export interface Intent {
  readonly change: ChangeId;
  readonly revision: number;
  readonly pipeline: string;
  readonly sinceMs: number;
  readonly ignoreRequirements: boolean;
  readonly ignoreNeeds: readonly string[];
  /** Why it waits; in a sentence. */
  reason: string;
  /** Changes whose news have it tried again. */
  waitsFor: readonly ChangeId[];
}

/** What was asked for and could not be done yet. One for each change and pipeline; the newest revision's. */
export class Intents {
  /** In the order in which they were first refused. */
  readonly #all = new Map<string, Intent>();
  readonly #waiting = new Map<ChangeId, Set<string>>();
  readonly #dirty = new Set<string>();

  find(change: ChangeId, pipeline: string): Intent | undefined {
    return this.#all.get(keyOf(change, pipeline));
  }

  remember(intent: Intent): void {
    const key = keyOf(intent.change, intent.pipeline);
    const known = this.#all.get(key);
    if (known !== undefined) this.#unlink(key, known);
    this.#all.set(key, intent);
    for (const change of [intent.change, ...intent.waitsFor]) {
      const waiting = this.#waiting.get(change) ?? new Set();
      this.#waiting.set(change, waiting.add(key));
    }
  }

  drop(change: ChangeId, pipeline: string): void {
    const key = keyOf(change, pipeline);
    const known = this.#all.get(key);
    if (known === undefined) return;
    this.#unlink(key, known);
    this.#all.delete(key);
    this.#dirty.delete(key);
  }

  /** Something about a change is not as it was. */
  touch(change: ChangeId): void {
    for (const key of this.#waiting.get(change) ?? []) this.#dirty.add(key);
  }

  touchAll(): void {
    for (const key of this.#all.keys()) this.#dirty.add(key);
  }

  /** Those to be tried again, oldest first. */
  takeDirty(): readonly Intent[] {
    if (this.#dirty.size === 0) return [];
    const taken = [...this.#all].filter(([key]) => this.#dirty.has(key)).map(([, intent]) => intent);
    this.#dirty.clear();
    return taken;
  }

  list(): readonly Intent[] {
    return [...this.#all.values()];
  }

  #unlink(key: string, { change, waitsFor }: Intent): void {
    for (const id of [change, ...waitsFor]) {
      const waiting = this.#waiting.get(id);
      waiting?.delete(key);
      if (waiting?.size === 0) this.#waiting.delete(id);
    }
  }
}

const keyOf = (change: ChangeId, pipeline: string): string => `${pipeline}\n${change}`;
