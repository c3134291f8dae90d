import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { JobAborted, JobFailure, type WorkerErrorCode } from "./errors.ts";
import type { Handler, WorkerJob } from "./job.ts";
import type { FromThread, ThreadJob, ToThread } from "./threads.ts";

/* Runs in each thread of a `ThreadPool`: one job at a time, on behalf of the handler that the module exports. */

const port = parentPort!;
const { module } = workerData as { module: string };
const target = isAbsolute(module) ? pathToFileURL(module).href : module;
const loaded = import(target) as Promise<{ default?: Handler<unknown, unknown> }>;

const send = (message: FromThread) => port.postMessage(message);

let controller = new AbortController();
const writing = new Map<number, () => void>();
let calls = 0;

function write(what: "data" | "warning", chunk: string | Uint8Array): Promise<void> {
  const call = ++calls;
  send({ type: "write", what, chunk, call });
  return new Promise((resolve) => writing.set(call, resolve));
}

async function run(job: ThreadJob): Promise<void> {
  controller = new AbortController();
  const facade: WorkerJob<unknown> = {
    ...job,
    signal: controller.signal,
    status: (numerator, denominator) => send({ type: "status", numerator, denominator }),
    data: (chunk) => write("data", chunk),
    warning: (chunk) => write("warning", chunk),
  };
  try {
    const { default: handler } = await loaded;
    if (typeof handler !== "function") throw new Error(`${module} has no function as its default export`);
    send({ type: "result", value: await handler(facade) });
  } catch (error) {
    const failure =
      error instanceof JobFailure || (error as { name?: unknown } | null)?.name === "JobFailure";
    try {
      send({ type: "error", error, failure });
    } catch {
      // It holds what cannot be cloned.
      send({ type: "error", error: new Error((error as Error).message), failure });
    }
  }
}

port.on("message", (message: ToThread) => {
  if (message.type === "run") void run(message.job);
  else if (message.type === "abort") {
    controller.abort(new JobAborted(message.code as WorkerErrorCode, message.message));
  } else {
    writing.get(message.call)?.();
    writing.delete(message.call);
  }
});
