import type { Commit, StoredJob } from "../../../packages/server/src/core/index.ts";

/** What is stored, and what a commit under way would make of it. */
export class Disk {
  readonly rows = new Map<number, StoredJob>();
  #writing: Commit | null = null;
  #reservedTo = 0;

  get isWriting(): boolean {
    return this.#writing !== null;
  }

  /** Reserves handles as a store does. */
  reserve(wanted: number, count: number): number {
    const first = Math.max(wanted, this.#reservedTo);
    this.#reservedTo = first + count;
    return first;
  }

  begin(commit: Commit): void {
    this.#writing = commit;
  }

  /** @param applied Whether the commit under way is there from now on, whatever anybody is told. */
  end(applied: boolean): void {
    const { puts, changes, deletes } = this.#writing!;
    this.#writing = null;
    if (!applied) return;
    // Workloads are the server's memory, which it uses again.
    for (const row of puts) this.rows.set(row.id, { ...row, workload: new Uint8Array(row.workload) });
    for (const change of changes) {
      const row = this.rows.get(change.id);
      if (row !== undefined) this.rows.set(change.id, { ...row, ...change });
    }
    for (const id of deletes) this.rows.delete(id);
  }

  /** All rows in the order of ids. */
  sorted(): StoredJob[] {
    return [...this.rows.values()].sort((a, b) => a.id - b.id);
  }
}
