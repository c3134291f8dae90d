import { parentPort } from "node:worker_threads";
import { runCrashes } from "./crash/run.ts";
import { explainFleet, runFleet } from "./fleet/run.ts";
import { explainGate, runGate } from "./gate/run.ts";
import { checkIsolation, checkRepetition, explainSeed, type Failure, runSeed } from "./run.ts";

/** What a thread is asked for. */
export interface Assignment {
  readonly seed: number;
  readonly steps: number;
  /** Also runs it a second time and without nonsense. */
  readonly thorough: boolean;
  /** The world with a store that crashes. */
  readonly crashes: boolean;
  /** The core of the gate, not the job server. */
  readonly gate: boolean;
  /** Servers of a fleet, not one. */
  readonly fleet: boolean;
}

/** What it answers. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly failure: Failure | null;
}

function run({ seed, steps, thorough, crashes, gate, fleet }: Assignment): Report {
  if (gate) return repeated(runGate, explainGate, seed, steps, thorough);
  if (fleet) return repeated(runFleet, explainFleet, seed, steps, thorough);
  if (crashes) {
    const { failure: text } = runCrashes(seed, steps);
    return { seed, steps, failure: text === null ? null : { rule: "crashes", text, events: [] } };
  }
  const outcome = runSeed(seed, steps);
  if (outcome.failure !== null) return explainSeed(seed, steps);
  if (!thorough) return outcome;
  return { ...outcome, failure: checkRepetition(seed, steps) ?? checkIsolation(seed, steps) };
}

type Run = (seed: number, steps: number) => Report & { readonly hash: number };

function repeated(once: Run, explain: Run, seed: number, steps: number, thorough: boolean): Report {
  const outcome = once(seed, steps);
  if (outcome.failure !== null) return explain(seed, steps);
  if (!thorough || once(seed, steps).hash === outcome.hash) return outcome;
  return { ...outcome, failure: { rule: "repetition", text: "a second run was another one", events: [] } };
}

parentPort?.on("message", (assignment: Assignment) => parentPort!.postMessage(run(assignment)));
