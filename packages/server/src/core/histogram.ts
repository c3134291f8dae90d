/** How often values fell into ranges: cheap enough to be told of every job. */
export class Histogram {
  /** Upper bounds of the ranges, themselves within, ascending. */
  readonly bounds: readonly number[];
  /** How many values fell into each range; the last one has no bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    // Most values are small, and there are few ranges.
    while (i < bounds.length && value > bounds[i]!) i++;
    this.counts[i]!++;
    this.sum += value;
  }
}
