import { byteStringOfText, decodeOptions, type Packet, PacketType, textOfByteString } from "@drover/protocol";
import { TransportError } from "@drover/transport";
import { backoffMs } from "./backoff.ts";
import { type Answer, answerOf, type FetchLink } from "./fetch-link.ts";
import { base64, HttpProblem, payloadOf, type StreamEvent } from "./http-api.ts";
import { type Placed, Places } from "./places.ts";
import { pause } from "./pool.ts";

/*
 * The client's half of a connection by requests: each foreground submission is a stream of events, which is resumed where
 * it broke.
 */

/** Browsers open six connections to a host without TLS, of which two are left for all else. With TLS one carries 100. */
const PLAIN_STREAMS = 4;
const SECURE_STREAMS = 96;
/** How often a broken stream is asked for again before the connection counts as lost. */
const MAX_RESUMES = 5;

interface Stream {
  /** As the server calls the job. */
  readonly handle: string;
  /** As the session calls it: handles of one connection differ, since each stream ends for itself. */
  readonly name: string;
  readonly leaving: AbortController;
  events: AsyncGenerator<StreamEvent, void, undefined>;
  lastId: string;
}

export class FetchJobs {
  readonly #link: FetchLink;
  readonly #places: Places;
  readonly #streams = new Map<string, Stream>();
  #repeats = 0;

  constructor(link: FetchLink, isSecure: boolean) {
    this.#link = link;
    this.#places = new Places(isSecure ? SECURE_STREAMS : PLAIN_STREAMS, Number.POSITIVE_INFINITY);
  }

  /** @returns false when the packet is for somebody else. */
  take({ type, args, data }: Packet): boolean {
    const submission = submissionOf(type, args);
    if (submission !== undefined) {
      if (submission.background) void this.#background(submission, data);
      else this.#submit(submission, data);
      return true;
    }
    switch (type) {
      case PacketType.DETACH:
        this.#streams.get(args[0]!)?.leaving.abort(new Error("nobody waits for it"));
        return true;
      case PacketType.GET_STATUS:
        void this.#link.answer(this.#status(args[0]!));
        return true;
      case PacketType.GET_STATUS_UNIQUE:
        void this.#link.answer(this.#statusOfUnique(args[0]!));
        return true;
      case PacketType.GET_OUTCOME:
        void this.#link.answer(this.#outcome(args[0]!, args[1]!));
        return true;
      default:
        return false;
    }
  }

