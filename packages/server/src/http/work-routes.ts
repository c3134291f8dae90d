import { randomBytes } from "node:crypto";
import {
  type AssignedJob,
  decodeBody,
  fixedSlots,
  isTraceparent,
  RES,
  WorkerSession,
} from "@drover/protocol";
import type { EndReason } from "@drover/transport";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { problemOfError, shownText } from "./answers.ts";
import { type EventWriter, eventWriter, Outgoing, PING_MS, payload } from "./event-writers.ts";
import { modeOf, one, prefer, seconds } from "./fields.ts";
import type { Gateway } from "./gateway.ts";
import { InProcessPeer } from "./in-process.ts";
import { Problem, sendProblem } from "./problems.ts";
import { functionName } from "./submissions.ts";

/* Workers over HTTP: a stream of jobs whose connection is the lease, and single jobs whose lease is a time. */

/** Jobs that a stream may have at a time. */
const MAX_CREDIT = 64;
/** Functions that one worker may name. */
const MAX_FUNCTIONS = 1_000;
const DEFAULT_LEASE_MS = 30_000;
const MAX_LEASE_S = 3_600;

/** The right to report on one run of a job. */
interface Lease {
  readonly id: string;
  readonly job: AssignedJob;
  readonly worker: HttpWorker;
}

/** What becomes of a worker. */
interface WorkerEvents {
  job(lease: Lease): void;
  /** Its job is not wanted any more. */
  cancel(lease: Lease): void;
  /** There is no job for it now. */
  asleep?(): void;
  /** The server has closed it. */
  closed(reason: EndReason): void;
  /** After `drain`: its last job is done. */
  drained?(): void;
  error(code: string, text: string): void;
}

/** A worker that reports by requests of their own. */
class HttpWorker {
  readonly #gateway: Gateway;
  readonly #leases: Leases;
  readonly #peer: InProcessPeer;
  readonly #session: WorkerSession;
  readonly #own = new Map<AssignedJob, Lease>();
  readonly #onJob: (lease: Lease) => void;
  readonly #onCancel: (lease: Lease) => void;
  /** Set where time is the lease. */
  #leaseMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(gateway: Gateway, leases: Leases, request: FastifyRequest, credit: number, on: WorkerEvents) {
    this.#gateway = gateway;
    this.#leases = leases;
    this.#onJob = on.job;
    this.#onCancel = on.cancel;
    this.#peer = new InProcessPeer(request.ip, {
      packet: (type, bytes, start, end) => {
        this.#session.receive(decodeBody(RES, type, bytes.slice(start, end), 0, end - start));
        if (this.#session.state === "asleep") on.asleep?.();
      },
      closed: (reason) => {
        this.end();
        on.closed(reason);
      },
    });
    this.#session = new WorkerSession(
      this.#peer,
      {
        assigned: (job) => this.#assigned(job),
        cancel: (job) => this.#cancelled(job),
        lateReport: () => {},
        error: ({ code, text }) => on.error(code, text),
        drained: () => on.drained?.(),
      },
      fixedSlots(credit),
    );
    gateway.open(this.#peer, request);
  }

  /** Begins to take jobs. */
  start(functions: readonly string[], clientId: string | undefined): void {
    const ignore = { answer() {}, refused() {}, lost() {} };
    this.#session.option("drover.1", ignore);
    if (clientId !== undefined) this.#session.setClientId(clientId);
    for (const name of functions) this.#session.canDo(name);
    this.#session.start({ extended: true });
  }

  /** From now on the jobs go back when nothing is heard for so long. */
  limit(leaseMs: number): void {
    this.#leaseMs = leaseMs;
    this.renew();
  }

  renew(): void {
    if (this.#leaseMs === undefined || this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), this.#leaseMs);
  }

  /** Takes no more jobs; those that run go on. */
  drain(): void {
    this.#session.drain();
  }

  slow(unsentBytes: number): void {
    if (unsentBytes > 0) this.#peer.unsentBytes = unsentBytes;
  }

  drained(): void {
    this.#peer.drained();
  }

  /** The jobs that are not done go to others. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const lease of this.#own.values()) this.#leases.delete(lease.id);
    this.#own.clear();
    this.#session.lost();
    this.#peer.close();
  }

  /** @throws Problem `lease-lost` when the job is not this worker's any more. */
  report(job: AssignedJob, report: Report): void {
    this.renew();
    const { core } = this.#gateway;
    const view = core.view(core.numberOf(job.handle));
    const isOwn = view?.state === "running" && String(view.attempts) === job.options.get("attempt");
    if (!isOwn) {
      this.#forget(job);
      this.#session.release(job);
      throw new Problem("lease-lost", "the job was given to another worker, timed out or was cancelled", {
        handle: job.handle,
      });
    }
    const session = this.#session;
    switch (report.what) {
      case "trace":
        session.trace(job, report.traceparent);
        return;
      case "data":
        session.data(job, report.bytes);
        return;
      case "warning":
        session.warning(job, report.bytes);
        return;
      case "status":
        session.status(job, report.numerator, report.denominator);
        return;
      case "complete":
        session.complete(job, report.bytes);
        break;
      case "fail":
        session.fail(job);
        break;
      case "exception":
        session.exception(job, report.bytes);
    }
    this.#forget(job);
    if (this.#leaseMs !== undefined && this.#own.size === 0) this.end();
  }

  #assigned(job: AssignedJob): void {
    const lease: Lease = { id: randomBytes(15).toString("base64url"), job, worker: this };
    this.#own.set(job, lease);
    this.#leases.set(lease.id, lease);
    this.#onJob(lease);
  }

  #cancelled(job: AssignedJob): void {
    const lease = this.#own.get(job);
    if (lease !== undefined) this.#onCancel(lease);
  }

  #forget(job: AssignedJob): void {
    const lease = this.#own.get(job);
    if (lease === undefined) return;
    this.#own.delete(job);
    this.#leases.delete(lease.id);
  }
}

