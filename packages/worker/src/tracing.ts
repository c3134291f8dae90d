import {
  endFailed,
  type Span,
  SpanKind,
  spanContextOf,
  type TraceContext,
  type Tracing,
  traceparentOf,
} from "@drover/client";
import { type AssignedJob, textOfByteString } from "@drover/protocol";
import { JobFailure } from "./errors.ts";

/** The span of one run: under the submission that made its job, linked to those that joined before it began. */
export class RunSpan {
  /** Undefined when nothing records it. */
  readonly traceparent: string | undefined;
  readonly #tracing: Tracing;
  readonly #context: TraceContext;
  readonly #span: Span;

  constructor(tracing: Tracing, { function: fn, handle, unique, options }: AssignedJob) {
    const name = textOfByteString(fn);
    const parent = spanContextOf(options.get("traceparent") ?? "");
    const links = (options.get("links") ?? "").split(",").flatMap((link) => {
      const context = spanContextOf(link);
      return context === undefined ? [] : [{ context }];
    });
    const { ROOT_CONTEXT: root, trace } = tracing;
    const traceState = tracing.createTraceState(options.get("tracestate"));
    const above = parent === undefined ? root : trace.setSpanContext(root, { ...parent, traceState });
    const attributes = {
      "messaging.system": "gearman",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": name,
      "messaging.message.id": handle,
      ...(unique === "" ? {} : { "drover.job.unique": textOfByteString(unique) }),
      "drover.job.attempt": Number(options.get("attempt") ?? 1),
    };
    this.#tracing = tracing;
    this.#span = trace
      .getTracer("@drover/worker")
      .startSpan(`process ${name}`, { kind: SpanKind.CONSUMER, attributes, links }, above);
    this.#context = trace.setSpan(above, this.#span);
    this.traceparent = traceparentOf(this.#span.spanContext());
  }

  /** Calls `work` with the span active. */
  around<T>(work: () => T): T {
    return this.#tracing.context.with(this.#context, work);
  }

  completed(): void {
    this.#span.end();
  }

  failed(type: string, message: string): void {
    endFailed(this.#span, type, message);
  }

  threw(error: unknown): void {
    if (error instanceof JobFailure) this.failed("JOB_FAILED", error.message);
    else if (error instanceof Error)
      this.failed("code" in error ? String(error.code) : error.name, error.message);
    else this.failed("JOB_EXCEPTION", String(error));
  }
}
