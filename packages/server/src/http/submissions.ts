import {
  byteString,
  byteStringOfText,
  encodeOptions,
  encodePacket,
  HEADER_BYTES,
  indexOfNul,
  PacketType,
  REQ,
  RES,
  writeHeader,
} from "@drover/protocol";
import type { EndReason } from "@drover/transport";
import type { FastifyReply, FastifyRequest } from "fastify";
import {
  type AnswerContext,
  BodyAnswer,
  EventAnswer,
  jobHeaders,
  problemOfEnd,
  problemOfError,
  seenOf,
  sendAccepted,
  shownText,
} from "./answers.ts";
import { eventWriter, Outgoing } from "./event-writers.ts";
import { type Mode, modeOf, one, type SubmissionFields, submissionFields } from "./fields.ts";
import type { Gateway } from "./gateway.ts";
import { InProcessPeer } from "./in-process.ts";
import { Problem, sendProblem } from "./problems.ts";
import { type ReportHandlers, tellReport } from "./reports.ts";

/** `POST /v1/functions/{fn}/jobs` */
export function submit(gateway: Gateway, request: FastifyRequest, reply: FastifyReply): void {
  const { fn } = request.params as { fn: string };
  const fields = submissionFields(request.headers);
  const mode = modeOf(one(request.headers, "accept"));
  const name = functionName(fn);
  gateway.refuseWhileDraining();
  gateway.refuseGone(request);
  const { core } = gateway;
  if (fields.requiresWorker || fields.rejectsConflict) gateway.requireSubmit(request, name);
  if (fields.requiresWorker && !core.hasWorker(name)) {
    throw new Problem("no-worker", `no worker can do ${fn} now`, { retryAfter: 5 });
  }
  if (fields.rejectsConflict) {
    const found = core.viewUnique(name, fields.unique);
    if (found !== null && found.endedMs === 0) {
      const problem = found.state === "running" ? "already-running" : "unique-conflict";
      throw new Problem(problem, "there is a job of this unique", { handle: found.handle });
    }
  }
  const exchange = new Exchange(gateway, request, reply, shownText(fields.unique));
  const packet = encodePacket(
    REQ,
    PacketType.SUBMIT_JOB_EXT,
    [name, fields.unique, optionsOf(fields)],
    body(request),
  );
  const answer = fields.isBackground
    ? new AcceptedAnswer(exchange)
    : answerIn(mode, exchange, (request.query as { data?: string }).data === "concat");
  exchange.begin(packet, answer);
  if (fields.waitMs !== undefined && !fields.isBackground) exchange.limitWait(fields.waitMs);
}

/** `GET /v1/jobs/{handle}/events` and the same of a unique. */
export function attach(
  gateway: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  handle: string,
  unique: string,
): void {
  const accept = one(request.headers, "accept");
  const found = modeOf(accept);
  const mode = found === "body" ? "sse" : found;
  gateway.refuseWhileDraining();
  gateway.refuseGone(request);
  const lastId = one(request.headers, "last-event-id");
  const seen = lastId === undefined || lastId === "" ? undefined : seenOf(lastId, gateway.epoch, handle);
  if (seen === null) {
    throw new Problem(
      "state-lost",
      "the event is of another start of the server: submit again with the same unique",
    );
  }
  const exchange = new Exchange(gateway, request, reply, shownText(unique));
  const answer =
    mode === "packets" ? new PacketAnswer(exchange) : new EventAnswer(exchange, eventWriter(mode), seen);
  exchange.begin(encodePacket(REQ, PacketType.ATTACH, [handle]), answer);
}

function answerIn(mode: Mode, exchange: Exchange, streamsData: boolean): Answer {
  if (mode === "packets") return new PacketAnswer(exchange);
  return mode === "body"
    ? new BodyAnswer(exchange, streamsData)
    : new EventAnswer(exchange, eventWriter(mode));
}

function optionsOf(fields: SubmissionFields): string {
  const { priority, isBackground, atMs, lingerMs, deadlineMs, keep, waitMs, traceparent, tracestate } =
    fields;
  const { reducer, rerunIfActive } = fields;
  return encodeOptions({
    priority: priority === "normal" ? undefined : priority,
    background: isBackground ? "1" : undefined,
    at: atMs === undefined ? undefined : String(atMs),
    linger: lingerMs === undefined ? undefined : String(lingerMs),
    deadline: deadlineMs === undefined ? undefined : String(deadlineMs),
    // What goes on after the wait must outlive this request.
    keep: keep || waitMs !== undefined ? "1" : undefined,
    reducer,
    rerunIfActive: rerunIfActive ? "1" : undefined,
    traceparent,
    tracestate,
  });
}

/** @returns the byte string of a function's name. @throws Problem `bad-function` */
export function functionName(text: string): string {
  const name = byteStringOfText(text);
  if (name === "") throw new Problem("bad-function", "a function has a name");
  if (name.includes("\0")) throw new Problem("bad-function", "no function's name has a NUL");
  return name;
}

function body(request: FastifyRequest): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
}

/** Told packets rather than reports, where a form has no use for them. */
interface RawAnswer {
  packet(type: number, bytes: Uint8Array, start: number, end: number): void;
}

type Answer = ReportHandlers | RawAnswer;

/** One request and the peer of the job server that it is. */
class Exchange implements AnswerContext {
  readonly reply: FastifyReply;
  readonly unique: string;
  readonly #gateway: Gateway;
  readonly #peer: InProcessPeer;
  /** The first number that a job gets which is not there yet. */
  readonly #firstNew: number;
  #answer!: Answer;
  /** `traceparent` of the run, once it is known. */
  runTrace = "";
  #handle = "";
  #isDone = false;
  #waitTimer: NodeJS.Timeout | undefined;

