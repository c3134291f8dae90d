import { makePlan } from "./plan.ts";
import { Violation } from "./violation.ts";
import { World, type WorldOptions } from "./world.ts";

/** How a seed went. */
export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  /** Of all events and all bytes: equal for equal runs. */
  readonly hash: number;
  readonly failure: Failure | null;
}

export interface Failure {
  readonly rule: string;
  readonly text: string;
  /** The last events before it, oldest first; none unless asked for. */
  readonly events: readonly string[];
}

/** Runs one seed for so many steps, then lets it end, and says what became of it. */
export function runSeed(seed: number, steps: number, options: WorldOptions = {}): Outcome {
  const world = new World(makePlan(seed), options);
  let failure: Failure | null = null;
  try {
    while (world.steps < steps && world.step());
    world.settle();
  } catch (error) {
    failure = failureOf(error);
  }
  return { seed, steps: world.steps, hash: world.hash, failure };
}

/** A server that throws is as wrong as one that breaks an invariant. */
function failureOf(error: unknown): Failure {
  if (error instanceof Violation) return { rule: error.rule, text: error.message, events: [] };
  return {
    rule: "exception",
    text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    events: [],
  };
}

/** Runs a failed seed once more, to tell the last events before the failure. */
export function explainSeed(seed: number, steps: number, options: WorldOptions = {}): Outcome {
  const events: string[] = [];
  const trace = (line: string) => {
    events.push(line);
    if (events.length > 60) events.shift();
  };
  const outcome = runSeed(seed, steps, { ...options, trace });
  return outcome.failure === null ? outcome : { ...outcome, failure: { ...outcome.failure, events } };
}

/** Runs a seed twice: everything that happened and every byte must be the same. */
export function checkRepetition(seed: number, steps: number): Failure | null {
  const first = runSeed(seed, steps);
  const second = runSeed(seed, steps);
  if (first.hash === second.hash && first.steps === second.steps) return null;
  const text = `a second run gave hash ${second.hash} after ${second.steps} steps, the first ${first.hash} after ${first.steps}`;
  return { rule: "repetition", text, events: [] };
}

/**
 * S9: runs a seed with and without those who flood, do not read and speak nonsense: everyone else must be sent the
 * same bytes. What would make the difference visible by right (an administrator's list of connections, the grouping of
 * events) is left out.
 */
export function checkIsolation(seed: number, steps: number, options: WorldOptions = {}): Failure | null {
  const drawn = makePlan(seed);
  const nonsense = Math.max(1, drawn.nonsense);
  const plan = { ...drawn, nonsense, admins: 0, batchRate: 0, tickLateMs: 0, noticesJumps: true };
  try {
    const disturbed = new World(plan, options);
    while (disturbed.steps < steps && disturbed.step());
    const untilMs = disturbed.nowMs;
    while (disturbed.step(untilMs));
    const calm = new World(plan, { ...options, withoutNonsense: true });
    while (calm.step(untilMs));
    const judged = disturbed.history.filter(({ actor }) => !actor.nonsense);
    for (const [i, connection] of judged.entries()) {
      const twin = calm.history[i];
      if (twin?.actor.index === connection.actor.index && twin.hash === connection.hash) continue;
      const text = `connection ${connection.peer.id} of actor ${connection.actor.index} was sent other bytes than without nonsense`;
      return { rule: "S9", text, events: [] };
    }
    return null;
  } catch (error) {
    return failureOf(error);
  }
}
