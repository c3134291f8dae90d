import { Timeline } from "./timeline.ts";

/** How many were under way, over time. */
export interface LevelReport {
  readonly peak: number;
  /** When the peak was reached first, in microseconds since 1970. */
  readonly peakAtUs: number;
  /** All that was under way, added up. */
  readonly workUs: number;
  /** Time in which at least one was under way. */
  readonly busyUs: number;
  /** Microseconds spent at each level, from 0. */
  readonly timeAtUs: readonly number[];
  readonly timeline: { readonly stretchUs: number; readonly highest: readonly number[] };
}

/** Follows a level that goes up and down by one, and is told so in the order of time. */
export class Level {
  #now = 0;
  #sinceUs: number;
  #peak = 0;
  #peakAtUs: number;
  readonly #timeAtUs: number[] = [0];
  readonly #timeline: Timeline;

  constructor(beginUs: number) {
    this.#sinceUs = beginUs;
    this.#peakAtUs = beginUs;
    this.#timeline = new Timeline(beginUs);
  }

  change(atUs: number, by: 1 | -1): void {
    this.#pass(atUs);
    this.#now += by;
  }

  report(endUs: number): LevelReport {
    this.#pass(endUs);
    const timeAtUs = this.#timeAtUs;
    return {
      peak: this.#peak,
      peakAtUs: this.#peakAtUs,
      workUs: timeAtUs.reduce((sum, us, level) => sum + us * level, 0),
      busyUs: timeAtUs.reduce((sum, us, level) => (level === 0 ? 0 : sum + us), 0),
      timeAtUs,
      timeline: { stretchUs: this.#timeline.stretchUs, highest: this.#timeline.highest },
    };
  }

  /** A level counts when it lasts: what goes up and down in one instant is no peak. */
  #pass(untilUs: number): void {
    const us = untilUs - this.#sinceUs;
    if (us <= 0) return;
    const level = this.#now;
    while (this.#timeAtUs.length <= level) this.#timeAtUs.push(0);
    this.#timeAtUs[level]! += us;
    if (level > this.#peak) {
      this.#peak = level;
      this.#peakAtUs = this.#sinceUs;
    }
    this.#timeline.hold(this.#sinceUs, untilUs, level);
    this.#sinceUs = untilUs;
  }
}

/** The lowest level that was not exceeded for so many hundredths of all time. */
export function levelFor(timeAtUs: readonly number[], percent: number): number {
  const wantedUs = (timeAtUs.reduce((sum, us) => sum + us, 0) * percent) / 100;
  let sumUs = 0;
  let highest = 0;
  for (const [level, us] of timeAtUs.entries()) {
    if (us === 0) continue;
    highest = level;
    sumUs += us;
    if (sumUs >= wantedUs) return level;
  }
  return highest;
}
