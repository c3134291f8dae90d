/** Values that cost something to make again. Those not asked for the longest go first when there is too much. */
export class Kept<V> {
  readonly #maxWeight: number;
  readonly #entries = new Map<string, { readonly value: V; readonly weight: number }>();
  #weight = 0;

  /** @param maxWeight Of all together, in the unit of `keep`. */
  constructor(maxWeight: number) {
    this.#maxWeight = maxWeight;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** What weighs more than all may is not kept. */
  keep(key: string, value: V, weight: number): V {
    this.drop(key);
    if (weight > this.#maxWeight) return value;
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#maxWeight) break;
      this.drop(oldest);
    }
    return value;
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  drop(key: string): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0;
    this.#entries.delete(key);
  }
}
