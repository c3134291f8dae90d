import type { BytesLike } from "@drover/client";

/** A job as its handler sees it. */
export interface WorkerJob<Input = Uint8Array> {
  /** The function's name. */
  readonly function: string;
  /** The job's name on its server. */
  readonly handle: string;
  /** Empty when it has none. */
  readonly unique: string;
  /** What the client sent. */
  readonly workload: Uint8Array;
  /** The workload, decoded and checked where the function was defined with types; else the same. */
  readonly input: Input;
  /** Which run of the job this is, from 1. Servers other than Drover do not tell: there it is always 1. */
  readonly attempt: number;
  /** Function that takes the results of a reduce job; empty otherwise. Drover only. */
  readonly reducer: string;
  /** W3C trace context of the client, if it sent one. Drover only. */
  readonly traceparent: string | undefined;
  /** What vendors have added to that. */
  readonly tracestate: string | undefined;
  /** Server that gave the job. */
  readonly server: string;
  /**
   * Aborts when nobody waits for the job any more, with a `JobAborted`: its timeout passed (`JOB_OVERDUE`), it was
   * cancelled (`JOB_CANCELLED`), its server is lost and gives it to another worker (`SERVER_GONE`), or the worker was
   * closed (`WORKER_CLOSED`).
   */
  readonly signal: AbortSignal;
  /** Tells the clients how far the job is: `numerator` of `denominator`. */
  status(numerator: number, denominator: number): void;
  /** Sends a part of the result. Resolves when more may be sent: at once, unless the server reads slowly. */
  data(chunk: BytesLike): Promise<void>;
  /** Sends a warning. Resolves as `data` does. */
  warning(chunk: BytesLike): Promise<void>;
}

/** What a handler may give back for a function named by a string: the result. Nothing means an empty one. */
export type HandlerResult = BytesLike | undefined;

/** Does a job. What it throws becomes the job's exception, unless it is a `JobFailure`. */
export type Handler<Input = Uint8Array, Output = HandlerResult> = (
  job: WorkerJob<Input>,
) => Output | Promise<Output>;

/** How a worker does the jobs of one function, whatever way it was registered. */
export interface FunctionHandler {
  /** Byte string. */
  readonly name: string;
  readonly timeoutMs: number;
  /** Resolves with the result's bytes. */
  run(job: Omit<WorkerJob, "input">): Promise<Uint8Array>;
}
