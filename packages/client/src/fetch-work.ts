import {
  byteString,
  byteStringOfText,
  bytesOf,
  encodeOptions,
  type Packet,
  PacketType,
  textOfByteString,
} from "@drover/protocol";
import { TransportError } from "@drover/transport";
import { type Answer, answerOf, type FetchLink } from "./fetch-link.ts";
import { base64, HttpProblem, payloadOf, type StreamEvent } from "./http-api.ts";

/*
 * The worker's half of a connection by requests: jobs come by one stream, whose connection is the lease, and reports leave
 * by requests of their own, one at a time for each job.
 */

/** Jobs that the server gives to one stream at a time, at most. */
const MAX_CREDIT = 64;
/** Of reports that leave together. */
const MAX_BATCH_BYTES = 1_048_576;

/** A job that came by the stream. */
interface Lease {
  readonly id: string;
  readonly job: StreamEvent;
  reports: Report[];
  isSending: boolean;
}

interface Report {
  readonly what: string;
  readonly body: Uint8Array;
}

interface JobStream {
  /** Functions that it brings jobs of. */
  readonly functions: string;
  /** How the server calls it, once it has answered. */
  name: string | undefined;
  isDraining: boolean;
}

const REPORTS: Readonly<Record<number, string | undefined>> = {
  [PacketType.WORK_DATA]: "data",
  [PacketType.WORK_WARNING]: "warning",
  [PacketType.WORK_STATUS]: "status",
  [PacketType.WORK_TRACE]: "trace",
  [PacketType.WORK_COMPLETE]: "complete",
  [PacketType.WORK_FAIL]: "fail",
  [PacketType.WORK_EXCEPTION]: "exception",
};

const ENDS = new Set(["complete", "fail", "exception"]);

export class FetchWork {
  readonly #link: FetchLink;
  readonly #credit: number;
  readonly #functions = new Set<string>();
  /** Jobs that came and are not assigned yet. */
  readonly #ready: Lease[] = [];
  /** Jobs that are assigned, by handle: the newest run of each. */
  readonly #running = new Map<string, Lease>();
  #clientId = "";
  /** The worker has asked for jobs. */
  #started = false;
  #asleep = false;
  #stream: JobStream | undefined;
  #adjusting = false;

  constructor(link: FetchLink, slots: number) {
    this.#link = link;
    this.#credit = Math.min(slots, MAX_CREDIT);
  }

  /** @returns false when the packet is for somebody else. */
  take({ type, args, data }: Packet): boolean {
    const what = REPORTS[type];
    if (what !== undefined) {
      const [handle, ...rest] = args;
      // A status is two numbers, a trace one text.
      const body = rest.length > 0 ? bytesOf(rest.join("/")) : data;
      this.#report(handle!, { what, body });
      return true;
    }
    switch (type) {
      case PacketType.CAN_DO:
      // Its timeout is kept by the worker itself.
      case PacketType.CAN_DO_TIMEOUT:
        this.#functions.add(args[0]!);
        this.#adjustSoon();
        return true;
      case PacketType.CANT_DO:
        this.#functions.delete(args[0]!);
        this.#adjustSoon();
        return true;
      case PacketType.RESET_ABILITIES:
        this.#functions.clear();
        this.#adjustSoon();
        return true;
      case PacketType.SET_CLIENT_ID:
        this.#clientId = args[0]!;
        return true;
      case PacketType.GRAB_JOB:
      case PacketType.GRAB_JOB_UNIQ:
      case PacketType.GRAB_JOB_ALL:
        this.#grab(type);
        return true;
      case PacketType.PRE_SLEEP:
        this.#asleep = true;
        if (this.#ready.length > 0) this.#wake();
        return true;
      default:
        return false;
    }
  }

  #grab(type: number): void {
    if (!this.#started) {
      this.#started = true;
      this.#adjustSoon();
    }
    this.#asleep = false;
    const lease = this.#ready.shift();
    if (lease === undefined) {
      void this.#link.answer([PacketType.NO_JOB, []]);
      return;
    }
    this.#running.set(lease.job.handle!, lease);
    void this.#link.answer(assignment(type, lease.job));
  }

