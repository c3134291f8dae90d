import { type BytesLike, type Tracing, toBytes } from "@drover/client";
import { type AssignedJob, textOfByteString, type WorkerSession } from "@drover/protocol";
import { loadTracing } from "#platform";
import { JobAborted, JobFailure, type WorkerErrorCode } from "./errors.ts";
import type { FunctionHandler, WorkerJob } from "./job.ts";

/** Where a run reports to: the connection that gave the job. After its loss the session takes everything and does nothing. */
export interface Reports {
  readonly server: string;
  readonly session: WorkerSession;
  /** Resolves when the server has taken enough; undefined while it keeps up. */
  writable(): Promise<void> | undefined;
}

/** One run of a job: calls its handler, passes on its reports, and ends it in one way. */
export class Run {
  readonly job: AssignedJob;
  readonly ended: Promise<void>;
  readonly #reports: Reports;
  readonly #controller = new AbortController();

  constructor(
    job: AssignedJob,
    handler: FunctionHandler | undefined,
    reports: Reports,
    exceptionText: (error: unknown) => string,
    tracing: Tracing | undefined,
  ) {
    this.job = job;
    this.#reports = reports;
    this.ended = this.#do(handler, exceptionText, tracing);
  }

  abort(code: WorkerErrorCode, detail: string): void {
    this.#controller.abort(new JobAborted(code, detail));
  }

  async #do(
    handler: FunctionHandler | undefined,
    exceptionText: (error: unknown) => string,
    tracing: Tracing | undefined,
  ): Promise<void> {
    const { job } = this;
    const { session } = this.#reports;
    const spans = tracing === undefined ? undefined : await loadTracing();
    const span = tracing === undefined || spans === undefined ? undefined : new spans.RunSpan(tracing, job);
    if (span?.traceparent !== undefined) session.trace(job, span.traceparent);
    if (handler === undefined) {
      span?.failed("HANDLER_MISSING", "this worker does not do the function");
      // A server's mistake, but the client should not wait for it.
      session.exception(job, toBytes("HANDLER_MISSING: this worker does not do the function"));
      return;
    }
    const timer = this.#deadline(handler.timeoutMs);
    try {
      const run = () => handler.run(this.#facade());
      const result = await (span === undefined ? run() : span.around(run));
      span?.completed();
      session.complete(job, result);
    } catch (error) {
      span?.threw(this.#controller.signal.aborted ? this.#controller.signal.reason : error);
      // Once it was aborted, what is thrown says no more than that: nobody needs to read it.
      if (error instanceof JobFailure || this.#controller.signal.aborted) session.fail(job);
      else session.exception(job, toBytes(exceptionText(error)));
    } finally {
      clearTimeout(timer);
    }
  }

  #deadline(timeoutMs: number): ReturnType<typeof setTimeout> | undefined {
    if (timeoutMs === 0) return undefined;
    return setTimeout(() => this.abort("JOB_OVERDUE", `the job took more than ${timeoutMs} ms`), timeoutMs);
  }

  #facade(): Omit<WorkerJob, "input"> {
    const { job } = this;
    const { server, session } = this.#reports;
    const written = (): Promise<void> => this.#reports.writable() ?? Promise.resolve();
    return {
      function: textOfByteString(job.function),
      handle: job.handle,
      unique: textOfByteString(job.unique),
      workload: job.workload,
      attempt: Number(job.options.get("attempt") ?? 1),
      reducer: textOfByteString(job.reducer),
      traceparent: job.options.get("traceparent"),
      tracestate: job.options.get("tracestate"),
      server,
      signal: this.#controller.signal,
      status: (numerator, denominator) => {
        session.status(job, numerator, denominator);
      },
      data: (chunk: BytesLike) => {
        session.data(job, toBytes(chunk));
        return written();
      },
      warning: (chunk: BytesLike) => {
        session.warning(job, toBytes(chunk));
        return written();
      },
    };
  }
}
