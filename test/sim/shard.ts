import { parentPort } from "node:worker_threads";
import { checkIsolation, checkRepetition, explainSeed, type Failure, runSeed } from "./run.ts";

/** What a thread is asked for. */
export interface Assignment {
  readonly seed: number;
  readonly steps: number;
  /** Also runs it a second time and without nonsense. */
  readonly thorough: boolean;
}

/** What it answers. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly failure: Failure | null;
}

function run({ seed, steps, thorough }: Assignment): Report {
  const outcome = runSeed(seed, steps);
  if (outcome.failure !== null) return explainSeed(seed, steps);
  if (!thorough) return outcome;
  return { ...outcome, failure: checkRepetition(seed, steps) ?? checkIsolation(seed, steps) };
}

parentPort?.on("message", (assignment: Assignment) => parentPort!.postMessage(run(assignment)));
