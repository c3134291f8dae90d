/** Stretches of time in a timeline, at most. */
export const MAX_STRETCHES = 1024;

/**
 * The highest level in each of a bounded number of equal stretches of time. When they no longer suffice, each two
 * become one.
 */
export class Timeline {
  readonly beginUs: number;
  #stretchUs = 1;
  #used = 0;
  readonly #highest = new Float64Array(MAX_STRETCHES);

  constructor(beginUs: number) {
    this.beginUs = beginUs;
  }

  get stretchUs(): number {
    return this.#stretchUs;
  }

  /** The highest level of each stretch, from `beginUs` on. */
  get highest(): readonly number[] {
    return [...this.#highest.subarray(0, this.#used)];
  }

  /** The level was held from one time until just before another. */
  hold(fromUs: number, untilUs: number, level: number): void {
    if (untilUs <= fromUs) return;
    while (untilUs - this.beginUs > MAX_STRETCHES * this.#stretchUs) this.#halve();
    const last = Math.ceil((untilUs - this.beginUs) / this.#stretchUs);
    for (let i = Math.floor((fromUs - this.beginUs) / this.#stretchUs); i < last; i++) {
      if (level > this.#highest[i]!) this.#highest[i] = level;
    }
    if (last > this.#used) this.#used = last;
  }

  #halve(): void {
    const highest = this.#highest;
    for (let i = 0; i < MAX_STRETCHES / 2; i++) {
      highest[i] = Math.max(highest[2 * i]!, highest[2 * i + 1]!);
    }
    highest.fill(0, MAX_STRETCHES / 2);
    this.#stretchUs *= 2;
    this.#used = Math.ceil(this.#used / 2);
  }
}
