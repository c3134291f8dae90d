import type { ChangeId } from "./change.ts";

/** An approved change that was refused because of what it needs, and is tried again when something of that changed. */
export interface Intent {
  readonly change: ChangeId;
  readonly revision: number;
  readonly pipeline: string;
  readonly sinceMs: number;
  readonly ignoreRequirements: boolean;
  readonly ignoreNeeds: readonly string[];
  /** Why it waits; the end of a sentence that begins with the change. */
  readonly reason: string;
  /** Changes whose news have it tried again. */
  readonly waitsFor: readonly ChangeId[];
}

/** What was asked for and could not be done yet. One for each change and pipeline; the newest revision's. */
export class Intents {
  readonly #all = new Map<string, { intent: Intent; readonly seq: number }>();
  readonly #waiting = new Map<ChangeId, Set<string>>();
  readonly #dirty = new Set<string>();
  #lastSeq = 0;

  find(change: ChangeId, pipeline: string): Intent | undefined {
    return this.#all.get(keyOf(change, pipeline))?.intent;
  }

  remember(intent: Intent): void {
    const key = keyOf(intent.change, intent.pipeline);
    const known = this.#all.get(key);
    if (known === undefined) this.#all.set(key, { intent, seq: ++this.#lastSeq });
    else {
      this.#unlink(key, known.intent);
      known.intent = intent;
    }
    for (const change of [intent.change, ...intent.waitsFor]) {
      const waiting = this.#waiting.get(change) ?? new Set();
      this.#waiting.set(change, waiting.add(key));
    }
  }

  drop(change: ChangeId, pipeline: string): void {
    const key = keyOf(change, pipeline);
    const known = this.#all.get(key);
    if (known === undefined) return;
    this.#unlink(key, known.intent);
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

  /** Those to be tried again, in the order in which they were first refused. */
  takeDirty(): readonly Intent[] {
    if (this.#dirty.size === 0) return [];
    const taken = [...this.#dirty].map((key) => this.#all.get(key)!);
    this.#dirty.clear();
    return taken.sort((a, b) => a.seq - b.seq).map(({ intent }) => intent);
  }

  /** In the order in which they were first refused. */
  list(): readonly Intent[] {
    return [...this.#all.values()].map(({ intent }) => intent);
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
