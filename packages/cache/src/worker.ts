import type { HandleOptions, Worker } from "@drover/worker";
import { type Cached, decodeQuestion } from "./cached.ts";
import {
  type ComputationFigures,
  type ComputationOptions,
  Computations,
  type Compute,
} from "./computation.ts";

export interface HandleCachedOptions extends ComputationOptions, HandleOptions {}

/**
 * Lets a worker compute a cached function. It stores what it has computed before the job completes, so that whoever asks
 * after that finds it; when it cannot be stored, the job completes all the same. What `compute` throws is remembered for a
 * moment, and told to all who wait.
 * @returns What it does, as numbers that go on counting.
 */
export function handleCached<In, InParsed, Out, OutParsed>(
  worker: Worker,
  cached: Cached<In, InParsed, Out, OutParsed>,
  compute: Compute<InParsed, Out>,
  options: HandleCachedOptions,
): Readonly<ComputationFigures> {
  const computations = new Computations(cached, options);
  worker.handle(
    cached.name,
    (job) => {
      const question = decodeQuestion(job.workload);
      const { signal, status, data } = job;
      return computations.answer(question, compute, { key: question.key, signal, status, data });
    },
    options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs },
  );
  return computations.figures;
}
