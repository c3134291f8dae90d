import type { Change, ChangeId } from "./change.ts";

/** Closed changes that are remembered. One that is forgotten has to be told again before a change that needs it. */
export const MAX_CLOSED_CHANGES = 10_000;

interface Known {
  change: Change;
  /** In the order in which changes were first told. */
  readonly seq: number;
}

/** Every open change and the newest closed ones, as they were told last; and who needs whom. */
export class KnownChanges {
  readonly #known = new Map<ChangeId, Known>();
  readonly #needing = new Map<ChangeId, Set<ChangeId>>();
  /** Longest closed first. */
  readonly #closed = new Set<ChangeId>();
  /** Of changes that are in a cycle, its members; looked for once, until any change is told anew. */
  readonly cycles = new Map<ChangeId, readonly ChangeId[]>();
  #lastSeq = 0;

  get(id: ChangeId): Change | undefined {
    return this.#known.get(id)?.change;
  }

  /** @returns How it was before. A merged change stays merged: news from before its merge is not taken. */
  set(change: Change): Change | undefined {
    const known = this.#known.get(change.id);
    const before = known?.change;
    if (before?.state === "merged" && change.state !== "merged" && change.revision <= before.revision)
      return before;
    this.cycles.clear();
    if (before !== undefined) this.#link(before, false);
    const kept = change.state === "open" ? change : { ...change, needs: [] };
    if (known === undefined) this.#known.set(change.id, { change: kept, seq: ++this.#lastSeq });
    else known.change = kept;
    this.#closed.delete(change.id);
    this.#link(kept, true);
    if (kept.state !== "open") {
      this.#closed.add(change.id);
      this.#forget();
    }
    return before;
  }

  /** Changes as they were given, in the order in which they were first told. */
  inOrder(changes: Iterable<Change>): Change[] {
    return [...changes].sort((a, b) => this.#known.get(a.id)!.seq - this.#known.get(b.id)!.seq);
  }

  /** Open changes that say they need this one, in the order in which they were first told. */
  needing(id: ChangeId): readonly Change[] {
    const ids = this.#needing.get(id);
    if (ids === undefined) return [];
    const known = [...ids].map((needing) => this.#known.get(needing)!);
    return known.sort((a, b) => a.seq - b.seq).map(({ change }) => change);
  }

  /** All in the order in which they were first told, and the closed ones in the order in which they were closed. */
  list(): { readonly changes: readonly Change[]; readonly closed: readonly ChangeId[] } {
    const bySeq = [...this.#known.values()].sort((a, b) => a.seq - b.seq);
    return { changes: bySeq.map(({ change }) => change), closed: [...this.#closed] };
  }

  static restore({ changes, closed }: ReturnType<KnownChanges["list"]>): KnownChanges {
    const known = new KnownChanges();
    for (const change of changes) known.set(change);
    known.#closed.clear();
    for (const id of closed) known.#closed.add(id);
    return known;
  }

  #link({ id, needs }: Change, on: boolean): void {
    for (const { change: needed } of needs) {
      if (needed === null) continue;
      const needing = this.#needing.get(needed) ?? new Set();
      if (on) needing.add(id);
      else needing.delete(id);
      if (needing.size > 0) this.#needing.set(needed, needing);
      else this.#needing.delete(needed);
    }
  }

  /** What an open change needs is kept, however long it has been closed. */
  #forget(): void {
    let spare = this.#closed.size - MAX_CLOSED_CHANGES;
    if (spare <= 0) return;
    for (const id of this.#closed) {
      if (spare-- <= 0) return;
      this.#closed.delete(id);
      if (this.#needing.has(id)) this.#closed.add(id);
      else this.#known.delete(id);
    }
  }
}
