import { JobFailure, Worker, type WorkerJob, type WorkerOptions } from "@drover/worker";
import {
  type BuildRequest,
  checkRequest,
  ExecutorError,
  MAX_REQUEST_BYTES,
} from "../executor/build-request.ts";
import type { Executor } from "../executor/executor.ts";
import { type BuildNews, buildFunction, encodeNews, encodeOutput, resumeFunction } from "./build-messages.ts";

/** Builds that a gate's own executor may have paused at a time; the next one waits as if it ran. */
export const MAX_PAUSED_BUILDS = 100;

export interface BuildWorkerOptions extends Omit<WorkerOptions, "concurrency"> {
  readonly zone: string;
  /** Builds at a time. */
  readonly slots: number;
  /** Builds that may be paused besides. Default: 0. */
  readonly paused?: number;
}

/** How often a build tells which execution it is and what is new of it, for those who have joined late. */
const TELL_MS = 15_000;

/** What runs builds: an executor, or one that gets what it needs from a gate elsewhere. */
export type RunsBuilds = Pick<Executor, "run">;

/** A worker that runs builds. The caller calls its `run`, and closes it before the executor. */
export function buildWorker(
  executor: RunsBuilds,
  { zone, slots, paused = 0, ...options }: BuildWorkerOptions,
): Worker {
  const worker = new Worker({ clientId: `gate-executor-${zone}`, ...options, concurrency: slots + paused });
  acceptBuilds(worker, executor, zone, options);
  return worker;
}

/** Lets a worker take builds of a zone, until `refuseBuilds`. @param options Of a worker for each build that is paused. */
export function acceptBuilds(
  worker: Worker,
  executor: RunsBuilds,
  zone: string,
  options: WorkerOptions,
): void {
  worker.handle(buildFunction(zone), (job) => runBuild(executor, job, options));
}

/** Lets a worker take no more; those that run go on. */
export function refuseBuilds(worker: Worker, zone: string): void {
  worker.unhandle(buildFunction(zone));
}

async function runBuild(executor: RunsBuilds, job: WorkerJob, options: WorkerOptions): Promise<string> {
  const request = readRequest(job.workload);
  let telling: ReturnType<typeof setInterval> | undefined;
  let execution = "";
  let written = 0;
  let news: BuildNews = {};
  const over = new AbortController();
  const tell = () => {
    void job.data(encodeOutput(execution, { offset: written, bytes: new Uint8Array(0) }));
    if (Object.keys(news).length > 0) void job.data(encodeNews(execution, news));
  };
  try {
    const outcome = await executor.run(request, {
      signal: job.signal,
      onStart: (id) => {
        execution = id;
        tell();
        telling = setInterval(tell, TELL_MS);
      },
      onFailing: (failing) => {
        news = { ...news, failing };
        void job.data(encodeNews(execution, news));
      },
      onPaused: async (data) => {
        news = { ...news, paused: data };
        const resumed = untilResumed(execution, options, AbortSignal.any([job.signal, over.signal]));
        void job.data(encodeNews(execution, news));
        await resumed;
        const { paused: _, ...rest } = news;
        news = rest;
      },
      onOutput: (chunk) => {
        written = chunk.offset + chunk.bytes.length;
        return job.data(encodeOutput(execution, chunk));
      },
    });
    return JSON.stringify(outcome);
  } catch (error) {
    // Not its fault: the gate runs it again, if it still wants it.
    const isLost = error instanceof ExecutorError && error.code !== "BUILD_REQUEST_INVALID";
    throw isLost ? new JobFailure(error.message) : error;
  } finally {
    clearInterval(telling);
    over.abort();
  }
}

/** Waits until the function of this execution is called, as a worker of its own: the other may have its hands full. */
async function untilResumed(execution: string, options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const { onNotice: _, ...terms } = options;
  const control = new Worker({ ...terms, clientId: `gate-paused-${execution}`, concurrency: 1 });
  await new Promise<void>((resolve, reject) => {
    control.handle(resumeFunction(execution), () => {
      resolve();
      return "";
    });
    signal.addEventListener("abort", () => resolve(), { once: true });
    control.run().catch(reject);
  }).finally(() => control.close());
}

/** @throws ExecutorError `BUILD_REQUEST_INVALID` */
function readRequest(workload: Uint8Array): BuildRequest {
  if (workload.length > MAX_REQUEST_BYTES)
    throw new ExecutorError(
      "BUILD_REQUEST_INVALID",
      `it has ${workload.length} bytes, of at most ${MAX_REQUEST_BYTES}`,
    );
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(workload).toString());
  } catch (error) {
    throw new ExecutorError("BUILD_REQUEST_INVALID", (error as Error).message);
  }
  return checkRequest(value);
}
