import { Violation } from "../violation.ts";
import { FleetWorld, type FleetWorldOptions } from "./world.ts";

/** How a seed went. */
export interface FleetOutcome {
  readonly seed: number;
  readonly steps: number;
  /** Of all events: equal for equal runs. */
  readonly hash: number;
  /** Most workers that were at one key at a time. */
  readonly mostRunners: number;
  /** Questions whether a job runs in another's place. */
  readonly asked: number;
  readonly failure: {
    readonly rule: string;
    readonly text: string;
    readonly events: readonly string[];
  } | null;
}

/** Runs one seed for so many steps, then lets it end, and says what became of it. */
export function runFleet(seed: number, steps: number, options: FleetWorldOptions = {}): FleetOutcome {
  let world: FleetWorld | null = null;
  let failure: FleetOutcome["failure"] = null;
  try {
    world = new FleetWorld(seed, options);
    while (world.steps < steps) world.step();
    world.settle();
  } catch (error) {
    const rule = error instanceof Violation ? error.rule : "exception";
    const text = error instanceof Violation ? error.message : String((error as Error).stack);
    failure = { rule, text, events: [] };
  }
  const { hash = 0, mostRunners = 0, asked = 0 } = world?.judge ?? {};
  return { seed, steps: world?.steps ?? 0, hash, mostRunners, asked, failure };
}

/** Runs a failed seed once more, to tell the last events before the failure. */
export function explainFleet(seed: number, steps: number, options: FleetWorldOptions = {}): FleetOutcome {
  const lines: string[] = [];
  const trace = (line: string) => {
    lines.push(line);
    if (lines.length > 80) lines.shift();
  };
  const outcome = runFleet(seed, steps, { ...options, trace });
  return outcome.failure === null ? outcome : { ...outcome, failure: { ...outcome.failure, events: lines } };
}