type Leases = Map<string, Lease>;
/** Workers whose jobs come by a stream, by the secret name that it has. */
type Streams = Map<string, HttpWorker>;

type Report =
  | { readonly what: "data" | "warning" | "complete" | "exception"; readonly bytes: Uint8Array }
  | { readonly what: "status"; readonly numerator: number; readonly denominator: number }
  | { readonly what: "trace"; readonly traceparent: string }
  | { readonly what: "fail" };

/** `/v1/grab`, `/v1/leases` and `/v1/echo`. */
export function addWorkRoutes(app: FastifyInstance, gateway: Gateway): void {
  const leases: Leases = new Map();
  const streams: Streams = new Map();
  const leaseOf = (request: FastifyRequest): Lease => {
    const lease = leases.get((request.params as { lease: string }).lease);
    if (lease === undefined) throw new Problem("lease-lost", "the lease has ended, or there never was one");
    return lease;
  };
  app.post("/v1/tickets", (request, reply) => {
    reply
      .header("cache-control", "no-store")
      .send({ ticket: gateway.ticketFor(request), expiresInSeconds: 30 });
  });
  app.get("/v1/grab", (request, reply) => streamJobs(gateway, leases, streams, request, reply));
  app.delete("/v1/grab/:stream", (request, reply) => {
    const worker = streams.get((request.params as { stream: string }).stream);
    if (worker === undefined) throw new Problem("lease-lost", "the stream has ended, or there never was one");
    worker.drain();
    reply.code(204).send();
  });
  app.post("/v1/grab", (request, reply) => grabOne(gateway, leases, request, reply));
  app.post("/v1/echo", (request, reply) => {
    reply.header("cache-control", "no-store").type("application/octet-stream").send(bodyOf(request));
  });
  app.post("/v1/leases/:lease/:what", (request, reply) => {
    const { job, worker } = leaseOf(request);
    worker.report(job, reportOf((request.params as { what: string }).what, bodyOf(request)));
    reply.code(204).send();
  });
  app.post("/v1/leases/:lease", (request, reply) => {
    const { job, worker } = leaseOf(request);
    const reports = bodyOf(request)
      .toString("utf8")
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(reportOfLine);
    for (const report of reports) worker.report(job, report);
    if (reports.length === 0) worker.renew();
    reply.code(204).send();
  });
}

function streamJobs(
  gateway: Gateway,
  leases: Leases,
  streams: Streams,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  gateway.refuseWhileDraining();
  gateway.refuseGone(request);
  const mode = modeOf(one(request.headers, "accept"));
  if (mode === "packets")
    throw new Problem("not-acceptable", "jobs come as text/event-stream or application/x-ndjson");
  const writer: EventWriter = eventWriter(mode === "ndjson" ? "ndjson" : "sse");
  const functions = functionsOf(gateway, request);
  const credit = creditOf(request);
  const out = new Outgoing(reply.raw, () => worker.drained());
  const tell = (name: "job" | "cancel" | "detached", members: Record<string, string>) =>
    worker.slow(out.write(writer.event(name, members)));
  const worker = new HttpWorker(gateway, leases, request, credit, {
    job: (lease) => tell("job", shownJob(lease)),
    cancel: (lease) => tell("cancel", { handle: lease.job.handle, lease: lease.id }),
    error: (code, text) => tell("detached", { reason: `${code} ${text}` }),
    closed: (reason) => {
      tell("detached", { reason });
      reply.raw.end();
    },
    drained: () => reply.raw.end(),
  });
  const stream = randomBytes(15).toString("base64url");
  streams.set(stream, worker);
  reply.hijack();
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    "content-type": writer.contentType,
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "gearman-server": gateway.epoch,
    "gearman-stream": stream,
  });
  out.write(writer.opening === "" ? writer.ping : writer.opening);
  const pings = setInterval(() => worker.slow(out.write(writer.ping)), PING_MS);
  reply.raw.once("close", () => {
    clearInterval(pings);
    streams.delete(stream);
    worker.end();
  });
  worker.start(functions, clientIdOf(request));
}

