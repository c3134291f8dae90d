import type { CacheBackend, CacheEntry, Change } from "../src/index.ts";

/** A backend that keeps everything, and can be told to be away or to hang. */
export class Memory implements CacheBackend {
  readonly values = new Map<string, { value: Uint8Array; untilMs: number }>();
  readonly #elections = new Map<string, number>();
  /** In the order in which they were asked. */
  readonly reads: (readonly string[])[] = [];
  mode: "works" | "away" | "hangs" = "works";
  refusesWrites = false;

  async get(
    keys: readonly string[],
    { electMs }: { electMs?: number | undefined } = {},
  ): Promise<readonly (CacheEntry | Error)[]> {
    this.reads.push(keys);
    await this.#answer();
    return keys.map((key) => {
      if (this.mode === "away") return new Error("away");
      const held = this.values.get(key);
      const elected = electMs !== undefined && (this.#elections.get(key) ?? 0) <= Date.now();
      if (elected) this.#elections.set(key, Date.now() + electMs);
      return { value: held !== undefined && Date.now() < held.untilMs ? held.value : undefined, elected };
    });
  }

  async set(key: string, change: Change): Promise<boolean> {
    await this.#answer();
    if (this.mode === "away" || this.refusesWrites) throw new Error("away");
    const next = change(this.values.get(key)?.value);
    if (next === undefined) return false;
    this.values.set(key, { value: next.value, untilMs: Date.now() + next.ttlMs });
    this.#elections.delete(key);
    return true;
  }

  async invalidate(key: string, change: Change): Promise<void> {
    await this.set(key, change);
  }

  async close(): Promise<void> {}

  async #answer(): Promise<void> {
    if (this.mode === "hangs") await new Promise(() => {});
    await null;
  }
}
