import { Violation } from "../violation.ts";
import { GateWorld, type GateWorldOptions } from "./world.ts";

/** How a seed went. */
export interface GateOutcome {
  readonly seed: number;
  /** Events that the core was told. */
  readonly steps: number;
  /** Of all events and all effects: equal for equal runs. */
  readonly hash: number;
  readonly failure: {
    readonly rule: string;
    readonly text: string;
    readonly events: readonly string[];
  } | null;
}

/** Runs one seed until the core was told so many events, then lets it end, and says what became of it. */
export function runGate(seed: number, events: number, options: GateWorldOptions = {}): GateOutcome {
  let world: GateWorld | null = null;
  let failure: GateOutcome["failure"] = null;
  try {
    world = new GateWorld(seed, options);
    while (world.events < events) world.step();
    world.settle();
  } catch (error) {
    const rule = error instanceof Violation ? error.rule : "exception";
    const text = error instanceof Violation ? error.message : String((error as Error).stack);
    failure = { rule, text, events: [] };
  }
  return { seed, steps: world?.events ?? 0, hash: world?.hash ?? 0, failure };
}

/** Runs a failed seed once more, to tell the last events before the failure. */
export function explainGate(seed: number, events: number, options: GateWorldOptions = {}): GateOutcome {
  const lines: string[] = [];
  const trace = (line: string) => {
    lines.push(line);
    if (lines.length > 80) lines.shift();
  };
  const outcome = runGate(seed, events, { ...options, trace });
  return outcome.failure === null ? outcome : { ...outcome, failure: { ...outcome.failure, events: lines } };
}
