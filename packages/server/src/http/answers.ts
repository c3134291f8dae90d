import { isUtf8 } from "node:buffer";
import type { ServerResponse } from "node:http";
import { byteString, bytesOf, textOfByteString } from "@drover/protocol";
import type { EndReason } from "@drover/transport";
import type { FastifyReply } from "fastify";
import type { FailReason } from "../core/index.ts";
import {
  type EventName,
  type EventWriter,
  type Members,
  Outgoing,
  PING_MS,
  payload,
} from "./event-writers.ts";
import { Problem, type ProblemDetails, sendProblem } from "./problems.ts";
import type { ReportHandlers } from "./reports.ts";

/* The forms in which what a job reports is answered. Each is told by `tellReport`, and calls `done` at its end. */

/** Up to here HTTP/1.1 is given a body as text, which Node writes in one piece with the header. */
const MAX_TEXT_BYTES = 4096;

/** What an answer is told about its job, and may ask of its peer. */
export interface AnswerContext {
  readonly reply: FastifyReply;
  /** Text of the unique, for people. */
  readonly unique: string;
  /** Identifies this start of the server. */
  readonly epoch: string;
  /** Whether the job was there before. */
  isCoalesced(handle: string): boolean;
  /** `traceparent` of the run, once it is known; empty before, and when the request had none. */
  readonly runTrace: string;
  /** Attempt that the job is in. */
  attempt(handle: string): number;
  /** The far end reads slowly: so many bytes are unsent. */
  slow(unsentBytes: number): void;
  drained(): void;
  /** An answer of so many bytes is about to be sent as a whole. */
  owe(bytes: number): void;
  /** The request is over; nothing more is to be told. */
  done(): void;
}

/** Fields that every answer about a job has. */
export function jobHeaders(context: AnswerContext, handle: string): Record<string, string> {
  const headers: Record<string, string> = {
    "gearman-handle": handle,
    "gearman-coalesced": context.isCoalesced(handle) ? "?1" : "?0",
    "gearman-server": context.epoch,
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  };
  if (context.runTrace !== "") headers.traceparent = context.runTrace;
  return headers;
}

/** The problem that an `ERROR` packet stands for. */
export function problemOfError(code: string, text: string): Problem {
  switch (code) {
    case "FORBIDDEN":
      return new Problem("forbidden", text);
    case "UNAUTHENTICATED":
      return new Problem("unauthenticated", text);
    case "RATE_LIMITED":
      return new Problem("rate-limited", text, { retryAfter: 1 });
    case "ARGUMENT_TOO_LARGE":
      return new Problem("too-large", text);
    case "JOB_NOT_FOUND":
      return new Problem("unknown-job", text);
    case "STATE_LOST":
      return new Problem("state-lost", `${text}: submit again with the same unique`);
    case "QUEUE_ERROR":
      return new Problem("queue-full", text, { retryAfter: 1 });
    default:
      return new Problem("bad-request", text);
  }
}

/** Why a job failed, as far as it did not say so itself. */
function problemOfFail(reason: string, details: ProblemDetails = {}): Problem {
  switch (reason as FailReason) {
    case "timed out":
      return new Problem("job-timeout", "the job took longer than its worker allows itself", details);
    case "deadline":
      return new Problem("job-timeout", "Gearman-Deadline passed before the job ended", details);
    case "worker lost":
      return new Problem("job-failed", "the job was given up: its workers were lost", details);
    case "cancelled":
      return new Problem("job-failed", "the job was cancelled", details);
    default:
      return new Problem("job-failed", "the worker reported that the job failed", details);
  }
}

/** The problem that the end of a connection by the server stands for. */
export function problemOfEnd(reason: EndReason): Problem {
  switch (reason) {
    case "unauthenticated":
      return new Problem("unauthenticated", "the token has ended");
    case "forbidden":
      return new Problem("forbidden", "the identity may not do this any more");
    case "limited":
      return new Problem("rate-limited", "a limit of the connection or its identity is reached", {
        retryAfter: 1,
      });
    default:
      return new Problem("draining", "the server stops", { retryAfter: 1 });
  }
}