  #background(submission: SubmissionPacket, workload: Uint8Array): Promise<void> {
    const { api } = this.#link;
    const send = async (): Promise<Answer> => {
      try {
        const headers = { ...headersOf(submission), prefer: "respond-async" };
        const response = await api.request("POST", pathOf(submission), { headers, body: workload });
        return [PacketType.JOB_CREATED, [((await response.json()) as { handle: string }).handle]];
      } catch (error) {
        return answerOf(error);
      }
    };
    return this.#link.answer(this.#link.owe(send()));
  }

  #submit(submission: SubmissionPacket, workload: Uint8Array): void {
    const { promise: placed, resolve } = Promise.withResolvers<void>();
    const place: Placed = { hasPlace: false, placed: resolve };
    this.#places.take(place);
    const opened = placed.then(() => this.#link.owe(this.#open(submission, workload)));
    const created = opened.then(
      (stream): Answer => [PacketType.JOB_CREATED, [stream.name]],
      // What is no answer is told by `answer`.
      (error: unknown) => answerOf(error),
    );
    void Promise.all([opened, this.#link.answer(created)])
      .then(([stream]) => this.#follow(stream))
      .catch((error: unknown) => {
        if (!(error instanceof HttpProblem)) this.#link.lost(error);
      })
      .finally(() => this.#places.leave(place));
  }

  async #open(submission: SubmissionPacket, workload: Uint8Array): Promise<Stream> {
    const leaving = new AbortController();
    const request = { headers: headersOf(submission), body: workload, signal: leaving.signal };
    const { events } = await this.#link.api.stream("POST", pathOf(submission), request);
    const { value: created } = await events.next();
    if (created?.event !== "created") throw new TransportError("CONNECTION_LOST", "a stream broke at once");
    const handle = created.handle!;
    const name = this.#streams.has(handle) ? `${handle}#${++this.#repeats}` : handle;
    const stream: Stream = { handle, name, leaving, events, lastId: created.id! };
    this.#streams.set(name, stream);
    return stream;
  }

  async #follow(stream: Stream): Promise<void> {
    const { name, leaving } = stream;
    try {
      for (let resumes = 0; ; resumes++) {
        try {
          for await (const event of stream.events) {
            if (event.event === "detached") break;
            resumes = 0;
            stream.lastId = event.id!;
            if (this.#tell(name, event)) return;
          }
        } catch (error) {
          if (error instanceof TransportError) throw error;
        }
        if (leaving.signal.aborted || this.#link.signal.aborted) return;
        if (resumes >= MAX_RESUMES) throw new TransportError("CONNECTION_LOST", "a stream broke off");
        await pause(backoffMs(resumes + 1, {}, Math.random()), leaving.signal);
        await this.#resume(stream);
      }
    } finally {
      this.#streams.delete(name);
    }
  }

  /** Asks for what follows, unless the server cannot be asked now. @throws when it does not know the job any more. */
  async #resume(stream: Stream): Promise<void> {
    const { handle, lastId, leaving } = stream;
    const request = { headers: { "last-event-id": lastId }, signal: leaving.signal };
    try {
      const path = `jobs/${encodeURIComponent(handle)}/events`;
      stream.events = (await this.#link.api.stream("GET", path, request)).events;
    } catch (error) {
      if (!(error instanceof HttpProblem) || error.isPassing) return;
      throw new TransportError("CONNECTION_LOST", error.message, { cause: error });
    }
  }

  /** @returns whether it was the last one. */
  #tell(name: string, event: StreamEvent): boolean {
    const link = this.#link;
    switch (event.event) {
      case "data":
        link.tell(PacketType.WORK_DATA, [name], payloadOf(event));
        return false;
      case "warning":
        link.tell(PacketType.WORK_WARNING, [name], payloadOf(event));
        return false;
      case "status":
        link.tell(PacketType.WORK_STATUS, [name, String(event.numerator), String(event.denominator)]);
        return false;
      case "restarted":
        link.tell(PacketType.JOB_RESTARTED, [name, String(event.attempt)]);
        return false;
      case "complete":
        link.tell(PacketType.WORK_COMPLETE, [name], payloadOf(event));
        return true;
      case "exception":
        link.tell(PacketType.WORK_EXCEPTION, [name], payloadOf(event));
        return true;
      case "fail":
        link.tell(PacketType.WORK_FAIL, [name]);
        return true;
      default:
        return false;
    }
  }

  #status(name: string): Promise<Answer> {
    return this.#job(`jobs/${encodeURIComponent(handleOf(name))}`, (job) => [
      PacketType.STATUS_RES,
      [name, ...statusOf(job)],
    ]);
  }

  #statusOfUnique(unique: string): Promise<Answer> {
    return this.#job(`uniques/${base64(unique, true)}`, (job) => [
      PacketType.STATUS_RES_UNIQUE,
      [unique, ...statusOf(job), String(job.waiting ?? 0)],
    ]);
  }

  #outcome(functionOrHandle: string, unique: string): Promise<Answer> {
    const path =
      unique === ""
        ? `jobs/${encodeURIComponent(handleOf(functionOrHandle))}`
        : `functions/${named(functionOrHandle)}/uniques/${base64(unique, true)}`;
    return this.#job(path, (job) => [
      PacketType.OUTCOME_RES,
      [
        byteStringOfText(job.function ?? (unique === "" ? "" : textOfByteString(functionOrHandle))),
        byteStringOfText(job.unique ?? textOfByteString(unique)),
        job.handle ?? (unique === "" ? functionOrHandle : ""),
        job.state ?? "unknown",
        String(job.numerator ?? 0),
        String(job.denominator ?? 0),
        String(job.waiting ?? 0),
        String(job.ended === undefined ? 0 : Date.parse(job.ended)),
      ],
    ]);
  }

  /** @param shown The answer by what is known of the job: nothing where the server knows none. */
  async #job(path: string, shown: (job: JobJson) => Answer): Promise<Answer> {
    try {
      return shown((await (await this.#link.api.request("GET", path)).json()) as JobJson);
    } catch (error) {
      if (error instanceof HttpProblem && error.problem === "unknown-job") return shown({});
      return answerOf(error);
    }
  }
}

interface JobJson {
  readonly handle?: string;
  readonly function?: string;
  readonly unique?: string;
  readonly state?: string;
  readonly known?: boolean;
  readonly running?: boolean;
  readonly numerator?: number;
  readonly denominator?: number;
  readonly waiting?: number;
  readonly ended?: string;
}

function statusOf({ known, running, numerator = 0, denominator = 0 }: JobJson): string[] {
  return [known === true ? "1" : "0", running === true ? "1" : "0", String(numerator), String(denominator)];
}

interface SubmissionPacket {
  readonly function: string;
  readonly unique: string;
  readonly background: boolean;
  readonly options: ReadonlyMap<string, string>;
}

const PLAIN: Readonly<Record<number, readonly [priority: string, background: boolean]>> = {
  [PacketType.SUBMIT_JOB]: ["normal", false],
  [PacketType.SUBMIT_JOB_BG]: ["normal", true],
  [PacketType.SUBMIT_JOB_HIGH]: ["high", false],
  [PacketType.SUBMIT_JOB_HIGH_BG]: ["high", true],
  [PacketType.SUBMIT_JOB_LOW]: ["low", false],
  [PacketType.SUBMIT_JOB_LOW_BG]: ["low", true],
};

function submissionOf(type: number, args: readonly string[]): SubmissionPacket | undefined {
  const [name, unique, text] = args;
  const common = { function: name!, unique: unique! };
  const plain = PLAIN[type];
  if (plain !== undefined) {
    return { ...common, background: plain[1], options: new Map([["priority", plain[0]]]) };
  }
  const isReduceBackground = type === PacketType.SUBMIT_REDUCE_JOB_BACKGROUND;
  if (type === PacketType.SUBMIT_REDUCE_JOB || isReduceBackground) {
    return { ...common, background: isReduceBackground, options: new Map([["reducer", text!]]) };
  }
  if (type !== PacketType.SUBMIT_JOB_EXT) return undefined;
  const options = decodeOptions(text!);
  return { ...common, background: options.get("background") === "1", options };
}

function pathOf({ function: name }: SubmissionPacket): string {
  return `functions/${named(name)}/jobs`;
}

/** A function's name in a path. @throws HttpProblem when it is no text */
function named(name: string): string {
  const text = textOfByteString(name);
  if (byteStringOfText(text) !== name) throw refused("a function's name is UTF-8 there");
  return encodeURIComponent(text);
}

/** Fields of a request for the options of a submission. @throws HttpProblem for what HTTP has no word for */
function headersOf({ unique, options }: SubmissionPacket): Record<string, string> {
  const headers: Record<string, string> = {};
  if (unique !== "") headers["gearman-unique"] = `:${base64(unique)}:`;
  for (const [option, value] of options) {
    switch (option) {
      case "priority":
        headers["gearman-priority"] = value;
        break;
      case "at":
        // Never early.
        headers["gearman-run-at"] = `@${Math.ceil(Number(value) / 1_000)}`;
        break;
      case "linger":
        headers["gearman-result-ttl"] = String(Math.ceil(Number(value) / 1_000));
        break;
      case "keep":
        headers["gearman-keep"] = "?1";
        break;
      case "rerunIfActive":
        headers["gearman-rerun-if-active"] = "?1";
        break;
      case "reducer":
        headers["gearman-reducer"] = `:${base64(value)}:`;
        break;
      case "traceparent":
      case "tracestate":
        headers[option] = value;
        break;
      case "background":
        break;
      default:
        throw refused(`there is no ${option} there`);
    }
  }
  return headers;
}

function refused(why: string): HttpProblem {
  return new HttpProblem("bad-request", 400, `over HTTP this cannot be asked for: ${why}; use wss://`);
}

/** The server's name for a job that the session may know by another. */
function handleOf(name: string): string {
  return name.replace(/#\d+$/, "");
}
