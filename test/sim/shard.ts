import { parentPort } from "node:worker_threads";
import { runCrashes } from "./crash/run.ts";
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
}

/** What it answers. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly failure: Failure | null;
}

function run({ seed, steps, thorough, crashes, gate }: Assignment): Report {
  if (gate) return runOfGate(seed, steps, thorough);
  if (crashes) {
    const { failure: text } = runCrashes(seed, steps);
    return { seed, steps, failure: text === null ? null : { rule: "crashes", text, events: [] } };
  }
  const outcome = runSeed(seed, steps);
  if (outcome.failure !== null) return explainSeed(seed, steps);
  if (!thorough) return outcome;
  return { ...outcome, failure: checkRepetition(seed, steps) ?? checkIsolation(seed, steps) };
}

function runOfGate(seed: number, steps: number, thorough: boolean): Report {
  const outcome = runGate(seed, steps);
  if (outcome.failure !== null) return explainGate(seed, steps);
  if (!thorough) return outcome;
  const again = runGate(seed, steps);
  if (again.hash === outcome.hash) return outcome;
  return { ...outcome, failure: { rule: "repetition", text: "a second run was another one", events: [] } };
}

parentPort?.on("message", (assignment: Assignment) => parentPort!.postMessage(run(assignment)));