/** Sends fields and begins a body that streams. */
export function begin(reply: FastifyReply, headers: Record<string, string>): ServerResponse {
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, Object.assign(headers, reply.getHeaders() as Record<string, string>));
  return response;
}

/**
 * The result alone, with a status that is true: nothing is sent before the end is known. Data is left out, unless it is to be
 * the body; then a failure cuts it, so that nobody takes a part for the whole.
 */
export class BodyAnswer implements ReportHandlers {
  readonly #context: AnswerContext;
  readonly #streamsData: boolean;
  #handle = "";
  #out: Outgoing | undefined;

  constructor(context: AnswerContext, streamsData: boolean) {
    this.#context = context;
    this.#streamsData = streamsData;
  }

  created(handle: string): void {
    this.#handle = handle;
  }

  data(bytes: Uint8Array): void {
    if (!this.#streamsData) return;
    const { reply } = this.#context;
    if (this.#out === undefined) {
      const headers = this.#headers();
      headers["content-type"] = "application/octet-stream";
      this.#out = new Outgoing(begin(reply, headers), () => this.#context.drained());
    }
    this.#context.slow(this.#out.write(bytes.slice()));
  }

  warning(): void {}

  status(): void {}

  restarted(): void {
    // What was sent belongs to a run that did not end.
    if (this.#out !== undefined) this.#cut();
  }

  complete(result: Uint8Array): void {
    const { reply } = this.#context;
    this.#context.owe(result.length);
    if (this.#out === undefined) {
      const headers = this.#headers();
      headers["content-type"] = "application/octet-stream";
      headers["content-length"] = String(result.length);
      begin(reply, headers);
    }
    // The bytes are lent, and a response keeps what it is given until it is sent.
    if (result.length <= MAX_TEXT_BYTES && reply.request.raw.httpVersionMajor === 1) {
      reply.raw.end(byteString(result, 0, result.length), "latin1");
    } else reply.raw.end(result.slice());
    this.#context.done();
  }

  fail(reason: string): void {
    this.#problem(problemOfFail(reason, this.#names()));
  }

  exception(bytes: Uint8Array): void {
    const { data, encoding } = payload(bytes);
    const details = { ...this.#names(), exception: data, ...(encoding === "base64" ? { encoding } : {}) };
    this.#problem(new Problem("job-exception", "the worker reported an exception", details));
  }

  refused(code: string, text: string): void {
    this.#problem(problemOfError(code, text));
  }

  #names() {
    const { unique } = this.#context;
    return { handle: this.#handle, ...(unique === "" ? {} : { unique }) };
  }

  #headers(): Record<string, string> {
    return jobHeaders(this.#context, this.#handle);
  }

  #problem(problem: Problem): void {
    if (this.#out !== undefined) {
      this.#cut();
      return;
    }
    if (this.#handle !== "") this.#context.reply.headers(this.#headers());
    sendProblem(this.#context.reply, problem);
    this.#context.done();
  }

  #cut(): void {
    this.#context.reply.raw.destroy();
    this.#context.done();
  }
}

/** What a stream that resumes has seen before: events of this attempt up to this number. */
export interface Seen {
  readonly attempt: number;
  readonly count: number;
}

/** Every report as an event, as it comes. */
export class EventAnswer implements ReportHandlers {
  readonly #context: AnswerContext;
  readonly #writer: EventWriter;
  readonly #seen: Seen | undefined;
  #handle = "";
  #attempt = 0;
  /** Data and warnings of this attempt so far: what a later comer is told again, so that numbers are the same for all. */
  #count = 0;
  #out: Outgoing | undefined;
  #pings: NodeJS.Timeout | undefined;

  constructor(context: AnswerContext, writer: EventWriter, seen?: Seen) {
    this.#context = context;
    this.#writer = writer;
    this.#seen = seen;
  }

  created(handle: string): void {
    const { reply, unique } = this.#context;
    this.#handle = handle;
    this.#attempt = this.#context.attempt(handle);
    const headers = { ...jobHeaders(this.#context, handle), "content-type": this.#writer.contentType };
    const response = begin(reply, headers);
    this.#out = new Outgoing(response, () => this.#context.drained());
    this.#pings = setInterval(() => this.#write(this.#writer.ping), PING_MS);
    response.once("close", () => clearInterval(this.#pings));
    this.#write(this.#writer.opening);
    const coalesced = this.#context.isCoalesced(handle);
    if (this.#seen === undefined) this.#event("created", { handle, unique, coalesced });
    else if (this.#seen.attempt !== this.#attempt) this.#event("restarted", { attempt: this.#attempt });
    if (this.#context.runTrace !== "") this.traced(this.#context.runTrace);
  }

  traced(traceparent: string): void {
    if (this.#out !== undefined) this.#event("trace", { traceparent });
  }

  data(bytes: Uint8Array): void {
    this.#counted("data", payload(bytes));
  }

  warning(bytes: Uint8Array): void {
    this.#counted("warning", payload(bytes));
  }

  status(numerator: string, denominator: string): void {
    this.#event("status", { numerator: Number(numerator), denominator: Number(denominator) });
  }

  restarted(attempt: string): void {
    this.#attempt = Number(attempt);
    this.#count = 0;
    this.#event("restarted", { attempt: this.#attempt });
  }

  complete(result: Uint8Array): void {
    this.#end("complete", payload(result));
  }

  fail(reason: string): void {
    this.#end("fail", { reason: problemOfFail(reason).problem });
  }

  exception(bytes: Uint8Array): void {
    this.#end("exception", payload(bytes));
  }

  refused(code: string, text: string): void {
    const problem = problemOfError(code, text);
    if (this.#out === undefined) {
      sendProblem(this.#context.reply, problem);
      this.#context.done();
    } else {
      this.#end("detached", { reason: problem.problem });
    }
  }

  /** The server lets go of the job's stream: the client is to come back. */
  detached(reason: string): void {
    if (this.#out !== undefined) this.#end("detached", { reason });
  }

  #counted(name: EventName, members: Members): void {
    this.#count++;
    const seen = this.#seen;
    if (seen !== undefined && seen.attempt === this.#attempt && this.#count <= seen.count) return;
    this.#event(name, members);
  }

  #event(name: EventName, members: Members): void {
    const id = `${this.#context.epoch}.${this.#handle}.${this.#attempt}.${this.#count}`;
    this.#write(this.#writer.event(name, members, id));
  }

  #end(name: EventName, members: Members): void {
    this.#event(name, members);
    clearInterval(this.#pings);
    this.#context.reply.raw.end();
    this.#context.done();
  }

  #write(text: string): void {
    if (text !== "") this.#context.slow(this.#out!.write(text));
  }
}

/** The number of events that the id of the last one seen tells, or null when it is of another start or job. */
export function seenOf(id: string, epoch: string, handle: string): Seen | null {
  const head = `${epoch}.${handle}.`;
  const rest = id.startsWith(head) ? id.slice(head.length) : "";
  const [, attempt, count] = /^(\d{1,9})\.(\d{1,9})$/.exec(rest) ?? [];
  return attempt === undefined ? null : { attempt: Number(attempt), count: Number(count) };
}

/** 202: the job goes on without this request. */
export function sendAccepted(
  context: AnswerContext,
  handle: string,
  headers: Record<string, string> = {},
): void {
  const { reply, unique } = context;
  reply
    .code(202)
    .headers({
      ...jobHeaders(context, handle),
      location: `/v1/jobs/${encodeURIComponent(handle)}`,
      ...headers,
    })
    .type("application/json")
    .send(JSON.stringify({ handle, unique, coalesced: context.isCoalesced(handle) }));
}

/** Text of a name for JSON: of its UTF-8 where it is that, else one character a byte. */
export function shownText(bytes: string): string {
  return isUtf8(bytesOf(bytes)) ? textOfByteString(bytes) : bytes;
}