function grabOne(gateway: Gateway, leases: Leases, request: FastifyRequest, reply: FastifyReply): void {
  gateway.refuseWhileDraining();
  gateway.refuseGone(request);
  const functions = functionsOf(gateway, request);
  const leaseMs = seconds(request.headers, "gearman-lease", MAX_LEASE_S) ?? DEFAULT_LEASE_MS;
  const { waitMs = 0 } = prefer(request.headers);
  const isRaw = one(request.headers, "accept") === "application/octet-stream";
  let isAnswered = false;
  const nothing = (): void => {
    if (isAnswered) return;
    isAnswered = true;
    worker.end();
    reply.code(204).header("cache-control", "no-store").send();
  };
  const worker = new HttpWorker(gateway, leases, request, 1, {
    job: (lease) => {
      isAnswered = true;
      clearTimeout(timer);
      worker.limit(Math.max(1_000, leaseMs));
      worker.drain();
      const headers = {
        "cache-control": "no-store",
        "gearman-handle": lease.job.handle,
        "gearman-lease": lease.id,
      };
      reply.headers(headers);
      gateway.owe(request, reply, lease.job.workload.length);
      if (isRaw) reply.type("application/octet-stream").send(Buffer.from(lease.job.workload));
      else reply.send(shownJob(lease));
    },
    cancel: () => {},
    asleep: () => {
      if (waitMs === 0) nothing();
    },
    error: (code, text) => {
      if (isAnswered) return;
      isAnswered = true;
      clearTimeout(timer);
      worker.end();
      sendProblem(reply, problemOfError(code, text));
    },
    closed: nothing,
  });
  const timer = waitMs === 0 ? undefined : setTimeout(nothing, waitMs);
  reply.raw.once("close", () => {
    // A client that left before its job came must not have one.
    if (!isAnswered) {
      isAnswered = true;
      clearTimeout(timer);
      worker.end();
    }
  });
  worker.start(functions, clientIdOf(request));
}

function shownJob({ id, job }: Lease): Record<string, string> {
  const told = ["reducer", "traceparent", "tracestate", "links"].flatMap((name) => {
    const value = job.options.get(name);
    return value === undefined ? [] : [[name, shownText(value)]];
  });
  return {
    handle: job.handle,
    function: shownText(job.function),
    unique: shownText(job.unique),
    lease: id,
    attempt: job.options.get("attempt") ?? "1",
    ...Object.fromEntries(told),
    ...payload(job.workload),
  };
}

function functionsOf(gateway: Gateway, request: FastifyRequest): string[] {
  const { function: given } = request.query as { function?: string | string[] };
  const names = given === undefined ? [] : Array.isArray(given) ? given : [given];
  if (names.length === 0)
    throw new Problem("bad-function", "name functions as ?function=NAME, which may be repeated");
  if (names.length > MAX_FUNCTIONS)
    throw new Problem("bad-function", `a worker names ${MAX_FUNCTIONS} functions at most`);
  return names.map((text) => {
    const name = functionName(text);
    // Before a stream begins with a status that would say otherwise.
    gateway.requireWork(request, name);
    return name;
  });
}

function creditOf(request: FastifyRequest): number {
  const { credit = "1" } = request.query as { credit?: string };
  const value = Number(credit);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CREDIT) return value;
  throw new Problem("bad-request", `credit takes a whole number from 1 to ${MAX_CREDIT}`);
}

function clientIdOf(request: FastifyRequest): string | undefined {
  const { client } = request.query as { client?: string };
  return client === undefined || client === "" ? undefined : functionName(client);
}

function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function reportOf(what: string, body: Buffer): Report {
  switch (what) {
    case "data":
    case "warning":
    case "complete":
    case "exception":
      return { what, bytes: body };
    case "fail":
      return { what };
    case "trace": {
      const traceparent = body.toString("latin1");
      if (isTraceparent(traceparent)) return { what, traceparent };
      throw new Problem("bad-request", "a trace is a traceparent of W3C's Trace Context");
    }
    case "status": {
      const [, numerator, denominator] =
        /^\s*(\d{1,10})\s*\/\s*(\d{1,10})\s*$/.exec(body.toString("latin1")) ?? [];
      if (numerator === undefined) throw new Problem("bad-request", "a status is two numbers such as 3/10");
      return { what, numerator: Number(numerator), denominator: Number(denominator) };
    }
    default:
      throw new Problem(
        "not-found",
        "reports are data, warning, status, trace, complete, fail and exception",
      );
  }
}

/** One report of several: `{"report":"data","data":"…","encoding":"base64"}`. */
function reportOfLine(line: string): Report {
  let parsed: {
    report?: unknown;
    data?: unknown;
    encoding?: unknown;
    numerator?: unknown;
    denominator?: unknown;
  };
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch {
    throw new Problem("bad-request", "each line of the body is a JSON object");
  }
  const { report, data, encoding, numerator, denominator } = parsed ?? {};
  if (report === "status")
    return reportOf("status", Buffer.from(`${String(numerator)}/${String(denominator)}`));
  if (typeof report !== "string") throw new Problem("bad-request", "each line has a report");
  if (data !== undefined && typeof data !== "string") throw new Problem("bad-request", "data is text");
  return reportOf(report, Buffer.from(data ?? "", encoding === "base64" ? "base64" : "utf8"));
}
