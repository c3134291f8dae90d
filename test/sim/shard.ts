import { parentPort } from "node:worker_threads";
import { runCrashes } from "./crash/run.ts";
import { checkIsolation, checkRepetition, explainSeed, type Failure, runSeed } from "./run.ts";

/** What a thread is asked for. */
export interface Assignment {
  readonly seed: number;
  readonly steps: number;
  /** Also runs it a second time and without nonsense. */
  readonly thorough: boolean;
  /** The world with a store that crashes. */
  readonly crashes: boolean;
}

/** What it answers. */
export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly failure: Failure | null;
}

function run({ seed, steps, thorough, crashes }: Assignment): Report {
  if (crashes) {
    const { failure: text } = runCrashes(seed, steps);
    return { seed, steps, failure: text === null ? null : { rule: "crashes", text, events: [] } };
  }
  const outcome = runSeed(seed, steps);
  if (outcome.failure !== null) return explainSeed(seed, steps);
  if (!thorough) return outcome;
  return { ...outcome, failure: checkRepetition(seed, steps) ?? checkIsolation(seed, steps) };
}

parentPort?.on("message", (assignment: Assignment) => parentPort!.postMessage(run(assignment)));
