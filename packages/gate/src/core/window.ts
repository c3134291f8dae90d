import type { WindowRules } from "./layout.ts";

/* How many items of a queue are worked on: more after each one that merged, fewer after each that failed at the head. */

type Step = WindowRules["increase"];

/** After an item merged. */
export function grown(window: number, rules: WindowRules): number {
  if (window === 0) return 0;
  const larger = Math.max(window, stepped(window, rules.increase, 1));
  return rules.ceiling === null ? larger : Math.min(larger, rules.ceiling);
}

/** After an item failed at the head. Never below the floor, and never 0, which would mean all. */
export function shrunk(window: number, rules: WindowRules): number {
  if (window === 0) return 0;
  return Math.max(1, rules.floor, stepped(window, rules.decrease, -1));
}

function stepped(window: number, { type, factor }: Step, direction: 1 | -1): number {
  if (type === "linear") return window + direction * factor;
  return Math.floor(direction === 1 ? window * factor : window / factor);
}

/**
 * A queue's window after a reconfiguration: what it has grown or shrunk to stays, within the new bounds. A window that
 * cannot move (exponential, factor 1) is what the configuration says, and so is one that began or ceased to be unlimited.
 */
export function carried(window: number, rules: WindowRules): number {
  const isFixed = [rules.increase, rules.decrease].every((s) => s.type === "exponential" && s.factor === 1);
  if (isFixed || rules.size === 0 || window === 0) return rules.size;
  return Math.min(Math.max(1, window, rules.floor), rules.ceiling ?? Number.MAX_SAFE_INTEGER);
}