  #wake(): void {
    this.#asleep = false;
    this.#link.tell(PacketType.NOOP, []);
  }

  /** Once for all that this turn changes. */
  #adjustSoon(): void {
    if (this.#adjusting || !this.#started) return;
    this.#adjusting = true;
    queueMicrotask(() => {
      this.#adjusting = false;
      this.#adjust();
    });
  }

  /** A stream cannot learn functions: when they change it brings no more jobs, and the next one begins when it has ended. */
  #adjust(): void {
    if (this.#link.signal.aborted) return;
    const functions = [...this.#functions]
      .map((name) => `function=${encodeURIComponent(textOfByteString(name))}`)
      .join("&");
    if (this.#stream === undefined) {
      if (functions !== "") void this.#open(functions);
    } else if (this.#stream.functions !== functions) this.#drain(this.#stream);
  }

  #drain(stream: JobStream): void {
    if (stream.isDraining || stream.name === undefined) return;
    stream.isDraining = true;
    this.#link.api.request("DELETE", `grab/${stream.name}`).catch((error: unknown) => {
      // Else it has just ended.
      if (!(error instanceof HttpProblem)) this.#link.lost(error);
    });
  }

  async #open(functions: string): Promise<void> {
    const link = this.#link;
    const stream: JobStream = { functions, name: undefined, isDraining: false };
    this.#stream = stream;
    try {
      const client =
        this.#clientId === "" ? "" : `&client=${encodeURIComponent(textOfByteString(this.#clientId))}`;
      const opened = await link.api.stream("GET", `grab?${functions}&credit=${this.#credit}${client}`);
      stream.name = opened.headers.get("gearman-stream") ?? "";
      this.#adjust();
      for await (const event of opened.events) this.#told(event);
      if (!stream.isDraining) throw new TransportError("CONNECTION_LOST", "the stream of jobs ended");
      this.#stream = undefined;
      this.#adjust();
    } catch (error) {
      link.lost(error);
    }
  }

  #told(event: StreamEvent): void {
    switch (event.event) {
      case "job":
        this.#ready.push({ id: event.lease!, job: event, reports: [], isSending: false });
        if (this.#asleep) this.#wake();
        return;
      case "cancel":
        this.#link.tell(PacketType.CANCEL, [event.handle!]);
        return;
      case "detached": {
        // An error of the worker's doing, or the server's end.
        const [, code, text] = /^([A-Z_]+) (.*)$/s.exec(event.reason ?? "") ?? [];
        if (code === undefined) throw new TransportError("CONNECTION_LOST", `the server is ${event.reason}`);
        this.#link.tell(PacketType.ERROR, [code, text!]);
      }
    }
  }

  #report(handle: string, report: Report): void {
    const lease = this.#running.get(handle);
    if (lease === undefined) return;
    if (ENDS.has(report.what)) this.#running.delete(handle);
    lease.reports.push(report);
    this.#link.unsent(report.body.length);
    if (lease.isSending) return;
    lease.isSending = true;
    this.#link.owe(this.#send(lease)).catch((error: unknown) => this.#link.lost(error));
  }

  /** Sends what there is to report, in order, until there is nothing. */
  async #send(lease: Lease): Promise<void> {
    // What this turn reports leaves together.
    await undefined;
    while (lease.reports.length > 0) {
      const batch = batchOf(lease.reports);
      try {
        await this.#post(lease.id, batch);
      } catch (error) {
        if (!(error instanceof HttpProblem) || error.problem !== "lease-lost") throw error;
        this.#link.tell(...answerOf(error));
      }
      this.#link.unsent(-batch.reduce((sum, { body }) => sum + body.length, 0));
    }
    lease.isSending = false;
  }

  #post(lease: string, batch: readonly Report[]): Promise<Response> {
    const { api } = this.#link;
    const [only] = batch;
    if (batch.length === 1) return api.request("POST", `leases/${lease}/${only!.what}`, { body: only!.body });
    const lines = batch.map(({ what, body }) => JSON.stringify(lineOf(what, body)));
    return api.request("POST", `leases/${lease}`, { body: bytesOf(lines.join("\n")) });
  }
}

function assignment(type: number, job: StreamEvent): Answer {
  const args = [job.handle!, byteStringOfText(job.function!)];
  const workload = payloadOf(job);
  if (type === PacketType.GRAB_JOB) return [PacketType.JOB_ASSIGN, args, workload];
  args.push(byteStringOfText(job.unique ?? ""));
  if (type === PacketType.GRAB_JOB_UNIQ) return [PacketType.JOB_ASSIGN_UNIQ, args, workload];
  const { attempt = 1, reducer, traceparent, tracestate, links } = job;
  args.push(
    encodeOptions({
      attempt: String(attempt),
      reducer: reducer && byteStringOfText(reducer),
      traceparent,
      tracestate,
      links,
    }),
  );
  return [PacketType.JOB_ASSIGN_EXT, args, workload];
}

/** Takes reports that leave together: one at least. */
function batchOf(reports: Report[]): Report[] {
  let count = 0;
  let bytes = 0;
  do bytes += reports[count++]!.body.length;
  while (count < reports.length && bytes + reports[count]!.body.length <= MAX_BATCH_BYTES);
  return reports.splice(0, count);
}

function lineOf(what: string, body: Uint8Array): object {
  if (what !== "status") return { report: what, data: base64(body), encoding: "base64" };
  const [numerator, denominator] = byteString(body).split("/");
  return { report: what, numerator: Number(numerator), denominator: Number(denominator) };
}
