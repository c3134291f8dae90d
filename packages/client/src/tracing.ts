import { isTraceparent, type JobTrace, textOfByteString } from "@drover/protocol";
import type { TerminalEvent } from "./feed.ts";

/*
 * The part of `@opentelemetry/api` (1.9 or newer) that is used. It is passed in, `tracing: api`, rather than imported:
 * the module keeps the program's tracer provider, so it has to be the program's own, and who does not trace needs none.
 */

export interface Tracing {
  readonly trace: {
    getTracer(name: string): Tracer;
    setSpan(context: TraceContext, span: Span): TraceContext;
    setSpanContext(context: TraceContext, spanContext: SpanContext): TraceContext;
  };
  readonly context: {
    active(): TraceContext;
    with<T>(context: TraceContext, work: () => T): T;
  };
  readonly ROOT_CONTEXT: TraceContext;
  createTraceState(text?: string): TraceState;
}

export interface TraceContext {
  getValue(key: symbol): unknown;
}

/** What a `tracestate` says. */
export interface TraceState {
  get(key: string): string | undefined;
  set(key: string, value: string): TraceState;
  unset(key: string): TraceState;
  serialize(): string;
}

export interface SpanContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
  readonly traceState?: TraceState;
}

export interface Span {
  spanContext(): SpanContext;
  setAttributes(attributes: SpanAttributes): unknown;
  addLink(link: { context: SpanContext }): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

export type SpanAttributes = { [name: string]: string | number | boolean };

export interface Tracer {
  startSpan(
    name: string,
    options: { kind: number; attributes: SpanAttributes; links?: { context: SpanContext }[] },
    context?: TraceContext,
  ): Span;
}

/** `SpanKind` of OpenTelemetry. */
export const SpanKind = { CLIENT: 2, PRODUCER: 3, CONSUMER: 4 } as const;

/** `SpanStatusCode.ERROR` of OpenTelemetry. */
const STATUS_ERROR = 2;

/** @returns a `traceparent` (version 00) of W3C's Trace Context, or undefined for the context of a span that nothing records. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string | undefined {
  const text = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  return isTraceparent(text) ? text : undefined;
}

/** @returns undefined for what is no `traceparent`. */
export function spanContextOf(traceparent: string): SpanContext | undefined {
  if (!isTraceparent(traceparent)) return undefined;
  const [, traceId, spanId, flags] = traceparent.split("-");
  return { traceId: traceId!, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16), isRemote: true };
}

/** Ends a span as one of something that failed. */
export function endFailed(span: Span, type: string, message: string): void {
  span.setAttributes({ "error.type": type });
  span.setStatus({ code: STATUS_ERROR, message });
  span.end();
}

/** What a span is about. Names are byte strings. */
export interface TracedSubmission {
  readonly function: string;
  readonly unique: string;
  readonly background: boolean;
}

/** The span of one submission, from the call to its end: a foreground one's is the job's, a background one's its `JOB_CREATED`. */
export class SubmissionSpan {
  /** What the worker is told; without a `traceparent` when nothing records it. */
  readonly trace: { readonly traceparent: string | undefined; readonly tracestate: string | undefined };
  readonly #span: Span;
  #linkedRun = "";

  /** @param parent The context that was active in the caller. */
  constructor(
    tracing: Tracing,
    { function: fn, unique, background }: TracedSubmission,
    parent: TraceContext,
  ) {
    const name = textOfByteString(fn);
    const kind = background ? SpanKind.PRODUCER : SpanKind.CLIENT;
    const attributes = {
      "messaging.system": "gearman",
      "messaging.operation.name": "submit",
      "messaging.operation.type": "send",
      "messaging.destination.name": name,
      ...(unique === "" ? {} : { "drover.job.unique": textOfByteString(unique) }),
      "drover.job.coalesced": false,
    };
    this.#span = tracing.trace
      .getTracer("@drover/client")
      .startSpan(`submit ${name}`, { kind, attributes }, parent);
    const context = this.#span.spanContext();
    this.trace = { traceparent: traceparentOf(context), tracestate: context.traceState?.serialize() };
  }

  created(handle: string): void {
    this.#span.setAttributes({ "messaging.message.id": handle });
  }

  /** It shares a job that another submission made. */
  coalesced(): void {
    this.#span.setAttributes({ "drover.job.coalesced": true });
  }

  traced({ first, run }: JobTrace): void {
    if (first !== this.trace.traceparent) this.coalesced();
    const context = run === this.#linkedRun ? undefined : spanContextOf(run);
    if (context === undefined) return;
    this.#linkedRun = run;
    this.#span.addLink({ context });
  }

  ended(end: TerminalEvent | Error | undefined): void {
    if (end instanceof Error) endFailed(this.#span, "code" in end ? String(end.code) : end.name, end.message);
    else if (end?.type === "fail") endFailed(this.#span, "JOB_FAILED", "the job failed");
    else if (end?.type === "exception") endFailed(this.#span, "JOB_EXCEPTION", "the job threw");
    else this.#span.end();
  }
}
