import type { Commit, Fired, StoredJob } from "../core/index.ts";
import { NOT_SHARED, type Store } from "./store.ts";

const CHUNK_ROWS = 1000;

/** A store that survives nothing but a new server in the same process: for tests. */
export class MemoryStore implements Store {
  readonly name = "memory";
  readonly #rows = new Map<number, StoredJob>();
  readonly #fired = new Map<string, Fired>();
  #reserved = 0;

  async *load(): AsyncGenerator<readonly StoredJob[], void, undefined> {
    const rows = [...this.#rows.values()].sort((a, b) => a.id - b.id);
    for (let i = 0; i < rows.length; i += CHUNK_ROWS) yield rows.slice(i, i + CHUNK_ROWS);
  }

  async count(): Promise<number> {
    return this.#rows.size;
  }

  async reserve(wanted: number, count: number): Promise<number> {
    const first = Math.max(wanted, this.#reserved);
    this.#reserved = first + count;
    return first;
  }

  async fired(): Promise<readonly Fired[]> {
    return [...this.#fired.values()];
  }

  async commit({ puts, changes, deletes, fired }: Commit): Promise<void> {
    for (const row of puts) this.#rows.set(row.id, row);
    for (const change of changes) {
      const row = this.#rows.get(change.id);
      if (row !== undefined) this.#rows.set(change.id, { ...row, ...change });
    }
    for (const id of deletes) this.#rows.delete(id);
    for (const one of fired) this.#fired.set(one.schedule, one);
  }

  readonly orphans = NOT_SHARED.orphans;
  readonly takeOver = NOT_SHARED.takeOver;

  async close(): Promise<void> {}
}