  constructor(gateway: Gateway, request: FastifyRequest, reply: FastifyReply, unique: string) {
    this.#gateway = gateway;
    this.reply = reply;
    this.unique = unique;
    this.#firstNew = gateway.core.nextJobNumber;
    this.#peer = new InProcessPeer(request.ip, {
      packet: (type, bytes, start, end) => this.#packet(type, bytes, start, end),
      closed: (reason) => this.#closed(reason),
    });
    gateway.open(this.#peer, request, true);
    // Whether the client is gone or all is sent: both end what this peer is for.
    reply.raw.once("close", () => this.#clientGone());
  }

  get epoch(): string {
    return this.#gateway.epoch;
  }

  begin(packet: Uint8Array, answer: Answer): void {
    this.#answer = answer;
    this.#peer.write(packet);
  }

  /** Answers without the end of the job when it takes longer. */
  limitWait(ms: number): void {
    if (this.#isDone) return;
    this.#waitTimer = setTimeout(() => {
      if (this.#handle === "" || this.#isDone || this.reply.sent) return;
      sendAccepted(this, this.#handle, { "preference-applied": `wait=${ms / 1000}` });
      this.done();
    }, ms);
  }

  isCoalesced(handle: string): boolean {
    const number = this.#gateway.core.numberOf(handle);
    return number >= 0 && number < this.#firstNew;
  }

  attempt(handle: string): number {
    const { core } = this.#gateway;
    return Math.max(1, core.view(core.numberOf(handle))?.attempts ?? 1);
  }

  slow(unsentBytes: number): void {
    if (unsentBytes > 0) this.#peer.unsentBytes = unsentBytes;
  }

  drained(): void {
    this.#peer.drained();
  }

  owe(bytes: number): void {
    this.#gateway.owe(this.reply.request, this.reply, bytes);
  }

  done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#waitTimer);
    this.#peer.close();
  }

  #packet(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#isDone) return;
    const answer = this.#answer;
    if (type === PacketType.JOB_TRACE) {
      this.runTrace = lastWord(bytes, start, end);
      if (this.runTrace !== "" && !("packet" in answer)) answer.traced?.(this.runTrace);
      return;
    }
    if ("packet" in answer) {
      answer.packet(type, bytes, start, end);
      return;
    }
    tellReport(answer, type, bytes, start, end);
    if (type === PacketType.JOB_CREATED) this.#handle = this.#handleOf(bytes, start, end);
  }

  #handleOf(bytes: Uint8Array, start: number, end: number): string {
    return byteString(bytes, start, end);
  }

  /** The job server has closed the peer: it stops, the client read too slowly, or its token has ended. */
  #closed(reason: EndReason): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#waitTimer);
    const { reply } = this;
    if (this.#answer instanceof EventAnswer) this.#answer.detached(reason);
    if (!reply.raw.headersSent) sendProblem(reply, problemOfEnd(reason));
    else if (!reply.raw.writableEnded) reply.raw.destroy();
  }

  #clientGone(): void {
    this.done();
  }
}

function lastWord(bytes: Uint8Array, start: number, end: number): string {
  const text = byteString(bytes, start, end);
  return text.slice(text.lastIndexOf("\0") + 1);
}

/** 202 as soon as the job is acknowledged. */
class AcceptedAnswer implements RawAnswer {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  packet(type: number, bytes: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    tellReport(
      {
        ...SILENT,
        created: (handle) => sendAccepted(exchange, handle),
        refused: (code, text) => sendProblem(exchange.reply, problemOfError(code, text)),
      },
      type,
      bytes,
      start,
      end,
    );
    exchange.done();
  }
}

const SILENT: ReportHandlers = {
  created() {},
  data() {},
  warning() {},
  status() {},
  restarted() {},
  complete() {},
  fail() {},
  exception() {},
  refused() {},
};

/** The response packets of Gearman as they are. */
class PacketAnswer implements RawAnswer {
  readonly #exchange: Exchange;
  #out: Outgoing | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  packet(type: number, bytes: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    const { reply } = exchange;
    if (type === PacketType.WORK_FAIL) {
      // Gearman's own has no reason.
      const nul = indexOfNul(bytes, start, end);
      if (nul >= 0) end = nul;
    }
    if (this.#out === undefined) {
      if (type === PacketType.ERROR) {
        tellReport(
          { ...SILENT, refused: (code, text) => sendProblem(reply, problemOfError(code, text)) },
          type,
          bytes,
          start,
          end,
        );
        exchange.done();
        return;
      }
      const handle = byteString(bytes, start, end);
      reply.hijack();
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        ...jobHeaders(exchange, handle),
        "content-type": "application/vnd.gearman",
      });
      this.#out = new Outgoing(reply.raw, () => exchange.drained());
    }
    const packet = new Uint8Array(HEADER_BYTES + end - start);
    writeHeader(packet, 0, RES, type, end - start);
    packet.set(bytes.subarray(start, end), HEADER_BYTES);
    exchange.slow(this.#out.write(packet));
    if (ENDS.has(type)) {
      reply.raw.end();
      exchange.done();
    }
  }
}

const ENDS: ReadonlySet<number> = new Set([
  PacketType.WORK_COMPLETE,
  PacketType.WORK_FAIL,
  PacketType.WORK_EXCEPTION,
  PacketType.ERROR,
]);
